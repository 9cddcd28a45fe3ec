"""The keys of an account: derived from its master password, or sealed with one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from keyturn.core.vault import CredentialInvalid, CredentialRefused
from keyturn.providers.bitwarden.answers import SyncAnswer, Unlocking
from keyturn.providers.bitwarden.key_derivation import derive
from keyturn.providers.bitwarden.sealed import AccountPrivateKey, SymmetricKey, Undecipherable, UnsupportedSeal


class Keyring:
    """The keys with which items are sealed.

    Attributes:
        unlocking: what the account was unlocked with.
    """

    def __init__(self, unlocking: Unlocking, user: SymmetricKey, organizations: Mapping[str, SymmetricKey]) -> None:
        self.unlocking = unlocking
        self._user = user
        self._organizations = organizations

    @property
    def user(self) -> SymmetricKey:
        """The account's own key."""
        return self._user

    def of(self, organization: str) -> SymmetricKey:
        """The key of an organisation; of the account if the name is empty.

        Raises:
            Undecipherable: there is none that could be opened.
        """
        key = self._organizations.get(organization) if organization else self._user
        if key is None:
            raise Undecipherable("the key of its organisation cannot be opened")
        return key

    def for_item(self, organization: str, sealed_key: str) -> SymmetricKey:
        """The key of an item: its own, or if it has none, that of its owner.

        Raises:
            Undecipherable: it cannot be opened.
        """
        owner = self.of(organization)
        return owner.open_key(sealed_key) if sealed_key else owner

    def wipe(self) -> None:
        """Overwrite all keys."""
        for key in self:
            key.wipe()

    def __iter__(self) -> Iterator[SymmetricKey]:
        yield self._user
        yield from self._organizations.values()


def unlock(answer: SyncAnswer, password: str, *, server: str, known: Keyring | None) -> Keyring:
    """Open the keys of an account. It takes up to a second of CPU, unless a known key is still the right one.

    Args:
        answer: what the account can see.
        password: the master password.
        server: where the account is, for messages.
        known: the keys as they were.

    Raises:
        CredentialRefused: the master password is another one.
        CredentialInvalid: the account is kept in a way that is not supported.
    """
    how = answer.unlocking.how
    if answer.newer:
        raise CredentialInvalid(f"{server}: the account uses Bitwarden's newer encryption (V2), which is not supported")
    if (refusal := how.refusal()) is not None:
        raise CredentialInvalid(f"{server}: {refusal}")
    if known is not None and known.unlocking == answer.unlocking:
        user = known.user
    else:
        user = _account_key(answer.unlocking, password, server)
    return Keyring(answer.unlocking, user, _organization_keys(answer, user))


def _account_key(unlocking: Unlocking, password: str, server: str) -> SymmetricKey:
    derived = derive(password, unlocking.salt, unlocking.how)
    try:
        return derived.open_key(unlocking.sealed_key)
    except UnsupportedSeal as error:
        problem: CredentialRefused = CredentialInvalid(f"{server}: the account's key cannot be opened: {error}")
    except Undecipherable:
        problem = CredentialRefused(f"{server}: the master password does not open the account")
    raise problem


def _organization_keys(answer: SyncAnswer, user: SymmetricKey) -> dict[str, SymmetricKey]:
    """The keys that can be opened: what one organisation does wrong is no reason to lose the others."""
    opened: dict[str, SymmetricKey] = {}
    if not answer.organizations:
        return opened
    try:
        private = AccountPrivateKey(user.open(answer.sealed_private_key))
    except Undecipherable:
        return opened
    for organization, sealed in answer.organizations.items():
        try:
            opened[organization] = private.open_key(sealed)
        except Undecipherable:
            continue
    return opened
