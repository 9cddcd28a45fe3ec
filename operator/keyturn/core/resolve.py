"""Finds what a path names in listings: by id or title, the oldest of several, with a warning if the name was ambiguous."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from keyturn.base.text import shorten
from keyturn.core.hints import closest
from keyturn.core.paths import letters, normalized, same_but_for_case
from keyturn.core.vault import ItemRef, Scope

_Named = TypeVar("_Named", Scope, ItemRef)

_MOST_ALIKE = 1000
"""Items of one title among which one is looked for: a server that lists tens of thousands must not take all CPU."""

_NEVER = datetime.max.replace(tzinfo=UTC)


def _nothing_known() -> Iterable[str]:
    return ()


class Unresolved(LookupError):
    """A name matches nothing that the credential can see; the message is fit for a status.

    Args:
        message: what is missing.
        name: as it was written.
        known: gives the names that could have been meant. It is asked only if somebody reads the message.
    """

    def __init__(self, message: str, *, name: str = "", known: Callable[[], Iterable[str]] = _nothing_known) -> None:
        super().__init__(message)
        self._name = name
        self._known = known

    def __str__(self) -> str:
        meant = closest(self._name, self._known())
        return super().__str__() + ("" if meant is None else f"; did you mean {meant!r}?")


class VaultUnresolved(Unresolved):
    """No vault has that title or id."""


class ItemUnresolved(Unresolved):
    """The vault has no item of that title or id."""


@dataclass(frozen=True, slots=True)
class Found(Generic[_Named]):
    """What a name matches.

    Attributes:
        warning: what was ambiguous and how it was decided; empty if nothing was.
    """

    match: _Named
    warning: str = ""


class VaultNames:
    """What names stand for among vaults: made once of a list, so that each name is found at once, however many vaults a server lists.

    Args:
        scopes: all that the credential can see.
        is_id: whether a text has the form of the provider's ids.
        credential: what the provider calls its credential, for messages.
    """

    def __init__(self, scopes: Sequence[Scope], *, is_id: Callable[[str], bool], credential: str) -> None:
        self._scopes = scopes
        self._is_id = is_id
        self._credential = credential
        self._by_id = {scope.id: scope for scope in reversed(scopes)}
        # The oldest vault of each title, and how many have that title.
        self._titled: dict[tuple[str, ...], tuple[Scope, int]] = {}
        for scope in scopes:
            title = letters(scope.title)
            oldest, count = self._titled.get(title, (scope, 0))
            self._titled[title] = (min(oldest, scope, key=_age), count + 1)

    def find(self, name: str) -> Found[Scope]:
        """Find a vault: by title ignoring case, the oldest of several; else by id.

        Title before id, as in the official operator: a vault whose title is the id of another vault wins.

        Args:
            name: a title or an id.

        Raises:
            VaultUnresolved: there is none.
        """
        if (titled := self._titled.get(letters(name))) is not None:
            return _oldest_of(*titled, f"vaults are titled {shorten(name)!r}")
        if self._is_id(name) and (scope := self._by_id.get(name)) is not None:
            return Found(scope)
        raise VaultUnresolved(
            f"no vault with the title or id {shorten(name)!r} is visible to {self._credential}",
            name=name,
            known=lambda: [scope.title for scope in self._scopes],
        )


def find_item(
    refs: Sequence[ItemRef],
    name: str,
    *,
    vault: Scope,
    is_id: Callable[[str], bool],
    titles: Callable[[], Iterable[str]] = _nothing_known,
) -> Found[ItemRef]:
    """Find an item of a vault: by id, else by title, the oldest of several.

    Titles that match exactly go before titles that are spelt with other characters for the same letters, and these before
    titles that match ignoring case: no provider documents which of these its own filter does.

    Args:
        refs: items of the vault, at least all that match the name.
        name: a title or an id.
        vault: where the items are, for messages.
        is_id: whether a text has the form of the provider's ids.
        titles: gives those of all items of the vault, as far as they are known, to guess which was meant.

    Raises:
        ItemUnresolved: there is none.
    """
    unused = None
    if is_id(name):
        for ref in refs:
            if ref.id == name and not ref.state:
                return Found(ref)
            unused = ref if ref.id == name else unused
    if len(refs) > _MOST_ALIKE:
        many = f"more than {_MOST_ALIKE} items of the vault {vault.title!r} are titled {shorten(name)!r}"
        raise ItemUnresolved(f"{many}: name the item by its id")
    active = [ref for ref in refs if not ref.state]
    exact = [ref for ref in active if ref.title == name]
    spelt = exact or [ref for ref in active if normalized(ref.title) == normalized(name)]
    titled = spelt or [ref for ref in active if same_but_for_case(ref.title, name)]
    if titled:
        what = f"items of the vault {vault.title!r} are titled {shorten(name)!r}"
        return _oldest_of(min(titled, key=_age), len(titled), what)
    if unused is not None:
        raise ItemUnresolved(f"the item {unused.id} of the vault {vault.title!r} is {unused.state}")
    raise ItemUnresolved(
        f"the vault {vault.title!r} has no item with the title or id {shorten(name)!r}", name=name, known=titles
    )


def _age(named: Scope | ItemRef) -> tuple[datetime, str]:
    """Copies of an item have equal times: their ids decide, so that the choice never flips."""
    return named.created_at or _NEVER, named.id


def _oldest_of(oldest: _Named, count: int, what: str) -> Found[_Named]:
    """The one of several that was created first."""
    if count == 1:
        return Found(oldest)
    return Found(oldest, warning=f"{count} {what}; the oldest is used, {oldest.id}")
