"""An emulator of its own for every test, with a clock that the test moves, and a client in front of it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from connect_emulator.clock import Clock
from connect_emulator.knobs import Knobs
from connect_emulator.server import ConnectEmulator
from support.emulator import DESCRIPTION, START, Launch, Rig
from support.patience import PATIENCE_S


@pytest.fixture
async def launch() -> AsyncIterator[Launch]:
    """Starter of emulators, given a description and knobs; they end with the test.

    Replicas follow at once unless `lag_s` is given, and time stands still.
    """
    async with AsyncExitStack() as stack:

        async def start(
            description: Mapping[str, Any] = DESCRIPTION, *, seed: int = 0, tls: Any = None, **knobs: Any
        ) -> Rig:
            clock = Clock.manual(START)
            emulator = await stack.enter_async_context(
                ConnectEmulator.start(
                    description, knobs=Knobs(**{"lag_s": 0.0, **knobs}), seed=seed, tls=tls, clock=clock
                )
            )
            client = await stack.enter_async_context(
                httpx.AsyncClient(base_url=emulator.url, verify=False, trust_env=False, timeout=PATIENCE_S)  # noqa: S501 - plain HTTP
            )
            return Rig(emulator, client, clock)

        yield start


@pytest.fixture
async def rig(launch: Launch) -> Rig:
    """An emulator of the description above."""
    return await launch()
