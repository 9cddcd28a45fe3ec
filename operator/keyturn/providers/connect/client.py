"""The whole Connect API, one method for each of its fifteen endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
from pydantic import TypeAdapter

from keyturn.base.time import Time
from keyturn.core.provider import RequestObserver

from . import calls, health
from .answers import read_json
from .connect_settings import ConnectSettings
from .errors import FileTooLarge
from .models import ActivityPage, Item, ItemFile, ItemSummary, ServerHealth, Vault
from .readers import read_activity, read_content, read_item, read_items, read_nothing, read_same, read_written
from .sender import Sender
from .token import TokenSource
from .watching import HostState
from .wire import Wire

T = TypeVar("T")

VAULTS = "/v1/vaults"
VAULT = "/v1/vaults/{vault}"
ITEMS = "/v1/vaults/{vault}/items"
ITEM = "/v1/vaults/{vault}/items/{item}"
FILES = "/v1/vaults/{vault}/items/{item}/files"
FILE = "/v1/vaults/{vault}/items/{item}/files/{file}"
CONTENT = "/v1/vaults/{vault}/items/{item}/files/{file}/content"
ACTIVITY = "/v1/activity"

_VAULTS = TypeAdapter(tuple[Vault, ...])
_VAULT = TypeAdapter(Vault)
_FILES = TypeAdapter(tuple[ItemFile, ...])
_FILE = TypeAdapter(ItemFile)


@dataclass(frozen=True, slots=True)
class Patch:
    """One step of a PATCH.

    Attributes:
        op: `add`, `replace` or `remove`.
        path: as `/title` or `/fields/{field id}/value`: what follows `/fields/` is an id, not an index.
    """

    op: str
    path: str
    value: Any = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        """The step as sent; `remove` has no value."""
        step = {"op": self.op, "path": self.path}
        return step if self.op == "remove" else {**step, "value": self.value}


class ConnectClient:
    """Talks to one Connect server. Every method may raise any `ConnectError`, and obeys cancellation at once.

    Args:
        settings: address and timeouts.
        token: where the bearer token comes from; the client forgets it when it is closed.
        time: for deadlines and pauses.
        observer: observes each request as it ends.
        transport: stands in for the network, in tests.
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
        wire = Wire(settings, transport=transport)
        self._sender = Sender(settings, token, wire=wire, time=time, observer=observer)

    def state(self) -> HostState:
        """What the client thinks of its server now; costs no request."""
        return self._sender.state()

    async def close(self) -> None:
        """End every connection and forget the token; later calls raise `ConfigError`."""
        await self._sender.close()

    async def vaults(self, *, name: str | None = None) -> Sequence[Vault]:
        """All vaults that the token can see, or those of one name; letter case may or may not count."""
        if name is None:
            return await self._get(VAULTS, _VAULTS)
        filter_ = calls.equals("name", name)
        if filter_ is not None:
            return await self._get(VAULTS, _VAULTS, filter=filter_)
        return [vault for vault in await self.vaults() if _alike(vault.name, name)]

    async def vault(self, vault_id: str) -> Vault:
        """One vault."""
        call = calls.read(VAULT, vault=vault_id)
        return await self._sender.send(call, lambda answer: read_same(_VAULT, answer, vault_id))

    async def items(self, vault_id: str, *, title: str | None = None, tag: str | None = None) -> Sequence[ItemSummary]:
        """All active items of a vault, or those of one title or one tag; letter case may or may not count.

        A text that no filter can hold costs a list of the whole vault.
        """
        wanted = [(name, text) for name, text in (("title", title), ("tag", tag)) if text is not None]
        if len(wanted) > 1:
            raise ValueError("Connect filters by a title or by a tag, not by both")
        filter_ = calls.equals(*wanted[0]) if wanted else None
        call = calls.read(ITEMS, filter=filter_, vault=vault_id)
        everything = await self._sender.send(call, lambda answer: read_items(answer, vault_id=vault_id))
        if filter_ is not None or not wanted:
            return everything
        if title is not None:
            return [item for item in everything if _alike(item.title, title)]
        return [item for item in everything if any(_alike(own, tag or "") for own in item.tags)]

    async def item(self, vault_id: str, item_id: str) -> Item:
        """One item with its values.

        An answer of another id, or without any fields and files, is not an item: it raises `BadAnswer`.
        """
        call = calls.read(ITEM, vault=vault_id, item=item_id)
        return await self._sender.send(call, lambda answer: read_item(answer, vault_id=vault_id, item_id=item_id))

    async def create_item(self, vault_id: str, body: Mapping[str, Any]) -> Item:
        """Create an item. Never repeated once sent: after an error, look whether it exists."""
        return await self._write("POST", ITEMS, {"vault": {"id": vault_id}, **body}, vault=vault_id)

    async def replace_item(self, vault_id: str, item_id: str, body: Mapping[str, Any]) -> Item:
        """Replace an item as a whole. The answer still has the old `version`: ignore it."""
        whole = {"vault": {"id": vault_id}, "id": item_id, **body}
        return await self._write("PUT", ITEM, whole, vault=vault_id, item=item_id)

    async def patch_item(self, vault_id: str, item_id: str, steps: Sequence[Patch]) -> Item:
        """Change parts of an item."""
        return await self._write("PATCH", ITEM, [step.as_json() for step in steps], vault=vault_id, item=item_id)

    async def delete_item(self, vault_id: str, item_id: str) -> None:
        """Delete an item for good. A 404 after a try that may have worked counts as done."""
        await self._sender.send(calls.delete(ITEM, vault=vault_id, item=item_id), read_nothing)

    async def files(self, vault_id: str, item_id: str, *, inline: bool = False) -> Sequence[ItemFile]:
        """The files of an item; with their content, where all are small enough for the server (else `TooLargeToInline`)."""
        return await self._get(FILES, _FILES, query=_inline(wanted=inline), vault=vault_id, item=item_id)

    async def file(self, vault_id: str, item_id: str, file_id: str, *, inline: bool = False) -> ItemFile:
        """One file's description; with its content, where it is small enough for the server (else `TooLargeToInline`)."""
        call = calls.read(FILE, query=_inline(wanted=inline), vault=vault_id, item=item_id, file=file_id)
        return await self._sender.send(call, lambda answer: read_same(_FILE, answer, file_id))

    async def file_content(
        self, vault_id: str, item_id: str, file_id: str, *, limit: int, size: int | None = None
    ) -> bytes:
        """The bytes of a file, all of them or none.

        Args:
            vault_id: of the item.
            item_id: of the file.
            file_id: as the item names it; the path is built from ids, never taken from an answer.
            limit: bytes that the caller can use; more raise `FileTooLarge`, before asking where `size` tells.
            size: what the item said; another number of bytes is a `BadAnswer`, tried again.
        """
        call = calls.content(CONTENT, limit=limit, vault=vault_id, item=item_id, file=file_id)
        if size is not None and size > limit:
            raise FileTooLarge(f"{size} bytes, more than {limit}", method=call.method, route=call.route)
        return await self._sender.send(call, lambda answer: read_content(answer, size=size))

    async def activity(self, *, limit: int = 50, offset: int = 0) -> ActivityPage:
        """What Connect remembers of requests, newest first."""
        call = calls.read(ACTIVITY, query=f"limit={limit:d}&offset={offset:d}")
        return await self._sender.send(call, read_activity)

    async def heartbeat(self) -> None:
        """Ask whether the server lives: exactly one request, no token, no retry, even while the circuit is open."""
        await self._sender.send(health.HEARTBEAT, health.read_heartbeat)

    async def health(self) -> ServerHealth:
        """What the server says of its parts; needs no token."""
        return await self._sender.send(health.HEALTH, health.read_health)

    async def metrics(self) -> str:
        """The server's own metrics as Prometheus text; needs no token."""
        return await self._sender.send(health.METRICS, health.read_metrics)

    async def _get(self, route: str, adapter: TypeAdapter[T], **parts: Any) -> T:
        return await self._sender.send(calls.read(route, **parts), lambda answer: read_json(adapter, answer))

    async def _write(self, method: str, route: str, body: Any, **ids: str) -> Item:
        return await self._sender.send(calls.write(method, route, body=body, **ids), read_written)


def _inline(*, wanted: bool) -> str:
    """The OpenAPI description and the reference page disagree about the name; unknown ones are ignored."""
    return "inline_files=true&inline_content=true" if wanted else ""


def _alike(one: str, other: str) -> bool:
    """As generous as the server may be: the caller compares exactly, whoever did the filtering."""
    return one.casefold() == other.casefold()
