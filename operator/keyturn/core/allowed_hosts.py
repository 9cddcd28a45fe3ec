"""Which servers a Connection may name: public ones over https, and those that the installation's administrator listed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_DEFAULT_PORTS = {"https": 443, "http": 80}


class BadHost(ValueError):
    """An entry of a list of hosts is not one; the message says how it must look."""


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The hosts of `KEYTURN_ALLOWED_HOSTS`. A tenant writes a Connection, so it must not reach what only the cluster can.

    Attributes:
        listed: hosts in lower case, each with a port, or None for all ports.
    """

    listed: frozenset[tuple[str, int | None]] = frozenset()

    def lists(self, host: str, port: int) -> bool:
        """Whether the administrator listed this host at this port: then neither https nor a public address is needed."""
        name = _normal(host)
        return (name, None) in self.listed or (name, port) in self.listed

    def refuses(self, scheme: str, host: str, port: int | None = None) -> str | None:
        """Why a server may not be asked, before its name is looked up; None if it may.

        Args:
            scheme: `https` or `http`.
            host: a name or an address, without brackets.
            port: None for the scheme's own.
        """
        at = _DEFAULT_PORTS.get(scheme, 0) if port is None else port
        if self.lists(host, at):
            return None
        if scheme != "https":
            return f"{host}:{at} must be asked over https; {_HOW_TO_LIST}"
        return self.refuses_address(host, at, host)

    def refuses_address(self, host: str, port: int, address: str) -> str | None:
        """Why an address that a host resolves to may not be asked; None if it may. A name in place of an address passes.

        It is asked again for each new connection: a name may resolve to another address at the second look.
        """
        if self.lists(host, port) or _is_public(address):
            return None
        return f"{host}:{port} has an address that is not public; {_HOW_TO_LIST}"


_HOW_TO_LIST = "the administrator can list it in KEYTURN_ALLOWED_HOSTS"


def parse_allowed_hosts(text: str) -> AllowedHosts:
    """Read `host` or `host:port`, separated by commas; an IPv6 address with a port stands in brackets.

    Raises:
        BadHost: an entry is not one of these.
    """
    return AllowedHosts(frozenset(_entries(text.split(","))))


def _entries(parts: Iterable[str]) -> Iterable[tuple[str, int | None]]:
    for part in parts:
        if entry := part.strip():
            yield _entry(entry)


_ENTRY = re.compile(r"(?:\[(?P<address>[^]]+)\]|(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*))(?::(?P<port>[0-9]{1,5}))?")
_PORTS = range(1, 65536)


def _entry(entry: str) -> tuple[str, int | None]:
    if _is_ipv6(entry):
        return _normal(entry), None
    found = _ENTRY.fullmatch(entry)
    port = int(found["port"]) if found and found["port"] else None
    if not found or not (found["name"] or _is_ipv6(found["address"])) or (port is not None and port not in _PORTS):
        raise BadHost(f"{entry!r} must be a host or host:port, such as connect.example.com or connect.example.com:8443")
    return _normal(found["name"] or found["address"]), port


def _is_ipv6(text: str) -> bool:
    return isinstance(_as_address(text), IPv6Address)


def _normal(host: str) -> str:
    """A name in the one form in which names are compared."""
    name = host.lower().rstrip(".")
    return str(address) if (address := _as_address(name)) is not None else name


def _is_public(text: str) -> bool:
    """Whether an address is one of the public internet; names, which say nothing about that, count as public."""
    address = _as_address(text)
    if address is None:
        return True
    if isinstance(address, IPv6Address) and (inner := _inner(address)) is not None:
        return _is_public(str(inner))
    if isinstance(address, IPv6Address):
        return address in _INTERNET_6 and address.is_global
    return address.is_global and not address.is_multicast and not any(address in network for network in _OF_CLOUDS)


_INTERNET_6 = ip_network("2000::/3")
"""All that was ever given out of IPv6; outside of it are old forms that an operating system may still understand."""

_OF_CLOUDS = (ip_network("192.0.0.0/24"), ip_network("168.63.129.16/32"))
"""Public by their numbers, but what answers there is the cloud that the machine runs in: Oracle's metadata, Azure's host."""


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for, by one of the ways of writing it so."""
    if (address.packed[:12]) == _NAT64:
        return IPv4Address(address.packed[12:])
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo


_NAT64 = bytes.fromhex("0064ff9b") + bytes(8)


def _as_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None
