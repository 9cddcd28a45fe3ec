"""The authorities that vouch for servers: the public ones, or those of a bundle."""

from __future__ import annotations

import ssl
from functools import cache

import httpx

from keyturn.base.errors import translated


class BadBundle(Exception):
    """A text holds no certificates in PEM."""


@cache
def public_authorities() -> ssl.SSLContext:
    """The public authorities: one object for all, since each copy takes two thirds of a mebibyte."""
    return httpx.create_ssl_context(trust_env=False)


def trusting(pem: str) -> ssl.SSLContext:
    """The authorities of a bundle, in place of the public ones.

    Raises:
        BadBundle: there is none in it, or one is damaged.
    """
    if not pem:
        # Python takes an empty text for none at all, and then trusts the authorities of the machine.
        raise BadBundle
    with translated(lambda error: BadBundle() if isinstance(error, OSError | ValueError) else None):
        # Bundles name authorities in comments, in the letters of their languages, which Python does not take.
        return ssl.create_default_context(cadata=pem.encode("ascii", errors="replace").decode())
