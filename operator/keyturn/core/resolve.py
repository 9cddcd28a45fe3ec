"""Finds what a path names among listings: by id or title, the oldest of several, saying what was ambiguous."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from keyturn.base.text import shorten
from keyturn.core.paths import looks_like_id, same_but_for_case
from keyturn.core.vault import ItemRef, Scope

Named = TypeVar("Named", Scope, ItemRef)

_NEVER = datetime.max.replace(tzinfo=UTC)


class Unresolved(LookupError):
    """A name stands for nothing that the credential can see; the message is fit for a status."""


class VaultUnresolved(Unresolved):
    """No vault has that title or id."""


class ItemUnresolved(Unresolved):
    """The vault has no item of that title or id."""


@dataclass(frozen=True, slots=True)
class Found(Generic[Named]):
    """What a name stands for.

    Attributes:
        warning: what was ambiguous and how it was decided; empty where nothing was.
    """

    match: Named
    warning: str = ""


def find_vault(scopes: Sequence[Scope], name: str) -> Found[Scope]:
    """Find a vault: by title ignoring case, the oldest of several; else by id.

    Title before id, as in the official operator: a vault whose title is another one's id wins over that id.

    Raises:
        VaultUnresolved: there is none.
    """
    titled = [scope for scope in scopes if same_but_for_case(scope.title, name)]
    if titled:
        return _oldest(titled, f"vaults are titled {shorten(name)!r}")
    for scope in scopes:
        if looks_like_id(name) and scope.id == name:
            return Found(scope)
    raise VaultUnresolved(f"no vault with the title or id {shorten(name)!r} is visible to the Connect token")


def find_item(refs: Sequence[ItemRef], name: str, *, vault: Scope) -> Found[ItemRef]:
    """Find an item of a vault: by id, else by title, the oldest of several.

    Titles that match exactly go before titles that match ignoring case, since nobody publishes which of the two
    a Connect server's own filter does.

    Raises:
        ItemUnresolved: there is none.
    """
    if looks_like_id(name):
        for ref in refs:
            if ref.id == name:
                return Found(ref)
    exact = [ref for ref in refs if ref.title == name]
    titled = exact or [ref for ref in refs if same_but_for_case(ref.title, name)]
    if titled:
        return _oldest(titled, f"items of the vault {vault.title!r} are titled {shorten(name)!r}")
    raise ItemUnresolved(f"the vault {vault.title!r} has no item with the title or id {shorten(name)!r}")


def _oldest(candidates: Sequence[Named], what: str) -> Found[Named]:
    """The earliest created; equal times, as copies of an item have, are decided by id, so that it never flips."""
    winner = min(candidates, key=lambda each: (each.created_at or _NEVER, each.id))
    if len(candidates) == 1:
        return Found(winner)
    return Found(winner, warning=f"{len(candidates)} {what}; the oldest is used, {winner.id}")
