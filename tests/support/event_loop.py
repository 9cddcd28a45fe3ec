"""Lets the other tasks of a test go on, without a clock."""

import asyncio
from collections.abc import Callable

_MOST_TURNS = 500


async def turns(number: int) -> None:
    """Let the event loop turn so often."""
    for _ in range(number):
        await asyncio.sleep(0)


async def until(holds: Callable[..., object]) -> None:
    """Let the event loop turn until something holds.

    Args:
        holds: says whether it does; it needs no arguments, and may have some with defaults.

    Raises:
        AssertionError: it does not come about.
    """
    for _ in range(_MOST_TURNS):
        if holds():
            return
        await turns(1)
    raise AssertionError("it did not come about")
