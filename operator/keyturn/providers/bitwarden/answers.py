"""Reads what a Bitwarden server answers, and refuses what is something else.

Names of members begin with a small letter from some servers and with a capital from others. Members that are never used are dropped
while the text is read: old passwords, a second copy of each item, web addresses that differ at each look.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from keyturn.providers.bitwarden.ids import is_bitwarden_id
from keyturn.providers.bitwarden.key_derivation import KeyDerivation

Members: TypeAlias = Mapping[str, Any]

_UNUSED = frozenset(
    {
        *("data", "passwordHistory", "fido2Credentials", "url", "sizeName", "object", "folderId", "favorite", "edit"),
        *("permissions", "organizationUseTotp", "reprompt", "uriChecksum", "match", "passwordRevisionDate"),
        *("domains", "sends", "policies", "folders", "providers", "providerOrganizations"),
    }
)


_LONGEST_LIFETIME = 86_400.0
_LARGEST_COST = 10**9


class Unexpected(Exception):
    """An answer is not what the API gives; the message names the part, never what it holds."""


@dataclass(frozen=True, slots=True)
class Unlocking:
    """What an account is unlocked with, beside its master password.

    Attributes:
        salt: of the key derivation.
        how: the key derivation.
        sealed_key: the account's key, sealed with what is derived.
    """

    salt: str
    how: KeyDerivation
    sealed_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LoginAnswer:
    """A successful login.

    Attributes:
        token: for requests to the API.
        lifetime: seconds for which the token is good.
        how: the key derivation; None if the server does not name it here.
    """

    token: str = field(repr=False)
    lifetime: float
    how: KeyDerivation | None


@dataclass(frozen=True, slots=True)
class CollectionAnswer:
    """A collection that the account can see; its title is sealed with the key of the organisation."""

    id: str
    organization: str
    sealed_title: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SyncAnswer:
    """Everything that an account can see, sealed.

    Attributes:
        user: id of the account.
        unlocking: what it is unlocked with.
        sealed_private_key: with which organisations seal their keys for it; empty if it has none.
        newer: whether the account uses encryption that is not supported.
        organizations: the sealed key of each, by id.
        collections: of these.
        items: as the server describes them, without what is never used.
    """

    user: str
    unlocking: Unlocking
    sealed_private_key: str = field(repr=False)
    newer: bool
    organizations: Mapping[str, str] = field(repr=False)
    collections: Sequence[CollectionAnswer]
    items: Sequence[Members] = field(repr=False)


def read_login(body: bytes) -> LoginAnswer:
    """Read the answer to a login.

    Raises:
        Unexpected: it is none.
    """
    answer = _members(_parsed(body))
    token, lifetime = text_of(answer, "access_token"), answer.get("expires_in")
    if not token.isascii() or not token.isprintable() or not token:
        raise Unexpected("a login has no token")
    seconds = min(lifetime, _LONGEST_LIFETIME) if isinstance(lifetime, int | float) else 0.0
    return LoginAnswer(token, float(seconds), _derivation(answer, "kdf", prefix="kdf"))


def read_revision(body: bytes) -> str:
    """The text that changes whenever anything changes that the account can see.

    Raises:
        Unexpected: the answer is no time.
    """
    answer = _parsed(body)
    if isinstance(answer, bool) or not isinstance(answer, int | float | str) or len(str(answer)) > 64:
        raise Unexpected("the time of the last change is none")
    return str(answer)


def read_file_address(body: bytes) -> str:
    """Where the content of a file is.

    Raises:
        Unexpected: the answer does not say.
    """
    # `url` is otherwise dropped.
    answer = _loaded(body, keep=frozenset({"url"}))
    if not isinstance(answer, dict) or not text_of(answer, "url"):
        raise Unexpected("the description of a file has no address")
    return text_of(answer, "url")


def read_sync(body: bytes, *, how: KeyDerivation | None) -> SyncAnswer:
    """Read everything that an account can see.

    Args:
        body: of the answer.
        how: the key derivation by the login, for servers that do not repeat it.

    Raises:
        Unexpected: it is something else; nothing may be concluded from it.
    """
    answer = _members(_parsed(body))
    profile = _members(answer.get("profile"))
    items = answer.get("ciphers")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Unexpected("a sync has no items")
    collections, organizations = _listed(answer, "collections"), _listed(profile, "organizations")
    if not all(is_bitwarden_id(text_of(each, "id")) for each in (*items, *collections)):
        raise Unexpected("an item or a collection has no id")
    keys = _members(profile.get("accountKeys"))
    pair = _members(keys.get("publicKeyEncryptionKeyPair"))
    return SyncAnswer(
        user=text_of(profile, "id"),
        unlocking=_unlocking(answer, profile, how),
        sealed_private_key=text_of(pair, "wrappedPrivateKey") or text_of(profile, "privateKey"),
        newer=bool(keys.get("signatureKeyPair") or keys.get("securityState")),
        organizations={text_of(each, "id"): text_of(each, "key") for each in organizations},
        collections=[
            CollectionAnswer(text_of(each, "id"), text_of(each, "organizationId"), text_of(each, "name"))
            for each in collections
        ],
        items=items,
    )


def text_of(members: Members, name: str) -> str:
    """A member that is a text; empty if it is missing or something else."""
    found = members.get(name)
    return found if isinstance(found, str) else ""


def _unlocking(answer: Members, profile: Members, how: KeyDerivation | None) -> Unlocking:
    unlock = _members(_members(answer.get("userDecryption")).get("masterPasswordUnlock"))
    how = _derivation(_members(unlock.get("kdf")), "kdfType") or how
    sealed = text_of(unlock, "masterKeyWrappedUserKey") or text_of(unlock, "masterKeyEncryptedUserKey")
    salt = text_of(unlock, "salt") or text_of(profile, "email").strip().lower()
    sealed = sealed or text_of(profile, "key")
    if how is None or not sealed or not salt:
        raise Unexpected("a sync does not say how the account is unlocked")
    return Unlocking(salt, how, sealed)


def _derivation(members: Members, kind: str, *, prefix: str = "") -> KeyDerivation | None:
    """The key derivation; None if the server does not name it.

    Args:
        members: what names it.
        kind: the member with its kind.
        prefix: how the other members' names begin.
    """

    def number(name: str) -> int:
        found = members.get(f"{prefix}{name.capitalize()}" if prefix else name)
        return min(max(found, -1), _LARGEST_COST) if isinstance(found, int) else 0

    named = members.get(kind)
    if not isinstance(named, int):
        return None
    return KeyDerivation(
        min(max(named, -1), _LARGEST_COST), number("iterations"), number("memory"), number("parallelism")
    )


def _listed(members: Members, name: str) -> list[Members]:
    found = members.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Unexpected(f"{name} is no list")
    return found


def _members(found: Any) -> Members:
    return found if isinstance(found, dict) else {}


def _parsed(body: bytes) -> Any:
    return _loaded(body, keep=frozenset())


def _loaded(body: bytes, *, keep: frozenset[str]) -> Any:
    unused = _UNUSED - keep

    def used(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        lowered = ((name[:1].lower() + name[1:], value) for name, value in pairs if value is not None)
        return {name: value for name, value in lowered if name not in unused}

    try:
        return json.loads(body, object_pairs_hook=used)
    except (ValueError, RecursionError):
        pass
    raise Unexpected("it is not JSON")
