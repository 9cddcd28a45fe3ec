"""Turns an address as people write it into a base URL, or says what is wrong with it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from keyturn.base.errors import translated
from keyturn.providers.connect.connect_errors import BadAddress
from keyturn.providers.hosts import is_host

_UNUSABLE_CHARACTER = re.compile(r"[\s\\\x00-\x1f\x7f]")
_VERSION = re.compile(r"(.*/)?v1", re.IGNORECASE)
"""A path that ends like the API's own routes begin."""


def base_url(text: str, *, of: str = "Connect server") -> str:
    """Normalise an address: outer blanks and slashes are removed, a path prefix is kept.

    Args:
        text: as `http://onepassword-connect:8080` or `https://example.test/connect/`.
        of: what has this address, for the message.

    Returns:
        The base to which every route is appended; it never ends in a slash.

    Raises:
        BadAddress: says which part is unusable, without repeating it: it may contain a password.
    """
    with translated(
        lambda error: BadAddress(f"the address of the {of} {error}") if isinstance(error, _Unusable) else None
    ):
        return _normal(text.strip())


class _Unusable(Exception):
    """Why an address cannot be used, as the end of a sentence."""


def _normal(address: str) -> str:
    if not address:
        raise _Unusable("is empty")
    if _UNUSABLE_CHARACTER.search(address):
        raise _Unusable("holds a blank, backslash or control character")
    if not address.lower().startswith(("http://", "https://")):
        raise _Unusable("must start with http:// or https://")
    if "?" in address or "#" in address:
        raise _Unusable("must not hold a query ('?') or fragment ('#')")
    scheme, rest = address.split("://", 1)
    authority, _, path = rest.partition("/")
    if "@" in authority:
        raise _Unusable("must not hold a user name or password")
    return f"{scheme.lower()}://{_host_and_port(authority)}{_prefix(path)}"


def _host_and_port(authority: str) -> str:
    try:
        parts = urlsplit(f"//{authority}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not is_host(host) or port == 0:
        raise _Unusable("has no usable host or port")
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def _prefix(path: str) -> str:
    prefix = path.strip("/")
    if not prefix:
        return ""
    if any(segment in {"", ".", ".."} for segment in prefix.split("/")):
        raise _Unusable("must not hold empty, '.' or '..' segments in its path")
    if _VERSION.fullmatch(prefix):
        raise _Unusable("must not end in /v1: Keyturn appends that itself")
    return f"/{prefix}"
