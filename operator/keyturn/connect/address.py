"""Turns what a human wrote as the server's address into a base URL, or says what is wrong with it."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from .errors import BadAddress

_UNUSABLE = re.compile(r"[\s\\\x00-\x1f\x7f]")
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")


def base_url(text: str) -> str:
    """Normalise an address: outer blanks and slashes go, a path prefix stays.

    Args:
        text: as `http://onepassword-connect:8080` or `https://example.test/connect/`.

    Returns:
        The base that every route is appended to; never ends in a slash.

    Raises:
        BadAddress: says which part is unusable, without repeating it: it may hold a password.
    """
    address = text.strip()
    if not address:
        raise _bad("is empty")
    if _UNUSABLE.search(address):
        raise _bad("holds a blank, backslash or control character")
    if not address.lower().startswith(("http://", "https://")):
        raise _bad("must start with http:// or https://")
    if "?" in address or "#" in address:
        raise _bad("must not hold a query ('?') or fragment ('#')")
    scheme, rest = address.split("://", 1)
    authority, _, path = rest.partition("/")
    if "@" in authority:
        raise _bad("must not hold a user name or password")
    return f"{scheme.lower()}://{_host_and_port(authority)}{_prefix(path)}"


def _host_and_port(authority: str) -> str:
    try:
        parts = urlsplit(f"//{authority}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not _is_host(host) or port == 0:
        raise _bad("has no usable host or port")
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def _is_host(host: str) -> bool:
    if ":" not in host:
        return _NAME.fullmatch(host) is not None
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def _prefix(path: str) -> str:
    prefix = path.strip("/")
    if not prefix:
        return ""
    if any(segment in {"", ".", ".."} for segment in prefix.split("/")):
        raise _bad("must not hold empty, '.' or '..' segments in its path")
    return f"/{prefix}"


def _bad(problem: str) -> BadAddress:
    return BadAddress(f"the address of the Connect server {problem}")
