"""Turns good answers into results, and refuses those that only look good."""

from __future__ import annotations

import re

from pydantic import TypeAdapter

from keyturn.providers.connect.bounds import Many
from keyturn.providers.connect.models import Activity, ActivityPage, ConnectItem, ItemSummary
from keyturn.providers.connect.replies import Reply, read_json
from keyturn.providers.reading import READING

_ACTIVITY = TypeAdapter(Many[Activity], config=READING)
_ITEMS = TypeAdapter(Many[ItemSummary], config=READING)
_ITEM = TypeAdapter(ConnectItem)


def read_heartbeat(reply: Reply) -> None:
    """Connect answers one dot as plain text. Other short texts pass; a web page does not: proxies send those.

    Raises:
        BadAnswer: this is not Connect.
    """
    page = "html" in reply.headers.get("content-type", "").lower() or reply.body.lstrip()[:1] == b"<"
    if reply.status != 200 or page:
        raise reply.bad("a heartbeat is one dot")


def read_item(reply: Reply, *, vault_id: str, item_id: str) -> ConnectItem:
    """The requested item, with its values.

    Connect omits empty members, so that an item may lack `fields` (a document) or `files` (most items). An answer that lacks
    both is a summary or no item at all, and must never count as an empty item.

    Raises:
        BadAnswer: another id, another vault, or not an item.
    """
    item = read_json(_ITEM, reply)
    if item.id != item_id or (item.vault.id and item.vault.id != vault_id):
        raise reply.misshapen("its id is not the requested one")
    if item.fields is None and item.files is None:
        raise reply.misshapen("it has neither fields nor files")
    return item


def read_items(reply: Reply, *, vault_id: str) -> tuple[ItemSummary, ...]:
    """The items of a vault, all of them or none.

    Raises:
        BadAnswer: not a list of items, or one of another vault among them.
    """
    items = read_json(_ITEMS, reply)
    if any(item.vault.id not in {"", vault_id} for item in items):
        raise reply.bad("it has an item of another vault")
    return items


def read_written(reply: Reply) -> ConnectItem:
    """The item as the server understood it.

    Raises:
        BadAnswer: not an item.
    """
    return read_json(_ITEM, reply)


def read_content(reply: Reply, *, size: int | None) -> bytes:
    """The bytes of a file.

    Raises:
        BadAnswer: another number of bytes than in the item, or a web page if the item names no size.
    """
    if reply.status != 200:
        raise reply.bad("only 200 has content")
    if size is not None and len(reply.body) != size:
        raise reply.misshapen(f"the item says {size} bytes")
    if size is None and "html" in reply.headers.get("content-type", "").lower():
        raise reply.bad("a file comes as octets")
    return reply.body


def read_activity(reply: Reply) -> ActivityPage:
    """A page of requests, with the total that `Content-Range` names as in `1-50/1134`.

    Raises:
        BadAnswer: another shape.
    """
    total = re.search(r"/(\d{1,18})\s*$", reply.headers.get("content-range", ""))
    return ActivityPage(read_json(_ACTIVITY, reply), int(total[1]) if total else None)
