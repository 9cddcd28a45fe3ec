"""What the command line and the proxy variables of the official operator mean here."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from keyturn.core.restarts import parse_switch

_ZAP_LEVELS = {"debug": "debug", "info": "info", "error": "error", "panic": "error"}

_PLAIN = "metrics are served over plain HTTP: restrict who reaches them with a NetworkPolicy"

# Flags that change nothing here, and what to do about that; those that switch something on are worth a word only then.
_UNUSED = {
    "--metrics-cert-path": _PLAIN,
    "--metrics-cert-name": _PLAIN,
    "--metrics-cert-key": _PLAIN,
    "--zap-stacktrace-level": "no stack trace is logged; a defect is told by its type and place",
    "--zap-time-encoding": "times are always logged in RFC 3339",
}
_UNUSED_SWITCHES = {
    "--metrics-secure": _PLAIN,
    "--enable-http2": "health and metrics are served over HTTP/1.1",
    "--zap-devel": "use --log-level=debug and --log-format=console instead",
}


def with_two_dashes(arguments: Sequence[str]) -> list[str]:
    """The arguments, each flag spelt `--flag`: Go, in which the official operator is written, takes `-flag` for the same."""
    return [f"-{word}" if word[:1] == "-" and word[1:2].isalpha() and len(word) > 2 else word for word in arguments]


def switch(text: str) -> bool:
    """The value of a flag that is `--flag`, `--flag=true` or `--flag=false`.

    Raises:
        argparse.ArgumentTypeError: it is none of the spellings of true and false.
    """
    value = parse_switch(text)
    if value is None:
        raise argparse.ArgumentTypeError(f"{text!r} must be true or false")
    return value


def add_official_flags(parser: argparse.ArgumentParser) -> None:
    """Take the official operator's flags that have another name here, or no meaning; `--help` does not show them."""
    # Two names of one choice; without either, its own default holds.
    hidden, absent = argparse.SUPPRESS, argparse.SUPPRESS
    parser.add_argument("--zap-log-level", dest="log_level", type=_zap_level, default=absent, help=hidden)
    parser.add_argument("--zap-encoder", dest="log_format", choices=("console", "json"), default=absent, help=hidden)
    for flag in _UNUSED:
        parser.add_argument(flag, help=hidden)
    for flag in _UNUSED_SWITCHES:
        parser.add_argument(flag, type=switch, nargs="?", const=True, help=hidden)


def unused(flags: argparse.Namespace) -> tuple[str, ...]:
    """One line for each flag that was given and changes nothing: which, and what to do instead."""
    given = vars(flags)

    def value(flag: str) -> object:
        return given[flag.removeprefix("--").replace("-", "_")]

    lines = [f"{flag} has no effect: {instead}" for flag, instead in _UNUSED.items() if value(flag) is not None]
    lines += [f"{flag} has no effect: {instead}" for flag, instead in _UNUSED_SWITCHES.items() if value(flag)]
    return tuple(lines)


def proxy_for(address: str, environment: Mapping[str, str]) -> str | None:
    """The proxy that the environment names for an address, by the rules of Go's standard library; None for none.

    `HTTP_PROXY` counts for http and `HTTPS_PROXY` for https, in capitals or small letters; `NO_PROXY` lists names,
    addresses and networks that are reached without one, as this machine itself always is.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    proxy = _either(f"{parts.scheme}_PROXY", environment)
    near = host == "localhost" or _is_loopback(host) or _is_listed(host, port, _either("NO_PROXY", environment))
    if not proxy or near:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _either(name: str, environment: Mapping[str, str]) -> str:
    return (environment.get(name.upper()) or environment.get(name.lower()) or "").strip()


def _is_listed(host: str, port: int, no_proxy: str) -> bool:
    """Whether a host is one of those that `NO_PROXY` lists: by name, with or without port, by domain or by network."""
    for entry in no_proxy.lower().split(","):
        name, _, its_port = entry.strip().partition(":")
        # `a.b` is itself and all below it, `.b` and `*.b` only what is below.
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


def _zap_level(text: str) -> str:
    """A level of the official operator's logger as one of ours; its whole numbers are ever more verbose debug levels."""
    if text.isascii() and text.isdecimal() and int(text) > 0:
        return "debug"
    try:
        return _ZAP_LEVELS[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text!r} must be debug, info, error, panic or a whole number") from None
