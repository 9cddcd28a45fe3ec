"""Turns what a human wrote as an address into a base URL, or says what is wrong with it."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from .errors import BadAddress

_UNUSABLE = re.compile(r"[\s\\\x00-\x1f\x7f]")
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")


def base_url(text: str, *, of: str = "Connect server") -> str:
    """Normalise an address: outer blanks and slashes go, a path prefix stays.

    Args:
        text: as `http://onepassword-connect:8080` or `https://example.test/connect/`.
        of: whose address it is, for the message.

    Returns:
        The base that every route is appended to; never ends in a slash.

    Raises:
        BadAddress: says which part is unusable, without repeating it: it may hold a password.
    """
    try:
        return _normal(text.strip())
    except _Bad as problem:
        reason = str(problem)
    raise BadAddress(f"the address of the {of} {reason}")


class _Bad(Exception):
    """What is wrong with an address."""


def _normal(address: str) -> str:
    if not address:
        raise _Bad("is empty")
    if _UNUSABLE.search(address):
        raise _Bad("holds a blank, backslash or control character")
    if not address.lower().startswith(("http://", "https://")):
        raise _Bad("must start with http:// or https://")
    if "?" in address or "#" in address:
        raise _Bad("must not hold a query ('?') or fragment ('#')")
    scheme, rest = address.split("://", 1)
    authority, _, path = rest.partition("/")
    if "@" in authority:
        raise _Bad("must not hold a user name or password")
    return f"{scheme.lower()}://{_host_and_port(authority)}{_prefix(path)}"


def _host_and_port(authority: str) -> str:
    try:
        parts = urlsplit(f"//{authority}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not _is_host(host) or port == 0:
        raise _Bad("has no usable host or port")
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
        raise _Bad("must not hold empty, '.' or '..' segments in its path")
    return f"/{prefix}"
