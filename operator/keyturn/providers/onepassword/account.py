"""Which service account to use: as the environment names it, or a Connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from keyturn.base.errors import translated
from keyturn.core.allowed_hosts import AllowedHosts, BadHost, parse_allowed_hosts
from keyturn.core.provider import BadProviderSettings, SecretKey
from keyturn.core.vault import VaultError
from keyturn.providers.onepassword.sdk import is_sdk_installed
from keyturn.providers.onepassword.service_token import parse_service_token
from keyturn.providers.onepassword.token_source import FixedServiceToken, ServiceTokenFile, ServiceTokens

TOKEN: Final = "token"  # noqa: S105 - a name
"""The only part of the credential."""

_VARIABLE, _FILE_VARIABLE = "OP_SERVICE_ACCOUNT_TOKEN", "OP_SERVICE_ACCOUNT_TOKEN_FILE"

ONEPASSWORD_VARIABLES: Mapping[str, str] = {
    _VARIABLE: "the token of a 1Password service account, in place of a Connect server",
    _FILE_VARIABLE: "a file with that token, read again when it changes",
}
"""The variables that are read, and what each means."""


@dataclass(frozen=True, slots=True)
class OnepasswordAccount:
    """One service account.

    Attributes:
        tokens: where its token comes from.
    """

    tokens: ServiceTokens


def read_onepassword_settings(environment: Mapping[str, str]) -> OnepasswordAccount:
    """Read the variables of service accounts.

    Raises:
        BadProviderSettings: one is missing or unusable.
    """
    token, token_file = environment.get(_VARIABLE, "").strip(), environment.get(_FILE_VARIABLE, "").strip()
    if bool(token) == bool(token_file):
        raise BadProviderSettings(f"set exactly one of {_VARIABLE} and {_FILE_VARIABLE}")
    if not is_sdk_installed():
        raise BadProviderSettings(f"{_VARIABLE} needs the package onepassword-sdk: install keyturn[onepassword]")
    with translated(lambda error: BadProviderSettings(str(error)) if isinstance(error, VaultError | BadHost) else None):
        allowed = parse_allowed_hosts(environment.get("KEYTURN_ALLOWED_HOSTS", ""))
        if token_file:
            return OnepasswordAccount(ServiceTokenFile(Path(token_file), allowed))
        return OnepasswordAccount(FixedServiceToken(parse_service_token(token, origin=_VARIABLE, allowed=allowed)))


def onepassword_secret_keys(section: Mapping[str, Any]) -> Mapping[str, SecretKey]:
    """Which key of a Secret holds the token of a Connection."""
    reference = section.get("tokenSecretRef")
    if not isinstance(reference, Mapping):
        return {}
    name, key = reference.get("name"), reference.get("key", TOKEN)
    return {TOKEN: SecretKey(name, key)} if isinstance(name, str) and isinstance(key, str) else {}


def read_onepassword_account(
    section: Mapping[str, Any], credential: Mapping[str, str], /, *, allowed: AllowedHosts
) -> OnepasswordAccount:
    """Read the service account of a Connection. No request is sent.

    Raises:
        CredentialInvalid: the token is none.
        HostNotAllowed: the token names a server that is not 1Password's.
    """
    key = onepassword_secret_keys(section).get(TOKEN)
    origin = f"Secret {key.secret}, key {key.key}" if key else "spec.onepassword.tokenSecretRef"
    token = parse_service_token(credential.get(TOKEN, ""), origin=origin, allowed=allowed)
    return OnepasswordAccount(FixedServiceToken(token))
