"""The Connect front: what Connect's own clients ask, read only. Lists hold what is granted, and nothing else is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from keyturn.base.time import Time
from keyturn.broker.catalog import Catalog, Catalogs, FoundItem
from keyturn.broker.doors.connect_forms import activity_form, file_form, item_form, page, summary_form, vault_form
from keyturn.broker.doors.filters import parse_filter
from keyturn.broker.doors.problems import ALWAYS, CONNECT_VERSION, json_answer
from keyturn.broker.errors import BrokerError, NotThere, UnreadableRequest, of_vault
from keyturn.broker.reading import FieldReader
from keyturn.broker.recording import LISTING, BrokerCall, Recorder

_VAULT_ATTRIBUTES: Final = frozenset({"name", "title"})
_ITEM_ATTRIBUTES: Final = frozenset({"title", "tag"})
_LONGEST_PAGE: Final = 1000


class ConnectFront:
    """Its handlers.

    Args:
        reader: reads.
        catalogs: of identities.
        recorder: concludes what was not read.
        time: of one-time passwords.
    """

    def __init__(self, reader: FieldReader, catalogs: Catalogs, recorder: Recorder, *, time: Time) -> None:
        self._reader = reader
        self._catalogs = catalogs
        self._recorder = recorder
        self._time = time

    async def vaults(self, call: BrokerCall, request: Request) -> Response:
        """`GET /v1/vaults`."""
        catalog = await self._catalog(call)
        found = _vaults(catalog.items)
        if text := request.query_params.get("filter"):
            wanted = parse_filter(text, _VAULT_ATTRIBUTES)
            found = [form for form in found if wanted.accepts(form.get("name", ""))]
        if not found and catalog.error is not None:
            # Nobody knows whether the list is empty.
            error = of_vault(catalog.error)
            await self._recorder.refused(call, error, action=LISTING)
            raise error
        return await self._listed(call, found)

    async def vault(self, call: BrokerCall, request: Request) -> Response:
        """`GET /v1/vaults/{vault}`."""
        catalog = await self._catalog(call)
        inside = await self._inside(call, catalog, request)
        return await self._listed(call, _vaults(inside)[0])

    async def items(self, call: BrokerCall, request: Request) -> Response:
        """`GET /v1/vaults/{vault}/items`."""
        inside = await self._inside(call, await self._catalog(call), request)
        if text := request.query_params.get("filter"):
            wanted = parse_filter(text, _ITEM_ATTRIBUTES)
            if wanted.attribute == "tag":
                inside = [each for each in inside if any(map(wanted.accepts, each.resolved.ref.tags))]
            else:
                inside = [each for each in inside if wanted.accepts(each.resolved.ref.title)]
        # Of several connections that have one item, none is chosen here, nor by what reads it.
        return await self._listed(call, list({each.key.item: summary_form(each) for each in inside}.values()))

    async def item(self, call: BrokerCall, request: Request) -> Response:
        """`GET /v1/vaults/{vault}/items/{item}`."""
        opened = await self._reader.item(call, *_ids(request))
        return _answer(item_form(opened.item, opened.found.vault, now=self._time.now()))

    async def files(self, call: BrokerCall, request: Request) -> Response:
        """`GET .../files`."""
        opened, files = await self._reader.files(call, *_ids(request))
        return _answer([file_form(each, opened.item.ref) for each in files])

    async def file(self, call: BrokerCall, request: Request) -> Response:
        """`GET .../files/{file}`."""
        opened, files = await self._reader.files(call, *_ids(request), file=request.path_params["file"])
        return _answer(file_form(files[0], opened.item.ref))

    async def content(self, call: BrokerCall, request: Request) -> Response:
        """`GET .../files/{file}/content`."""
        data = await self._reader.file(call, *_ids(request), request.path_params["file"])
        return Response(data, headers={**ALWAYS, **CONNECT_VERSION}, media_type="application/octet-stream")

    async def activity(self, call: BrokerCall, request: Request) -> Response:
        """`GET /v1/activity`: what the caller itself asked of this process, the newest first."""
        limit, offset = _number(request, "limit", 50), _number(request, "offset", 0)
        entries = [activity_form(record) for record in self._recorder.recent(call.identity)]
        shown, said = page(entries, limit=min(limit, _LONGEST_PAGE), offset=offset)
        return _answer(shown, {"Content-Range": said})

    async def nowhere(self, _: BrokerCall, __: Request) -> Response:
        """Any other path below `/v1`."""
        raise NotThere

    async def _catalog(self, call: BrokerCall) -> Catalog:
        try:
            return await self._catalogs.whole(call.identity)
        except BrokerError as error:
            await self._recorder.refused(call, error, action=LISTING)
            raise

    async def _inside(self, call: BrokerCall, catalog: Catalog, request: Request) -> Sequence[FoundItem]:
        """The items that the caller finds in the vault that a path names.

        Raises:
            NotThere: there are none.
        """
        vault = request.path_params["vault"]
        inside = [each for each in catalog.items if each.key.vault == vault]
        if not inside:
            error = catalog.not_found() if catalog.error is None else of_vault(catalog.error)
            await self._recorder.refused(call, error, action=LISTING)
            raise error
        return inside

    async def _listed(self, call: BrokerCall, data: Any) -> Response:
        await self._recorder.listed(call)
        return _answer(data)


def heartbeat() -> Response:
    """`GET /heartbeat`: that somebody answers, for whoever asks."""
    return Response(b".", headers={**ALWAYS, **CONNECT_VERSION}, media_type="text/plain; charset=utf-8")


def health() -> Response:
    """`GET /health`: what answers."""
    return _answer({"name": "Keyturn broker", "version": version("keyturn"), "dependencies": []})


def _vaults(items: Sequence[FoundItem]) -> list[dict[str, Any]]:
    vaults = {each.key.vault: each.vault for each in items}
    numbers = Counter(vault for vault, _ in {(each.key.vault, each.key.item) for each in items})
    return [vault_form(vault, numbers[identifier]) for identifier, vault in vaults.items()]


def _answer(data: Any, headers: dict[str, str] | None = None) -> Response:
    return json_answer(data, headers={**CONNECT_VERSION, **(headers or {})})


def _ids(request: Request) -> tuple[str, str]:
    return request.path_params["vault"], request.path_params["item"]


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name) or str(default)
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise UnreadableRequest(f"Invalid query: {name} must be a number")
    return int(text)
