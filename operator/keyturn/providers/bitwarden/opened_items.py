"""Opens one item of a snapshot: its values live as long as the caller keeps them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from keyturn.base.errors import translated
from keyturn.core.vault import AccessDenied, Field, FieldKind, Item, ItemRef, ItemUnreadable, Url
from keyturn.providers.bitwarden.answers import Members, text_of
from keyturn.providers.bitwarden.item_kinds import ItemKind, kind_of
from keyturn.providers.bitwarden.sealed import FILE_OVERHEAD, SymmetricKey, Undecipherable
from keyturn.providers.bitwarden.snapshot import SealedItem
from keyturn.providers.bitwarden.unlocking import Keyring

_LINKED = 3
"""The type of a custom field that repeats a property of the item."""

_URL_LABEL = "website"

_FILE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""It becomes a part of a path, which it cannot leave."""


def open_item(sealed: SealedItem, scope: str, keyring: Keyring) -> Item:
    """One item with its values: properties, notes, custom fields, then files without their content.

    Raises:
        AccessDenied: the account may use the item, but not see what it hides.
        ItemUnreadable: a part of it cannot be opened.
    """
    what = f"item {sealed.id} of vault {scope}"
    described = json.loads(sealed.content)
    if described.get("viewPassword") is False:
        raise AccessDenied(f"{what}: the collection hides its passwords from the account")
    kind = kind_of(described)
    if kind is None:
        raise ItemUnreadable(f"{what}: items of its kind are not supported")
    with translated(lambda error: _unreadable(error, what)):
        key = keyring.for_item(sealed.owner, text_of(described, "key"))
        fields = (*_fields(described, kind, key), *_files(described, key))
        urls = tuple(_urls(described, key)) if kind.part == "login" else ()
    ref = ItemRef(
        id=sealed.id,
        scope=scope,
        title=sealed.title,
        revision=sealed.revision,
        category=sealed.category,
        urls=urls,
        created_at=sealed.created_at,
    )
    return Item(ref, fields)


def _unreadable(error: Exception, what: str) -> ItemUnreadable | None:
    is_ours = isinstance(error, Undecipherable)
    return ItemUnreadable(f"{what}: a part of it is unreadable: {error}") if is_ours else None


def file_key(sealed: SealedItem, file_id: str, keyring: Keyring) -> SymmetricKey | None:
    """The key of a file's content; None if the item has no such file.

    Raises:
        Undecipherable: the key cannot be opened.
    """
    described = json.loads(sealed.content)
    for each in _objects(described.get("attachments")):
        if text_of(each, "id") == file_id:
            key = keyring.for_item(sealed.owner, text_of(described, "key"))
            own = text_of(each, "key")
            # Files of old clients have no key of their own.
            return key.open_key(own) if own else keyring.of(sealed.owner)
    return None


def _fields(described: Members, kind: ItemKind, key: SymmetricKey) -> Iterator[Field]:
    part = described.get(kind.part)
    properties: dict[str, str] = {}
    for name in kind.properties:
        if (value := _opened(part if isinstance(part, dict) else {}, name, key)) is not None:
            properties[name] = value
            yield Field(id=name, label=name, value=value)
    if (notes := _opened(described, "notes", key)) is not None:
        yield Field(id="notes", label="notes", value=notes)
    for number, each in enumerate(_objects(described.get("fields"))):
        label = _opened(each, "name", key) or ""
        value = _opened(each, "value", key)
        if each.get("type") == _LINKED:
            linked = each.get("linkedId")
            value = properties.get(kind.linked.get(linked, "")) if isinstance(linked, int) else None
        yield Field(id=f"field{number}", label=label, value=value)


def _files(described: Members, key: SymmetricKey) -> Iterator[Field]:
    for each in _objects(described.get("attachments")):
        label = _opened(each, "fileName", key) or ""
        if not _FILE_ID.fullmatch(file_id := text_of(each, "id")):
            raise Undecipherable("a file has an unknown kind of id")
        yield Field(id=file_id, label=label, kind=FieldKind.FILE, size=_size(each.get("size")))


def _size(declared: Any) -> int | None:
    """The least bytes that the content may have; the server names those of the sealed file. Never 0: only the content shows that."""
    text = str(declared)
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        return None
    return max(1, int(text) - FILE_OVERHEAD)


def _urls(described: Members, key: SymmetricKey) -> Iterator[Url]:
    login = described.get("login")
    for number, each in enumerate(_objects(login.get("uris") if isinstance(login, dict) else None)):
        if address := _opened(each, "uri", key):
            yield Url(address, _URL_LABEL, primary=number == 0)


def _opened(members: Members, name: str, key: SymmetricKey) -> str | None:
    """A sealed text; None if it is missing. Whatever else stands there is refused."""
    sealed = members.get(name)
    if sealed is None:
        return None
    if not isinstance(sealed, str):
        raise Undecipherable("it is not sealed in a known way")
    return key.open_text(sealed)


def _objects(found: Any) -> list[Members]:
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Undecipherable("a list is none")
    return found
