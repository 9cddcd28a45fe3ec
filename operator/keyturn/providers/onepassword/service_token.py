"""The token of a 1Password service account: its form, and the server that it names."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any

from keyturn.base.text import shorten
from keyturn.core.allowed_hosts import AllowedHosts
from keyturn.core.vault import CredentialInvalid, HostNotAllowed

DOMAINS = ("1password.com", "1password.ca", "1password.eu")
"""A token is sent to these and to what stands below them, and nowhere else unless the administrator lists it."""

_TOKEN = re.compile(r"ops_([A-Za-z0-9_+/-]{1,16384})={0,2}")
"""The SDK reads both alphabets of base64."""

_ADDRESS = re.compile(r"(?:(https?)://)?([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?)(?::([0-9]{1,5}))?/?")
"""As narrow as possible: what other readers of addresses could understand in another way, such as `user@host`, is none."""

_QUOTES = "\"'`"


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """A token that may be sent.

    Attributes:
        text: the token itself.
        server: the host that it names, with the port if that is not the usual one; for messages.
    """

    text: str = field(repr=False)
    server: str


def parse_service_token(text: str, *, origin: str, allowed: AllowedHosts) -> ServiceToken:
    """Read a token. Nothing is sent.

    1Password's SDK asks whatever server the token names. So a text that somebody pastes decides where the operator connects
    to, and must be judged before.

    Args:
        text: the token; outer whitespace is stripped.
        origin: where it comes from, for messages.
        allowed: servers that the administrator listed.

    Raises:
        CredentialInvalid: it is no such token; the message never repeats it.
        HostNotAllowed: it names a server that is not 1Password's.
    """
    token = text.strip()
    if not token:
        raise CredentialInvalid(f"the service account token in {origin} is empty")
    if (form := _foreign_form(token)) is not None:
        raise CredentialInvalid(f"the service account token in {origin} {form}")
    match = _TOKEN.fullmatch(token)
    content = None if match is None else _decoded(match[1])
    if content is None or not isinstance(address := content.get("signInAddress"), str):
        raise CredentialInvalid(
            f"the service account token in {origin} is not whole: was it cut, or copied with a line break?"
        )
    return ServiceToken(token, _server(address, origin=origin, allowed=allowed))


def _foreign_form(token: str) -> str | None:
    """What a text is instead of a service account's token, as the end of a sentence; None if it may be one."""
    if token[0] in _QUOTES or token[-1] in _QUOTES:
        return "begins or ends with a quotation mark: write it without quotes"
    if token.startswith("op://"):
        return "is a secret reference (op://...) that nobody resolved: put the token itself there"
    if token.startswith("eyJ"):
        return "is the token of a Connect server: that goes with the server's address, into OP_CONNECT_TOKEN"
    if token.startswith("b3BzX"):
        return "is encoded in base64 once more than a Secret needs: decode it once"
    if not token.startswith("ops_"):
        return "does not begin with ops_"
    return None


def _decoded(text: str) -> dict[str, Any] | None:
    """The object in a token; None if there is none, or if a name in it stands twice: then readers may differ."""
    try:
        standard = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
        content = json.loads(base64.b64decode(standard, validate=True), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _server(address: str, *, origin: str, allowed: AllowedHosts) -> str:
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise HostNotAllowed(f"the service account token in {origin} names a server that cannot be one of 1Password's")
    scheme, host, port = (match[1] or "https"), match[2].lower(), int(match[3] or 0)
    at = port or (443 if scheme == "https" else 80)
    server = host if at == 443 else f"{host}:{at}"
    if allowed.lists(host, at):
        return server
    is_theirs = any(host == domain or host.endswith(f".{domain}") for domain in DOMAINS)
    if scheme != "https" or not is_theirs:
        raise HostNotAllowed(
            f"the service account token in {origin} names the server {scheme}://{shorten(server, 100)}, which is not 1Password's "
            f"(https, {', '.join(DOMAINS)}); the administrator can list it in KEYTURN_ALLOWED_HOSTS"
        )
    return server
