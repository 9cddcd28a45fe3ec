"""The keys of an account: derived from its master password, or sealed with one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from keyturn.base.time import Time
from keyturn.core.vault import CredentialInvalid, CredentialRefused, VaultUnavailable
from keyturn.providers.bitwarden.answers import SyncAnswer, Unlocking
from keyturn.providers.bitwarden.key_derivation import derive
from keyturn.providers.bitwarden.sealed import AccountPrivateKey, SymmetricKey, Undecipherable, UnsupportedSeal

_SPACING = 60.0
"""Seconds between two derivations: a server that names another one at each look would take all CPU."""


class Keyring:
    """The keys with which items are sealed."""

    def __init__(self, user: SymmetricKey, organizations: Mapping[str, SymmetricKey]) -> None:
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


class Unlocker:
    """Opens the keys of one account, and derives its own key as rarely as possible: that takes up to a second of CPU.

    Args:
        password: the master password.
        server: where the account is, for messages.
        time: between derivations.
    """

    def __init__(self, password: str, *, server: str, time: Time) -> None:
        self._password = password
        self._server = server
        self._time = time
        self._known: tuple[Unlocking, SymmetricKey] | None = None
        self._refused: tuple[Unlocking, CredentialRefused] | None = None
        self._derived_at = float("-inf")

    def unlock(self, answer: SyncAnswer) -> Keyring:
        """Open the keys of what the account can see.

        Raises:
            CredentialRefused: the master password is another one.
            CredentialInvalid: the account is kept in a way that is not supported.
            VaultUnavailable: the server names another derivation already again.
        """
        if answer.newer:
            raise CredentialInvalid(
                f"{self._server}: the account uses Bitwarden's newer encryption (V2), which is not supported"
            )
        if (refusal := answer.unlocking.how.refusal()) is not None:
            raise CredentialInvalid(f"{self._server}: {refusal}")
        user = self._account_key(answer.unlocking)
        return Keyring(user, _organization_keys(answer, user))

    def forget(self) -> None:
        """Forget the password, and overwrite the key."""
        if self._known is not None:
            self._known[1].wipe()
        self._password, self._known, self._refused = "", None, None

    def _account_key(self, unlocking: Unlocking) -> SymmetricKey:
        if self._known is not None and self._known[0] == unlocking:
            return self._known[1]
        if self._refused is not None and self._refused[0] == unlocking:
            # To try it again would give the same.
            raise self._refused[1].without_traceback()
        now = self._time.monotonic()
        if now - self._derived_at < _SPACING:
            raise VaultUnavailable(f"{self._server}: the account's key changed twice within a minute")
        self._derived_at = now
        try:
            key = _derived_key(unlocking, self._password, self._server)
        except CredentialRefused as error:
            self._refused = unlocking, error.without_traceback()
            raise
        self._known = unlocking, key
        return key


def _derived_key(unlocking: Unlocking, password: str, server: str) -> SymmetricKey:
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
