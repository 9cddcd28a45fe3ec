"""How much one answer in JSON may hold, counted before anything is built from it.

A few kilobytes on the wire can decompress to millions of empty objects, and each of them becomes objects of Python that are a
thousand times larger. So an answer is weighed while it comes, and its reading stops at the first piece that is too much. How
deep it may be nested is bounded by pydantic's parser, at 200 levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import FailFast

from keyturn.core.content import MAX_SECRET_BYTES

_T = TypeVar("_T")


class _FirstMistakeEnds(FailFast):
    """pydantic's marker, which cannot be a part of a union: it lacks a hash."""

    __hash__ = object.__hash__


Many = Annotated[tuple[_T, ...], _FirstMistakeEnds()]
"""Any number of them. The first mistake ends the reading: a list of mistakes is far larger than the answer."""


_PER_ITEM = 60
"""The most that an item in a list is expected to weigh: about 15 members, and an object for its vault and each web address."""

_MOST_ITEMS = 50_000
"""No vault is believed to hold more: such a list would have the largest length that any answer may have."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that an answer may hold.

    Attributes:
        length: decoded bytes.
        weight: members of objects and elements of arrays, at whatever depth; each object counts as several.
    """

    length: int
    weight: int


ANSWER = Bounds(length=8 * MAX_SECRET_BYTES, weight=300_000)
"""For an item: what a Secret can hold, with every byte escaped (six bytes for one) and the old passwords that come along; and
more than 10,000 fields. A list of 10,000 vaults, or of 5,000 items, is no larger."""


def list_of(items: int | None) -> Bounds:
    """For a list of the items of a vault.

    Args:
        items: how many the vault says that it holds; None if it does not say.
    """
    believed = min(items or 0, _MOST_ITEMS)
    return Bounds(length=max(ANSWER.length, 1024 * believed), weight=max(ANSWER.weight, _PER_ITEM * believed))
