"""Vaults in memory for unit tests: what they hold is a dict, they fail as a test says, and they note what they are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from keyturn.core.provider import Budget, Provider
from keyturn.core.vault import Field, FieldKind, FileTooLarge, Item, ItemRef, NotInVault, Scope, VaultError
from keyturn.providers.connect.registration import CONNECT


class FakeVaults:
    """One vault account. It begins with the vault `v`, titled `Prod`, and the items `a`, titled `db`, and `b`, titled `api`.

    Attributes:
        asked: what was asked, in order: `refresh`, `scopes`, `items v`, `items v ['db']`, `item a`, `file cert`.
        error: what every request raises; None if they work.
        refused: vaults that cannot be listed, by their ids, and what that raises.
        broken: items and files that cannot be fetched, by their ids, and what that raises.
        vaults: by id.
        listing: the items of each vault, by its id.
        fields: of each item, by its id.
        files: bytes by the field's id.
        gate: fetches of items wait for it if it is not None.
        closed: whether it was closed.
        address: of the server.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error: VaultError | None = None
        self.refused: dict[str, VaultError] = {}
        self.broken: dict[str, Exception] = {}
        self.vaults = {"v": Scope(id="v", title="Prod", version=1, size=2)}
        self.listing = {"v": [item_ref("a", "db"), item_ref("b", "api")]}
        self.fields: dict[str, tuple[Field, ...]] = {
            "a": (Field("f", "password", value="secret of a"),),
            "b": (Field("f", "password", value="secret of b"),),
        }
        self.files: dict[str, bytes] = {}
        self.gate: asyncio.Event | None = None
        self.closed = False
        self.address = "http://fake:8080"

    # What a test arranges.

    def add(self, item_id: str, title: str, *, scope: str = "v", **more: Any) -> None:
        """One more item, with one field, `password`."""
        self.listing[scope].append(replace(item_ref(item_id, title, **more), scope=scope))
        self.fields[item_id] = (Field("f", "password", value=f"secret of {item_id}"),)
        self._move(scope)

    def edit(self, item_id: str, *, value: str | None = None, scope: str = "v", **changes: Any) -> None:
        """Change an item, and with it the version of its vault.

        Args:
            item_id: of the item.
            value: the new value of its field `password`; None to leave it.
            scope: its vault.
            changes: of the item as listings show it.
        """
        if value is not None:
            self.fields[item_id] = (Field("f", "password", value=value),)
        self.listing[scope] = [replace(ref, **changes) if ref.id == item_id else ref for ref in self.listing[scope]]
        self._move(scope)

    def attach(self, item_id: str, name: str, content: bytes, *, declared: int | None = None) -> None:
        """Attach a file to an item; its id is its name."""
        size = len(content) if declared is None else declared
        self.fields[item_id] = (*self.fields[item_id], Field(name, name, kind=FieldKind.FILE, size=size))
        self.files[name] = content

    def remove(self, item_id: str, *, scope: str = "v") -> None:
        """Remove an item."""
        self.listing[scope] = [ref for ref in self.listing[scope] if ref.id != item_id]
        self._move(scope)

    def take_asked(self) -> list[str]:
        """What was asked since the last time."""
        asked, self.asked = self.asked, []
        return asked

    def _move(self, scope: str) -> None:
        self.vaults[scope] = replace(self.vaults[scope], version=(self.vaults[scope].version or 0) + 1)

    # What `Vaults` must do.

    async def refresh(self) -> None:
        self._ask("refresh")

    async def scopes(self) -> Sequence[Scope]:
        self._ask("scopes")
        return list(self.vaults.values())

    async def items(self, scope: Scope, *, wanted: Collection[str] | None) -> Sequence[ItemRef]:
        self._ask(f"items {scope.id}" if wanted is None else f"items {scope.id} {sorted(wanted)}")
        await asyncio.sleep(0)
        if (error := self.refused.get(scope.id)) is not None:
            raise error
        return list(self.listing[scope.id])

    async def item(self, scope: str, item_id: str) -> Item:
        self._ask(f"item {item_id}")
        await (asyncio.sleep(0) if self.gate is None else self.gate.wait())
        if (error := self.broken.get(item_id)) is not None:
            raise error
        for ref in self.listing[scope]:
            if ref.id == item_id:
                return Item(ref, self.fields[item_id])
        raise NotInVault(f"there is no item {item_id}")

    async def file(self, item: ItemRef, field: Field, *, limit: int) -> bytes:
        self._ask(f"file {field.id}")
        await asyncio.sleep(0)
        if (error := self.broken.get(field.id)) is not None:
            raise error
        content = self.files[field.id]
        if len(content) > limit:
            raise FileTooLarge(f"the file {field.label} of {item.title} has more than {limit} bytes")
        return content

    async def close(self) -> None:
        self.closed = True

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.error is not None:
            raise self.error


def item_ref(item_id: str, title: str, *, revision: str = "1", **more: Any) -> ItemRef:
    """An item of the vault `v` as listings show it."""
    return ItemRef(id=item_id, scope="v", title=title, revision=revision, **more)


def _read_settings(_: object) -> None:
    """Fake vaults have no settings."""


def _open(_: None, /, **__: object) -> FakeVaults:
    return FakeVaults()


FAKE: Provider[None] = Provider(
    name="fake",
    label="Fake",
    credential="the fake token",
    is_id=lambda text: len(text) == 1,
    environment={"FAKE_HOST": "address"},
    variable_prefix="FAKE_",
    read_settings=_read_settings,
    open=_open,
    budget=Budget(requests_at_once=8, shortest_poll=1.0),
    # The metrics of unit tests are made for this one.
    metrics_prefix=CONNECT.metrics_prefix,
)
"""A provider whose ids have one character."""
