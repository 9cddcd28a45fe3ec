"""Which Bitwarden account a Connection names: its server, its API key and its master password."""

from __future__ import annotations

import re
import ssl
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from keyturn.base.errors import translated
from keyturn.core.allowed_hosts import AllowedHosts
from keyturn.core.provider import SecretKey
from keyturn.core.vault import CredentialInvalid, HostNotAllowed
from keyturn.providers.authorities import BadBundle, public_authorities, trusting
from keyturn.providers.hosts import is_host

CLIENT_ID, CLIENT_SECRET, MASTER_PASSWORD, CA = "clientId", "clientSecret", "masterPassword", "ca"

_USER = re.compile(r"user\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_DEVICES = uuid.UUID("5c0ba7a1-27c5-4d54-9c2c-6d0d1d1f8f4b")
"""The namespace of the ids that our devices have, one for each account."""

_SERVER = re.compile(r"(https?)://([^\s/?#@\\]+)((?:/[^\s/?#\\]+)*)/?", re.IGNORECASE)


class Endpoints(NamedTuple):
    """The base URLs of the two parts of a server, and the hosts beside it that may keep files."""

    api: str
    identity: str
    file_hosts: tuple[str, ...] = ()


_CLOUD_FILES = (".bitwarden.com", ".bitwarden.eu", ".bitwarden.net", ".blob.core.windows.net")
_CLOUDS = {
    region: Endpoints(f"https://api.{region}", f"https://identity.{region}", _CLOUD_FILES)
    for region in ("bitwarden.com", "bitwarden.eu")
}
_DEFAULT_SERVER = "https://vault.bitwarden.com"


@dataclass(frozen=True, slots=True)
class BitwardenAccount:
    """One account at one server.

    Attributes:
        server: address of the server, as `https://vault.example.com`, without a slash at its end.
        endpoints: where its parts are.
        user: id of the account, by its API key.
        client_secret: of the API key.
        master_password: of the account; it never leaves this process.
        ca: PEM of the authorities to trust in place of the usual ones; empty for these.
        allowed: servers beside the public ones that may be asked.
    """

    server: str
    endpoints: Endpoints
    user: str
    client_secret: str = field(repr=False)
    master_password: str = field(repr=False)
    ca: str = field(default="", repr=False)
    allowed: AllowedHosts = field(default_factory=AllowedHosts)

    @property
    def device(self) -> str:
        """The id under which the server remembers us: always the same, so that it does not report a new device at each start."""
        return str(uuid.uuid5(_DEVICES, self.user))


def bitwarden_secret_keys(section: Mapping[str, Any]) -> Mapping[str, SecretKey]:
    """The keys of Secrets that a Connection of this provider reads."""
    found: dict[str, SecretKey] = {}
    if name := _text(section, "credentialSecretRef", "name"):
        found = {each: SecretKey(name, each) for each in (CLIENT_ID, CLIENT_SECRET, MASTER_PASSWORD)}
    if ca := _text(section, "caSecretRef", "name"):
        found[CA] = SecretKey(ca, _text(section, "caSecretRef", "key") or "ca.crt")
    return found


def read_bitwarden_account(
    section: Mapping[str, Any], credential: Mapping[str, str], /, *, allowed: AllowedHosts
) -> BitwardenAccount:
    """Make the account of a Connection.

    Raises:
        CredentialInvalid: a part of the credential cannot be used as it is.
        HostNotAllowed: the server may not be asked, or its address is none.
    """
    if find_spec("cryptography") is None:
        raise CredentialInvalid("Bitwarden needs the extra `bitwarden` of Keyturn: install keyturn[bitwarden]")
    server, endpoints = _endpoints(_text(section, "server") or _DEFAULT_SERVER, allowed)
    user = _USER.fullmatch(credential.get(CLIENT_ID, "").strip())
    if user is None:
        raise CredentialInvalid(
            f"{CLIENT_ID} must be that of an account's API key, `user.` and a UUID; that of an organisation opens no item"
        )
    secret = credential.get(CLIENT_SECRET, "").strip()
    if not secret or not secret.isascii() or not secret.isprintable():
        raise CredentialInvalid(f"{CLIENT_SECRET} is empty or holds characters that an API key never has")
    # A password may end in blanks, but a line break is what an editor or `echo` left.
    password = credential.get(MASTER_PASSWORD, "").rstrip("\r\n")
    if not password:
        raise CredentialInvalid(f"{MASTER_PASSWORD} is empty")
    ca = credential.get(CA, "")
    if CA in credential:
        trust(ca or "empty")
    return BitwardenAccount(server, endpoints, user[1], secret, password, ca, allowed)


def trust(ca: str) -> ssl.SSLContext:
    """What verifies the server's certificate.

    Args:
        ca: PEM of the authorities; empty for the usual ones.

    Raises:
        CredentialInvalid: it holds no certificate.
    """
    if not ca:
        return public_authorities()
    with translated(
        lambda error: CredentialInvalid(f"{CA} holds no certificate in PEM") if isinstance(error, BadBundle) else None
    ):
        return trusting(ca)


def _endpoints(address: str, allowed: AllowedHosts) -> tuple[str, Endpoints]:
    match = _SERVER.fullmatch(address)
    host, port = _host_and_port(match[2]) if match else ("", None)
    if match is None or not is_host(host):
        raise HostNotAllowed("spec.bitwarden.server must be an address such as https://vault.example.com")
    scheme = match[1].lower()
    if (refusal := allowed.refuses(scheme, host, port)) is not None:
        raise HostNotAllowed(f"spec.bitwarden.server: {refusal}")
    server = f"{scheme}://{match[2].lower()}{match[3]}"
    cloud = _CLOUDS.get(host.removeprefix("vault."))
    return server, cloud or Endpoints(f"{server}/api", f"{server}/identity")


def _host_and_port(authority: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(f"//{authority}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "", None
    return host, port


def _text(section: Mapping[str, Any], *path: str) -> str:
    """A text at a place of the section; empty if there is another thing or none."""
    found: Any = section
    for step in path:
        found = found.get(step) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else ""
