"""The vault API for services that run agents, as far as the command line needs it: which items there are, and a look for newer ones."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from keyturn.base.call_id import current_call_id
from keyturn.base.text import shorten
from keyturn.base.time import Time
from keyturn.broker.catalog import Catalog, Catalogs, FoundItem
from keyturn.broker.doors.problems import json_answer, native_problem
from keyturn.broker.errors import BrokerError, NoConnection, NotAvailable, ReconnectRequired, of_vault
from keyturn.broker.flights import Flights
from keyturn.broker.recording import LISTING, BrokerCall, Recorder
from keyturn.control.connections.connection import Connection, Connections
from keyturn.core.access import ItemKey
from keyturn.core.access_grant import ALL_FIELDS
from keyturn.core.vault import VaultError

SPACING: Final = 10.0
"""Seconds between two looks at one connection: callers who ask sooner are answered from memory."""

_SYNC: Final = "sync"
"""What records call a look at what changed."""

_LONGEST: Final = 200
"""Characters of a text of an item: titles are written by anybody, and read by models."""

_LONGEST_PARAMETER: Final = 1000


class VaultApi:
    """Its handlers.

    Args:
        catalogs: of identities.
        connections: to the vaults.
        recorder: concludes what failed.
        time: between looks.
    """

    def __init__(self, catalogs: Catalogs, connections: Connections, recorder: Recorder, *, time: Time) -> None:
        self._catalogs = catalogs
        self._connections = connections
        self._recorder = recorder
        self._time = time
        self._looks: Flights[Connection, None] = Flights()
        self._looked_at: dict[str, float] = {}

    async def items(self, call: BrokerCall, request: Request) -> Response:
        """`GET /v1/vault/items`: what the caller finds, from memory."""
        catalog = await self._known(call)
        host = _host(request.query_params.get("url", "")[:_LONGEST_PARAMETER])
        words = request.query_params.get("q", "")[:_LONGEST_PARAMETER].casefold().split()
        shown = [each for each in catalog.items if _is_about(each, words)]
        if "url" in request.query_params:
            shown = [each for each in shown if any(_same_site(host, other) for other in _hosts(each))]
        await self._recorder.listed(call)
        granted = _granted_fields(catalog)
        return json_answer([_form(each, granted) for each in shown])

    async def sync(self, call: BrokerCall, _: Request) -> Response:
        """`POST /v1/vault/items/sync`: have the vaults listed now, and say what changed for the caller."""
        before = await self._known(call, _SYNC)
        names = sorted({served.connection for served in before.served if served.connection})
        if not names:
            await self._recorder.refused(call, NoConnection(), action=_SYNC)
            raise NoConnection
        failures = [
            (name, error)
            for name, error in zip(names, await asyncio.gather(*map(self._look, names)), strict=True)
            if error is not None
        ]
        if len(failures) == len(names):
            return await self._all_failed(call, [error for _, error in failures])
        after = await self._known(call, _SYNC)
        answer: dict[str, Any] = {"items": len(after.items), "sync_summary": _summary(before, after)}
        await self._recorder.listed(call, _SYNC)
        if failures:
            answer["errors"] = [{"connectionId": name, "code": error.code} for name, error in failures]
        return json_answer(answer)

    async def _all_failed(self, call: BrokerCall, errors: Sequence[BrokerError]) -> Response:
        others = [error for error in errors if not isinstance(error, ReconnectRequired)]
        await self._recorder.refused(call, [*others, *errors][0], action=_SYNC)
        if others:
            raise others[0]
        # Here alone a vault's refusal is a 401: whoever reads this asks people to connect the account again.
        return native_problem(errors[0], status=401)

    async def _look(self, name: str) -> BrokerError | None:
        """Have the vaults of a connection listed, unless that was done just now. Returns why it failed; None if it did not."""
        connection = self._connections.get(name)
        if connection is None:
            return NotAvailable()
        if connection not in self._looks:
            now = self._time.monotonic()
            if now - self._looked_at.get(name, float("-inf")) < SPACING:
                return of_vault(connection.health.error) if connection.health.error else None
            self._looked_at[name] = now

        async def look() -> None:
            connection.health.check()
            await connection.index.refresh(everything=True)

        try:
            await self._looks.join(connection, current_call_id.get(), look)
        except VaultError as error:
            return of_vault(error)
        return None

    async def _known(self, call: BrokerCall, action: str = LISTING) -> Catalog:
        try:
            return await self._catalogs.known(call.identity)
        except BrokerError as error:
            await self._recorder.refused(call, error, action=action)
            raise


def _summary(before: Catalog, after: Catalog) -> Mapping[str, int]:
    old = {each.key: each.resolved.ref.revision for each in before.items}
    new = {each.key: each.resolved.ref.revision for each in after.items}
    return {
        "added": len(new.keys() - old.keys()),
        "updated": sum(new[key] != old[key] for key in new.keys() & old.keys()),
        "removed": len(old.keys() - new.keys()),
        "skippedDisabled": 0,
    }


def _granted_fields(catalog: Catalog) -> Mapping[ItemKey, set[str]]:
    """The names of fields that grants give of each item."""
    found: defaultdict[ItemKey, set[str]] = defaultdict(set)
    for resolved in catalog.grants:
        for granted, key in resolved.items:
            if key is not None:
                found[key].update(name for name in granted.fields if name != ALL_FIELDS)
    return found


def _form(found: FoundItem, granted: Mapping[ItemKey, set[str]]) -> Mapping[str, Any]:
    """An item as such services show it. Its fields are those that grants name: nothing is fetched for a list."""
    key, ref = found.key, found.resolved.ref
    fields = sorted(granted.get(key, ()))
    return {
        "itemId": f"cred:{key.connection}:{key.vault}:{key.item}",
        "connectionId": key.connection,
        "label": _plain(ref.title),
        "vaultName": _plain(found.vault.title),
        "domains": sorted(set(_hosts(found))),
        "fieldMetadata": [
            {"fieldId": _plain(name), "label": _plain(name.rpartition("/")[2]), "type": ""} for name in fields
        ],
        "hasTotp": any(name.casefold().endswith("one-time password") for name in fields),
        "enabled": True,
    }


def _is_about(found: FoundItem, words: Sequence[str]) -> bool:
    """Whether an item has all of these words, in its title, tags, addresses or category. No model decides that."""
    ref = found.resolved.ref
    text = "\n".join((ref.title, ref.category, *ref.tags, *_hosts(found))).casefold()
    return all(word in text for word in words)


def _hosts(found: FoundItem) -> list[str]:
    return [host for url in found.resolved.ref.urls if (host := _host(url.href))]


def _host(address: str) -> str:
    """The host of a web address, which may lack its scheme; empty if it has none."""
    try:
        host = urlsplit(address if "//" in address else f"//{address}").hostname
    except ValueError:
        return ""
    return _plain(host or "").rstrip(".")


def _same_site(one: str, other: str) -> bool:
    """Whether two hosts are one, or one is below the other. Addresses and names of one word, as in a cluster, must be equal."""
    if not one or not other:
        return False
    upper, lower = sorted((one, other), key=len)
    is_domain = "." in upper and not upper.replace(".", "").isdecimal() and ":" not in upper
    is_domain = is_domain and not upper.endswith((".local", ".internal"))
    return one == other or (is_domain and lower.endswith(f".{upper}"))


def _plain(text: str) -> str:
    """A text of an item as data: without control characters, and short."""
    return shorten("".join(char for char in text if char.isprintable()), _LONGEST)
