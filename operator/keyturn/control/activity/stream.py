"""The lines that a process writes beside its log: in the order in which they come, chained, and never waiting long for a reader."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from keyturn.base.time import Time
from keyturn.broker.audit_sink import AuditSink, SinkError
from keyturn.core.audit import chain_hash

_PATIENCE: Final = 10.0
"""Seconds that a line waits for a reader that is slow."""

_PAUSE: Final = 0.05


def instance_name(host: str, random: bytes) -> str:
    """The name of one run of a process, whose lines are chained.

    Args:
        host: name of the pod. Its containers may start several times under this name.
        random: some bytes that the next start has not.
    """
    return f"{host}.{random.hex()}"


class MakeLine(Protocol):
    """Makes a line for its place in the stream."""

    def __call__(self, *, seq: int, prev: str, instance: str) -> str:
        """One line, without its newline.

        Args:
            seq: its number, from 1.
            prev: hash of the line before; empty for the first one.
            instance: of the process.
        """


class LineStream:
    """Chained lines of one process. A line counts as written once the kernel has it: it outlives the process, but not the machine.

    Args:
        target: a path, or `-` for standard output.
        instance: names this run of the process, whose lines are chained.
        time: measures how long a reader is waited for.
    """

    def __init__(self, target: str, *, instance: str, time: Time) -> None:
        self._sink = AuditSink(target)
        self._instance = instance
        self._time = time
        self._turn = asyncio.Lock()
        self._seq = 0
        self._prev = ""

    @property
    def name(self) -> str:
        """Where lines go, as messages name it."""
        return self._sink.name

    async def write(self, make: MakeLine) -> None:
        """Write one line.

        Raises:
            SinkError: it cannot be written now.
        """
        async with self._turn:
            self._sink.open()
            # What a stream has not yet taken of an earlier line goes first.
            await self._finish()
            line = make(seq=self._seq + 1, prev=self._prev, instance=self._instance)
            whole = f"{line}\n".encode()
            self._sink.start(whole)
            is_out = False
            try:
                await self._finish()
                is_out = True
            finally:
                # A line that a stream has the beginning of stands in the chain: its rest follows.
                if is_out or (self._sink.unsent and self._sink.unsent != whole):
                    self._seq, self._prev = self._seq + 1, chain_hash(line)
                else:
                    self._sink.start(b"")

    def close(self) -> None:
        """Close a file or FIFO."""
        self._sink.close()

    async def _finish(self) -> None:
        deadline = self._time.monotonic() + _PATIENCE
        while not self._sink.push():
            if self._time.monotonic() >= deadline:
                raise SinkError("its reader does not go on")
            await self._time.sleep(_PAUSE)
