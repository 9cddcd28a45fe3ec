"""Which texts are names or addresses of hosts, by one rule for every provider."""

from __future__ import annotations

import re
from ipaddress import ip_address

import httpx

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")


def is_host(text: str) -> bool:
    """Whether a text is a name, or an address without brackets, that can be asked."""
    return is_address(text) or (_NAME.fullmatch(text) is not None and _is_readable(text))


def is_address(text: str) -> bool:
    """Whether a text is an address of either version."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_readable(name: str) -> bool:
    """Whether httpx can read a name. It fails at `127.0.0.010`, which is another address to others, and at a damaged `xn--` name."""
    try:
        return bool(httpx.URL(f"https://{name}/").host)
    except (httpx.InvalidURL, UnicodeError):
        return False
