"""Reads the answers of 1Password's SDK, within bounds, and off the event loop if they are large."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from keyturn.base.errors import translated
from keyturn.core.vault import VaultError
from keyturn.providers.onepassword.models import SdkItem, SdkOverview, SdkVault
from keyturn.providers.reading import READING

_T = TypeVar("_T")

VAULTS = TypeAdapter(tuple[SdkVault, ...], config=READING)
OVERVIEWS = TypeAdapter(tuple[SdkOverview, ...], config=READING)
ITEM = TypeAdapter(SdkItem)
_NUMBERS = TypeAdapter(list[int], config=READING)

LONGEST_LIST = 32 * 1024 * 1024
"""Characters: more than any vault that somebody works with has in its list of items."""

LONGEST_ITEM = 8 * 1024 * 1024
"""Characters: a Secret that is as large as it can be, with every byte escaped."""

_LARGE = 128 * 1024
"""Characters that are read in about a millisecond. More of them are read in a thread, so that nothing else waits."""


async def read_answer(
    adapter: TypeAdapter[_T], text: str, *, longest: int, otherwise: type[VaultError], what: str
) -> _T:
    """Read an answer in JSON.

    Args:
        adapter: of its type.
        text: the answer.
        longest: characters that it may have.
        otherwise: what to raise if it is no such answer; the message does not repeat any of it.
        what: names the requested thing, by ids.
    """
    if len(text) > longest:
        raise otherwise(f"{what}: the answer has more than {longest} characters")

    def misshapen(error: Exception) -> Exception | None:
        return (
            otherwise(f"{what}: the answer is not what was asked for") if isinstance(error, ValidationError) else None
        )

    with translated(misshapen):
        if len(text) > _LARGE:
            return await asyncio.to_thread(adapter.validate_json, text)
        return adapter.validate_json(text)


async def read_bytes(text: str, *, size: int, otherwise: type[VaultError], what: str) -> bytes:
    """The bytes of a file, which cross into Python as a list of numbers.

    Args:
        text: the answer.
        size: bytes, as the item says.
        otherwise: what to raise if it is no such answer, or has another number of bytes.
        what: names the file, by ids.
    """
    if len(text) > 5 * size + 16:
        raise otherwise(f"{what}: it has more than the {size} bytes that the item says")

    def misshapen(error: Exception) -> Exception | None:
        return otherwise(f"{what}: the answer is no content") if isinstance(error, ValueError) else None

    with translated(misshapen):
        content = await asyncio.to_thread(_as_bytes, text) if len(text) > _LARGE else _as_bytes(text)
    if len(content) != size:
        raise otherwise(f"{what}: it has {len(content)} bytes, and the item says {size}")
    return content


def _as_bytes(text: str) -> bytes:
    return bytes(_NUMBERS.validate_json(text, strict=True))
