"""Operators that are killed and come back: whichever has ended is started again, as the kubelet does."""

import asyncio
import contextlib
import random
import signal
from collections.abc import Mapping
from pathlib import Path

import psutil

from support.operator import OperatorProcess, eventually
from support.proving_ground import Ground

GONE = (OSError, RuntimeError, psutil.Error)
"""What a question to an operator ends with if that dies meanwhile, or comes to life only now."""


class Crew:
    """All operators of one installation.

    Attributes:
        operators: in a fixed order.
        kills: how many were killed.
        ended: how many ended by themselves, since they could not work.
        pids: of every process that was ever started.

    Args:
        replicas: how many there are; more than one elect a leader.
        ground: what they work on: the proxy before the API server, one namespace, the Connect server.
        variables: more of their environment.
    """

    def __init__(self, replicas: int, ground: Ground, *, variables: Mapping[str, str] | None = None) -> None:
        ground.give_token()
        usual: dict[str, str | Path] = {
            "KUBECONFIG": ground.proxy.kubeconfig(ground.folder),
            "WATCH_NAMESPACE": ground.namespace,
            "POD_NAMESPACE": ground.namespace,
            "OP_CONNECT_HOST": ground.emulator.url,
            "OP_CONNECT_TOKEN_FILE": ground.token_file,
            "AUTO_RESTART": "true",
        }
        arguments = ["--leader-elect"] if replicas > 1 else []
        self.operators = [
            OperatorProcess(
                {**usual, **(variables or {})}, log=ground.folder / f"operator-{number}.log", arguments=arguments
            )
            for number in range(replicas)
        ]
        self._starting = {operator: asyncio.Lock() for operator in self.operators}
        self.kills = 0
        self.ended = 0
        self.pids: set[int] = set()

    async def start(self) -> None:
        """Start all, one after the other, each until it is ready."""
        for operator in self.operators:
            await asyncio.to_thread(operator.start)
            self.pids.add(operator.pid)

    async def keep_running(self) -> None:
        """Start whichever has ended by itself, until cancelled."""
        while True:
            for operator, starting in self._starting.items():
                async with starting:
                    if not operator.running():
                        self.ended += 1
                        await asyncio.to_thread(operator.stop)
                        await self._start(operator)
            await asyncio.sleep(0.5)

    async def kill(self, operator: OperatorProcess) -> None:
        """Kill an operator, if it still runs, and start it again."""
        async with self._starting[operator]:
            await asyncio.to_thread(operator.stop)
            self.kills += 1
            await self._start(operator)

    def leader(self, chance: random.Random) -> OperatorProcess:
        """The operator that works now; any of them if none is known to."""
        for operator in self.operators:
            with contextlib.suppress(*GONE):
                if operator.running() and operator.metric("keyturn_leader") == 1:
                    return operator
        return chance.choice(self.operators)

    async def polled(self, number: int, *, within: float) -> None:
        """Wait for so many more looks at the vaults, by whichever works now."""
        enough = self._polls() + number

        async def check() -> None:
            assert self._polls() >= enough

        await eventually(check, within=within)

    def last_words(self) -> str:
        """What the operators logged last, for whoever must find out what went wrong."""
        return "".join(f"--- {each.log.name}\n{each.logged()[-4000:]}\n" for each in self.operators)

    def stop(self) -> None:
        """Kill all."""
        for operator in self.operators:
            operator.stop()

    async def terminate(self) -> list[int]:
        """Ask all to end, and wait for it; returns their exit codes."""
        return [await asyncio.to_thread(operator.terminate) for operator in self.operators]

    def _polls(self) -> float:
        polls = 0.0
        for operator in self.operators:
            with contextlib.suppress(*GONE):
                polls += operator.metric("keyturn_poll_duration_seconds_count")
        return polls

    async def _start(self, operator: OperatorProcess) -> None:
        """Start an operator, as often as it takes: one that cannot work just now ends by itself."""
        while True:
            try:
                await asyncio.to_thread(operator.start, ready=False)
            except (RuntimeError, psutil.Error):
                self.ended += 1
            else:
                self.pids.add(operator.pid)
                return


def strike(operator: OperatorProcess, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to an operator, if it runs."""
    if operator.running():
        operator.send(number)
