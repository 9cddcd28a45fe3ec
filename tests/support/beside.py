"""Something that happens while something else does."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any


@asynccontextmanager
async def beside(coroutine: Coroutine[Any, Any, None], *, to_its_end: bool) -> AsyncIterator[None]:
    """Let something happen during the block, whose end raises its error.

    Args:
        coroutine: what happens.
        to_its_end: whether the block waits for its end; else it is cancelled with the block.
    """
    task = asyncio.create_task(coroutine)
    try:
        yield
    finally:
        if not to_its_end:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task
