"""Reads a Connection to a Connect server: which server, with which token, trusted by which authorities."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from keyturn.base.errors import translated
from keyturn.core.allowed_hosts import AllowedHosts
from keyturn.core.provider import ConnectionForm, SecretKey
from keyturn.core.vault import CredentialInvalid, HostNotAllowed
from keyturn.providers.authorities import BadBundle, trusting
from keyturn.providers.connect.connect_errors import BadAddress, BadToken
from keyturn.providers.connect.connect_settings import BUDGET, ConnectAccount, ConnectSettings
from keyturn.providers.connect.token import StaticToken
from keyturn.providers.proxies import proxy_for

_KEYS = {"token": ("tokenSecretRef", "token"), "ca": ("caSecretRef", "ca.crt")}
"""Parts of the credential: the field that refers to each, and the key in its Secret if the field names none."""


def _secret_keys(section: Mapping[str, Any]) -> Mapping[str, SecretKey]:
    """Which keys of Secrets hold the token and, if a bundle is named, the authorities."""
    return {part: found for part in _KEYS if (found := _secret_key(section, part)) is not None}


def _read_account(
    section: Mapping[str, Any], credential: Mapping[str, str], /, *, allowed: AllowedHosts
) -> ConnectAccount:
    """Read `spec.connect` of a Connection.

    Raises:
        CredentialInvalid: the token or the bundle is not one.
        HostNotAllowed: the server may not be asked, or its address is none.
    """
    token, ca_pem = credential.get("token", ""), credential.get("ca")
    with translated(lambda error: CredentialInvalid(str(error)) if isinstance(error, BadToken) else None):
        checked_token = StaticToken(token, origin=_origin(section, "token"))
    if ca_pem is not None:
        no_bundle = f"the CA bundle in {_origin(section, 'ca')} holds no usable certificates in PEM"
        with translated(lambda error: CredentialInvalid(no_bundle) if isinstance(error, BadBundle) else None):
            trusting(ca_pem)
    host = section.get("host")
    host = host if isinstance(host, str) else ""
    with translated(
        lambda error: HostNotAllowed(f"spec.connect.host: {error}") if isinstance(error, BadAddress) else None
    ):
        server = ConnectSettings(host=host, ca_pem=ca_pem, allowed=allowed, proxy=proxy_for(host, os.environ))
    parts = urlsplit(server.host)
    if (refusal := allowed.refuses(parts.scheme, parts.hostname or "", parts.port)) is not None:
        raise HostNotAllowed(f"spec.connect.host: {refusal}")
    return ConnectAccount(server=server, token=checked_token)


def _secret_key(section: Mapping[str, Any], part: str) -> SecretKey | None:
    field, usual_key = _KEYS[part]
    reference = section.get(field)
    if not isinstance(reference, Mapping) or not isinstance(name := reference.get("name"), str):
        return None
    key = reference.get("key")
    return SecretKey(name, key if isinstance(key, str) else usual_key)


def _origin(section: Mapping[str, Any], part: str) -> str:
    found = _secret_key(section, part)
    return f"Secret {found.secret}, key {found.key}" if found else f"spec.connect.{_KEYS[part][0]}"


CONNECT_FORM: ConnectionForm[ConnectAccount] = ConnectionForm(
    secret_keys=_secret_keys, read_account=_read_account, default_poll=30.0, shortest_poll=BUDGET.shortest_poll
)
"""How a Connection names a Connect server. The proxy on the way is that of the operator's own environment."""
