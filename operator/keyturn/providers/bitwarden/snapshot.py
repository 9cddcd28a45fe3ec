"""Everything that an account could see at one moment: titles in clear, all else still sealed.

A snapshot is made as a whole and replaced as a whole, so no reader ever sees a half of one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from keyturn.core.paths import normalized
from keyturn.core.vault import ItemRef, Scope
from keyturn.providers.bitwarden.answers import CollectionAnswer, Members, SyncAnswer, text_of
from keyturn.providers.bitwarden.ids import PERSONAL
from keyturn.providers.bitwarden.item_kinds import kind_of
from keyturn.providers.bitwarden.sealed import Undecipherable
from keyturn.providers.bitwarden.unlocking import Keyring

UNREADABLE = "unreadable"
_REVISION = re.compile(r"[0-9A-Za-z:.+-]{1,40}")


@dataclass(frozen=True, slots=True)
class SealedItem:
    """An item as the server keeps it.

    Attributes:
        title: opened.
        owner: id of its organisation; empty if it is in none.
        scopes: where it is: collections, or `PERSONAL`.
        revision: differs if the content does.
        state: why it is not in use; empty if it is.
        content: what the server describes, as JSON, sealed part by part.
    """

    id: str
    title: str = field(repr=False)
    owner: str
    scopes: tuple[str, ...]
    revision: str
    state: str
    category: str
    created_at: datetime | None
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that an account can see.

    Attributes:
        revision: when the account last changed, as the server puts it, just before it was read.
        scopes: the collections, and `PERSONAL`.
        refs: the items of each scope, by its id.
        items: each item, by its id.
        keyring: opens them.
    """

    revision: str
    scopes: tuple[Scope, ...]
    refs: Mapping[str, tuple[ItemRef, ...]]
    items: Mapping[str, SealedItem] = field(repr=False)
    keyring: Keyring = field(repr=False)


def take_snapshot(
    answer: SyncAnswer, keyring: Keyring, *, revision: str, number: int, before: Snapshot | None
) -> Snapshot:
    """Make a snapshot. It opens the titles of all items that changed: 20 microseconds of CPU for each.

    Args:
        answer: what the account can see.
        keyring: opens it.
        revision: of the account, just before it was read.
        number: higher than that of every snapshot before; it becomes the version of the scopes that changed.
        before: the last snapshot.
    """
    known = {} if before is None else before.items
    items: dict[str, SealedItem] = {}
    for described in answer.items:
        item = _sealed_item(described, keyring, number=number, known=known)
        items[item.id] = item
    refs: dict[str, list[ItemRef]] = {PERSONAL: [], **{each.id: [] for each in answer.collections}}
    for item in items.values():
        for scope in item.scopes:
            if scope in refs:
                refs[scope].append(_ref(item, scope))
    titles = _titles(answer.collections, keyring)
    frozen = {scope: tuple(found) for scope, found in refs.items()}
    scopes = tuple(_scope(scope, titles[scope], frozen[scope], number=number, before=before) for scope in frozen)
    return Snapshot(revision, scopes, frozen, items, keyring)


def _scope(scope: str, title: str, refs: tuple[ItemRef, ...], *, number: int, before: Snapshot | None) -> Scope:
    """A scope, whose version moves only with its items."""
    version = number
    if before is not None and before.refs.get(scope) == refs:
        version = next((each.version or number for each in before.scopes if each.id == scope), number)
    active = sum(1 for ref in refs if not ref.state)
    return Scope(id=scope, title=title, version=version, size=active)


def _titles(collections: Sequence[CollectionAnswer], keyring: Keyring) -> dict[str, str]:
    """The titles of all scopes. Those that several have, ignoring case, get their ids beside them: they are found by id alone."""
    titles = {PERSONAL: PERSONAL}
    for each in collections:
        try:
            titles[each.id] = keyring.of(each.organization).open_text(each.sealed_title)
        except Undecipherable:
            titles[each.id] = each.id
    holders: dict[str, int] = {}
    for title in titles.values():
        folded = normalized(title).casefold()
        holders[folded] = holders.get(folded, 0) + 1
    return {
        scope: title if scope == PERSONAL or holders[normalized(title).casefold()] == 1 else f"{title} ({scope})"
        for scope, title in titles.items()
    }


def _sealed_item(described: Members, keyring: Keyring, *, number: int, known: Mapping[str, SealedItem]) -> SealedItem:
    item_id, owner = text_of(described, "id"), text_of(described, "organizationId")
    content = json.dumps(described, separators=(",", ":")).encode()
    last = known.get(item_id)
    if last is not None and last.content == content and not last.state.startswith(UNREADABLE):
        return last
    revision = text_of(described, "revisionDate")
    if not _REVISION.fullmatch(revision) or (last is not None and last.revision == revision):
        # The server changed it, and did not say so.
        revision = f"{revision}+{number}" if _REVISION.fullmatch(revision) else f"unknown+{number}"
    title, state = _opened_title(described, owner, keyring)
    return SealedItem(
        id=item_id,
        title=title,
        owner=owner,
        scopes=_scopes(described, owner),
        revision=revision,
        state=state,
        category="" if (kind := kind_of(described)) is None else kind.category,
        created_at=_time(text_of(described, "creationDate")),
        content=content,
    )


def _scopes(described: Members, owner: str) -> tuple[str, ...]:
    if not owner:
        return (PERSONAL,)
    collections = described.get("collectionIds")
    found = collections if isinstance(collections, list) else []
    return tuple(dict.fromkeys(each for each in found if isinstance(each, str)))


def _opened_title(described: Members, owner: str, keyring: Keyring) -> tuple[str, str]:
    """The title of an item, and why it is not in use."""
    try:
        title = keyring.for_item(owner, text_of(described, "key")).open_text(text_of(described, "name"))
    except Undecipherable as error:
        return "", f"{UNREADABLE}: {error}"
    for member, state in (("deletedDate", "in the trash"), ("archivedDate", "archived")):
        if described.get(member):
            return title, state
    return title, ""


def _ref(item: SealedItem, scope: str) -> ItemRef:
    return ItemRef(
        id=item.id,
        scope=scope,
        title=item.title,
        revision=item.revision,
        category=item.category,
        created_at=item.created_at,
        state=item.state,
    )


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
