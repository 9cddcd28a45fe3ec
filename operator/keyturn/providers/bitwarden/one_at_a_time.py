"""Runs what costs CPU and memory beside the event loop, one job at a time for the whole process.

A key derivation takes up to 128 MiB and the reading of an account several times its size: a hundred connections that start
together would take all memory there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bitwarden")


async def one_at_a_time(job: Callable[[], _T]) -> _T:
    """Run a job in the thread for these, after those that came before."""
    return await asyncio.get_running_loop().run_in_executor(_thread, job)
