"""Turns good answers into results, and refuses those that only look good."""

from __future__ import annotations

import re
from typing import TypeVar

from pydantic import TypeAdapter

from .answers import Answer, read_json
from .models import Activity, ActivityPage, Item, ItemFile, ItemSummary, Vault

S = TypeVar("S", Vault, ItemFile)

_ACTIVITY = TypeAdapter(tuple[Activity, ...])
_ITEMS = TypeAdapter(tuple[ItemSummary, ...])
_ITEM = TypeAdapter(Item)


def read_same(adapter: TypeAdapter[S], answer: Answer, asked: str) -> S:
    """One vault or file, if it is the one that was asked for.

    Raises:
        BadAnswer: another id or shape.
    """
    found = read_json(adapter, answer)
    if found.id != asked:
        raise answer.bad("it speaks of another id than was asked for")
    return found


def read_item(answer: Answer, *, vault_id: str, item_id: str) -> Item:
    """The item that was asked for, with its values.

    Connect omits empty members, so that an item may lack `fields` (a document) or `files` (most); one that lacks both
    is a summary or no item at all, and must never be taken for an empty one.

    Raises:
        BadAnswer: another id, another vault, or not an item.
    """
    item = read_json(_ITEM, answer)
    if item.id != item_id or (item.vault.id and item.vault.id != vault_id):
        raise answer.bad("it speaks of another id than was asked for")
    if item.fields is None and item.files is None:
        raise answer.bad("it has neither fields nor files")
    return item


def read_items(answer: Answer, *, vault_id: str) -> tuple[ItemSummary, ...]:
    """The items of a vault, all of them or none.

    Raises:
        BadAnswer: not a list of items, or one of another vault among them.
    """
    items = read_json(_ITEMS, answer)
    if any(item.vault.id not in {"", vault_id} for item in items):
        raise answer.bad("it speaks of another vault than was asked for")
    return items


def read_written(answer: Answer) -> Item:
    """The item as the server understood it.

    Raises:
        BadAnswer: not an item.
    """
    return read_json(_ITEM, answer)


def read_content(answer: Answer, *, size: int | None) -> bytes:
    """The bytes of a file.

    Raises:
        BadAnswer: not as many as the item says, or a web page where it says nothing.
    """
    if answer.status != 200:
        raise answer.bad("only 200 has content")
    if size is not None and len(answer.body) != size:
        raise answer.bad(f"the item says {size} bytes")
    if size is None and "html" in answer.headers.get("content-type", "").lower():
        raise answer.bad("a file comes as octets")
    return answer.body


def read_activity(answer: Answer) -> ActivityPage:
    """A page of requests, with the total that `Content-Range` names as in `1-50/1134`.

    Raises:
        BadAnswer: another shape.
    """
    total = re.search(r"/(\d{1,18})\s*$", answer.headers.get("content-range", ""))
    return ActivityPage(read_json(_ACTIVITY, answer), int(total[1]) if total else None)


def read_nothing(_answer: Answer) -> None:
    """Any success will do: DELETE answers 204, and a proxy may make it 200."""
