"""A provider in a folder of its own: its vaults are in memory, and its ids are UUIDs."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence

from keyturn.base.time import Time
from keyturn.core.provider import BadProviderSettings, Budget, Provider, RequestObserver
from keyturn.core.vault import Field, Item, ItemRef, NotInVault, Scope

VAULT = "6f1c2a34-0d5e-4b6f-8a7b-9c0d1e2f3a4b"
ITEM = "0a1b2c3d-4e5f-4a6b-8c7d-0e1f2a3b4c5d"


class ToyVaults:
    """The `Vaults` of one box: a single vault with a single item."""

    def __init__(self, box: str, *, time: Time, observer: RequestObserver) -> None:
        self.address = "a box"
        self._scope = Scope(id=VAULT, title=box, version=1, size=1)
        self._item = ItemRef(id=ITEM, scope=VAULT, title="database", revision="1")
        self._time = time
        self._observer = observer

    async def refresh(self) -> None:
        self._observer("REFRESH", "ok", self._time.monotonic() - self._time.monotonic())

    async def scopes(self) -> Sequence[Scope]:
        return [self._scope]

    async def items(self, scope: Scope, *, wanted: Collection[str] | None) -> Sequence[ItemRef]:
        return [self._item] if scope.id == VAULT else []

    async def item(self, scope: str, item_id: str) -> Item:
        if (scope, item_id) != (VAULT, ITEM):
            raise NotInVault(f"item {item_id}")
        return Item(self._item, (Field("p", "password", value="s3cret"),))

    async def file(self, item: ItemRef, field: Field, *, limit: int) -> bytes:
        raise NotInVault(f"file {field.id} of item {item.id}, at most {limit} bytes")

    async def close(self) -> None:
        self._item = ItemRef("", "", "", "")


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID in its usual form."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def read_box(environment: Mapping[str, str]) -> str:
    """The only setting: the title of the vault."""
    if not environment.get("TOY_BOX"):
        raise BadProviderSettings("TOY_BOX is empty; it is the title of the vault")
    return environment["TOY_BOX"]


TOY: Provider[str] = Provider(
    name="toy",
    label="The toy",
    credential="the toy's key",
    is_id=is_uuid,
    environment={"TOY_BOX": "title of the vault"},
    variable_prefix="TOY_",
    read_settings=read_box,
    open=ToyVaults,
    budget=Budget(requests_at_once=1, shortest_poll=60.0),
    metrics_prefix="keyturn_toy",
)
