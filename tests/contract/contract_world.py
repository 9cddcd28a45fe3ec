"""What the contract needs of a provider's test server: an account to fill, and ways to make it go wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from types import ModuleType
from typing import Any, ClassVar, Protocol, Self

import pytest

from keyturn.core.provider import Provider
from keyturn.core.vault import Vaults
from support.fake_time import FakeTime


class Step(StrEnum):
    """What is asked of the server, where something goes wrong."""

    ACCOUNT = "account"
    LISTING = "listing"
    ITEM = "item"
    FILE = "file"


class Fault(StrEnum):
    """How it goes wrong, until it is healed."""

    BAD_REQUEST = "400"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    ABSENT = "404"
    ABSENT_PAGE = "404 page"
    LATE_SYNC = "408"
    CONFLICT = "409"
    LIMITED = "429"
    LIMITED_7_S = "429 for 7 s"
    LIMITED_UNTIL = "429 until a date"
    LEGAL = "451"
    BROKEN = "500"
    GATEWAY = "502 page"
    BUSY = "503"
    REDIRECT = "302"
    RESET = "reset"
    TRUNCATED = "truncated"
    SHORT = "shorter than announced"
    HANG = "hang"
    STALL = "stall"
    DRIP = "drip"
    EMPTY = "empty"
    PAGE = "200 page"
    INVALID_JSON = "invalid JSON"
    INVALID_UTF8 = "invalid UTF-8"
    OTHER_SHAPE = "other shape"
    NULL = "null"
    BOMB = "bomb"
    OTHER_BYTES = "other bytes"


SLOW = frozenset({Fault.HANG, Fault.STALL, Fault.DRIP})
"""These end with the client's deadline."""


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item to create. Its values are canaries: no output of the provider but the item itself may hold them."""

    title: str
    fields: Mapping[str, str] = field(default_factory=lambda: {"password": "canary-password"})
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ErrorTable:
    """A table that says what each error means.

    Attributes:
        name: of it.
        meanings: by row.
        swap: exchanges what two rows mean, for as long as the patch lasts.
    """

    name: str
    meanings: Mapping[Any, Any]
    swap: Callable[[pytest.MonkeyPatch, Any, Any], None]


def table_of(module: ModuleType, name: str) -> ErrorTable:
    """A mapping, or a tuple of pairs, in a module."""
    table = getattr(module, name)
    meanings = dict(table)

    def swap(patch: pytest.MonkeyPatch, one: Any, other: Any) -> None:
        swapped = {**meanings, one: meanings[other], other: meanings[one]}
        patch.setattr(module, name, swapped if isinstance(table, Mapping) else tuple(swapped.items()))

    return ErrorTable(f"{module.__name__.rpartition('.')[2]}.{name}", meanings, swap)


class World(Protocol):
    """One account at one test server.

    Attributes:
        provider: whose account it is.
        plays: the faults that the server can play at each step.
        changes: the steps whose answers are JSON that can be changed.
        most_requests: that one failing call may send, by what it asks for.
        names_seconds: whether its errors keep the number of a Retry-After.
        tables: of errors.
        own_checks: what only this provider promises about its errors.
        time: of all its clients.
        credential: no output may hold it.
    """

    provider: ClassVar[Provider[Any]]
    plays: ClassVar[Mapping[Step, Sequence[Fault]]]
    changes: ClassVar[Sequence[Step]]
    most_requests: ClassVar[Mapping[Step, int]]
    names_seconds: ClassVar[bool]
    tables: ClassVar[Sequence[ErrorTable]]
    own_checks: ClassVar[Sequence[Callable[[Any], Awaitable[None]]]]
    time: FakeTime
    credential: str

    @classmethod
    def running(cls) -> AbstractAsyncContextManager[Self]:
        """A new account, with nothing in it."""

    @property
    def requests(self) -> int:
        """How many requests the server got so far."""

    def open(self, *, hasty: bool = False) -> Vaults:
        """A new client.

        Args:
            hasty: whether it gives up after a second.
        """

    def add_vault(self, title: str) -> str:
        """A new vault. Returns its id."""

    def add(self, vault: str, item: NewItem) -> str:
        """A new item. Returns its id."""

    def set_password(self, vault: str, item: str, value: str) -> None:
        """Change the field `password`."""

    def put_away(self, vault: str, item: str) -> None:
        """Archive an item, or put it into the trash."""

    def delete(self, vault: str, item: str) -> None:
        """Delete an item for good."""

    def accept(self, *, credential: bool) -> None:
        """Accept or refuse the credential from now on."""

    def fail(self, step: Step, fault: Fault) -> None:
        """Let a step fail until it is healed."""

    async def tamper(self, step: Step, change: Callable[[Any], Any]) -> None:
        """Until it is healed, answer with a changed copy of the right JSON."""

    def heal(self) -> None:
        """Let everything work again."""
