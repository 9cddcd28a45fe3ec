"""Chooses the proxy for a server, from the variables that the official operator reads too."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit


def proxy_for(address: str, environment: Mapping[str, str]) -> str | None:
    """The proxy that the environment names for an address, by the rules of Go's standard library; None if it names none.

    `HTTP_PROXY` counts for http and `HTTPS_PROXY` for https, in upper or lower case. `NO_PROXY` lists names, addresses and
    networks that are reached without a proxy; the machine itself always is.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    proxy = _variable(f"{parts.scheme}_PROXY", environment)
    near = host == "localhost" or _is_loopback(host) or _is_listed(host, port, _variable("NO_PROXY", environment))
    if not proxy or near:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(name: str, environment: Mapping[str, str]) -> str:
    return (environment.get(name.upper()) or environment.get(name.lower()) or "").strip()


def _is_listed(host: str, port: int, no_proxy: str) -> bool:
    """Whether `NO_PROXY` lists a host: by name, with or without port, by domain or by network."""
    for entry in no_proxy.lower().split(","):
        name, _, its_port = entry.strip().partition(":")
        # `a.b` stands for itself and everything below it, `.b` and `*.b` only for what is below.
        domain = name.removeprefix("*")
        is_there = host.endswith(domain) if domain.startswith(".") else f".{host}".endswith(f".{domain}")
        if name == "*" or (domain and is_there and its_port in {"", str(port)}) or _holds(entry.strip(), host):
            return True
    return False


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _holds(network: str, host: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False
