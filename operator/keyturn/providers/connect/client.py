"""The part of the Connect API that Keyturn uses, one method for each endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from pydantic import TypeAdapter

from keyturn.base.errors import translated
from keyturn.base.time import Time
from keyturn.core.provider import RequestObserver
from keyturn.providers.connect.api_calls import HEARTBEAT, content_call, equals, read_call, write_call
from keyturn.providers.connect.bounds import Many, list_of
from keyturn.providers.connect.connect_errors import ContentTooLarge, Misshapen
from keyturn.providers.connect.connect_settings import ConnectSettings
from keyturn.providers.connect.models import ActivityPage, ConnectItem, ConnectVault, ItemSummary
from keyturn.providers.connect.readers import (
    read_activity,
    read_content,
    read_heartbeat,
    read_item,
    read_items,
    read_written,
)
from keyturn.providers.connect.replies import read_json
from keyturn.providers.connect.sender import Sender
from keyturn.providers.connect.token import TokenSource
from keyturn.providers.connect.wire import Wire
from keyturn.providers.reading import READING

_VAULTS = "/v1/vaults"
_ITEMS = "/v1/vaults/{vault}/items"
_ITEM = "/v1/vaults/{vault}/items/{item}"
_CONTENT = "/v1/vaults/{vault}/items/{item}/files/{file}/content"
_ACTIVITY = "/v1/activity"

_VAULT_LIST = TypeAdapter(Many[ConnectVault], config=READING)


@dataclass(frozen=True, slots=True)
class Patch:
    """One step of a PATCH.

    Attributes:
        op: `add`, `replace` or `remove`.
        path: as `/title` or `/fields/{field id}/value`: the part after `/fields/` is an id, not an index.
    """

    op: str
    path: str
    value: Any = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        """The step as sent; `remove` has no value."""
        step = {"op": self.op, "path": self.path}
        return step if self.op == "remove" else {**step, "value": self.value}


class ConnectClient:
    """A client of one Connect server. Every method may raise any `ConnectError`, and obeys cancellation at once.

    Args:
        settings: address and timeouts.
        token: where the bearer token comes from; the client forgets it when it is closed.
        time: for deadlines and pauses.
        observer: observes each request as it ends.
        transport: stands in for the network, in tests.

    Attributes:
        address: of the server, for messages.
    """

    def __init__(
        self,
        settings: ConnectSettings,
        *,
        token: TokenSource,
        time: Time,
        observer: RequestObserver | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.address = settings.address
        wire = Wire(settings, transport=transport)
        self._sender = Sender(settings, token, wire=wire, time=time, observer=observer)

    async def close(self) -> None:
        """Close every connection and forget the token; later calls raise `ConfigError`."""
        await self._sender.close()

    def credential_stamp(self) -> object:
        """Differs from before if the token may be another one now; None if it never changes."""
        return self._sender.credential_stamp()

    def token_id(self) -> str:
        """Id of the present token, as Connect's activity names it; empty if it cannot be read. No request is sent."""
        return self._sender.token_id()

    async def heartbeat(self) -> None:
        """Check that the server answers: one request without token, sent again only if a kept connection turned out closed."""
        await self._sender.send(HEARTBEAT, read_heartbeat)

    async def vaults(self) -> Sequence[ConnectVault]:
        """All vaults that the token can see."""
        return await self._sender.send(read_call(_VAULTS), lambda reply: read_json(_VAULT_LIST, reply))

    async def items(self, vault_id: str, *, title: str | None = None, size: int | None = None) -> Sequence[ItemSummary]:
        """All active items of a vault, or at least those of a title; letter case may or may not count.

        For a title that no filter can hold, all items of the vault come.

        Args:
            vault_id: of the vault.
            title: of the items; None for all.
            size: how many items the vault says that it holds; the answer may be no larger than follows from that.
        """
        filter_ = None if title is None else equals("title", title)
        call = read_call(_ITEMS, filter=filter_, bounds=list_of(size), vault=vault_id)
        return await self._sender.send(call, lambda reply: read_items(reply, vault_id=vault_id))

    async def item(self, vault_id: str, item_id: str) -> ConnectItem:
        """One item with its values.

        An answer with another id, or without any fields and files, is not an item: it raises `BadAnswer`.
        """
        call = read_call(_ITEM, vault=vault_id, item=item_id)
        return await self._sender.send(call, lambda reply: read_item(reply, vault_id=vault_id, item_id=item_id))

    async def create_item(self, vault_id: str, body: Mapping[str, Any]) -> ConnectItem:
        """Create an item. It is never repeated: after an error that `may_have_been_applied`, look whether the item exists."""
        call = write_call("POST", _ITEMS, body={"vault": {"id": vault_id}, **body}, vault=vault_id)
        return await self._sender.send(call, read_written)

    async def patch_item(self, vault_id: str, item_id: str, steps: Sequence[Patch]) -> ConnectItem:
        """Change parts of an item."""
        body = [step.as_json() for step in steps]
        call = write_call("PATCH", _ITEM, body=body, vault=vault_id, item=item_id)
        return await self._sender.send(call, read_written)

    async def file_content(
        self, vault_id: str, item_id: str, file_id: str, *, limit: int, size: int | None = None
    ) -> bytes:
        """The bytes of a file, all of them or none.

        Args:
            vault_id: of the item.
            item_id: of the file.
            file_id: as in the item; the path is built from ids, never taken from an answer.
            limit: bytes that the caller can use; more raise `ContentTooLarge`, without a request if `size` is more.
            size: as in the item; another number of bytes is `Misshapen`.
        """
        most = limit if size is None else min(limit, size)
        call = content_call(_CONTENT, limit=most, vault=vault_id, item=item_id, file=file_id)
        if size is not None and size > limit:
            raise ContentTooLarge(f"{size} bytes, more than {limit}", method=call.method, route=call.route)

        def longer(error: Exception) -> Exception | None:
            if size is None or not isinstance(error, ContentTooLarge):
                return None
            # The item or the file is wrong, and either may be right again: no reason to call the item too large.
            return Misshapen(f"more than the {size} bytes that the item says", method=call.method, route=call.route)

        with translated(longer):
            return await self._sender.send(call, lambda reply: read_content(reply, size=size))

    async def activity(self, *, limit: int = 50, offset: int = 0) -> ActivityPage:
        """The requests that Connect remembers, newest first."""
        call = read_call(_ACTIVITY, query=f"limit={limit:d}&offset={offset:d}")
        return await self._sender.send(call, read_activity)
