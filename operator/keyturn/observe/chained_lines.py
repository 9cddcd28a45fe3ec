"""The records that a process writes beside its log: in the order in which they come, chained, and never waiting long for a reader."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from keyturn.base.time import Time
from keyturn.core.audit import chain_hash
from keyturn.observe.line_sink import LineSink, SinkError

_PAUSE_S: Final = 0.01


class MakeLine(Protocol):
    """Makes a line for its place in the chain."""

    def __call__(self, *, seq: int, prev: str, instance: str) -> str:
        """One line, without its newline.

        Args:
            seq: its number, from 1.
            prev: hash of the line before; empty for the first one.
            instance: as `instance_name` makes it.
        """


def instance_name(host: str, random: bytes) -> str:
    """The name of one run of a process, whose lines are chained.

    Args:
        host: name of the pod. Its containers may start several times under this name.
        random: some bytes that the next start has not.
    """
    return f"{host}.{random.hex()}"


class ChainedLines:
    """Chained lines of one run of a process. A line counts as written once the kernel has it: it outlives the process, not the machine.

    Args:
        target: a path, or `-` for standard output.
        instance: as `instance_name` makes it.
        longest_wait: seconds that a line waits for a reader that is slow. Once one has waited in vain, none waits until the reader goes on.
        time: measures that.
    """

    def __init__(self, target: str, *, instance: str, longest_wait: float, time: Time) -> None:
        self._sink = LineSink(target)
        self._instance = instance
        self._longest_wait = longest_wait
        self._time = time
        self._turn = asyncio.Lock()
        self._seq = 0
        self._prev = ""
        self._is_blocked = False

    @property
    def name(self) -> str:
        """Where lines go, as messages name it."""
        return self._sink.name

    def open(self) -> None:
        """Open where lines go, so that a mistake shows before the first one.

        Raises:
            SinkError: it cannot be opened. A later write tries again.
        """
        self._sink.open()

    async def write(self, make: MakeLine) -> None:
        """Write one line, in turn.

        Raises:
            SinkError: it cannot be written now. Later calls try again.
        """
        deadline = self._time.monotonic() + self._longest_wait
        async with self._turn:
            self._sink.open()
            # What a stream has not yet taken of an earlier line goes first.
            await self._finish(deadline)
            line = make(seq=self._seq + 1, prev=self._prev, instance=self._instance)
            whole = f"{line}\n".encode()
            self._sink.start(whole)
            is_out = False
            try:
                await self._finish(deadline)
                is_out = True
            finally:
                # Also if the caller has gone meanwhile. A line that a stream has the beginning of stands in the chain: its rest follows.
                if is_out or (self._sink.unsent and self._sink.unsent != whole):
                    self._seq, self._prev = self._seq + 1, chain_hash(line)
                else:
                    self._sink.start(b"")

    def close(self) -> None:
        """Close a file or FIFO."""
        self._sink.close()

    async def _finish(self, deadline: float) -> None:
        if not self._sink.unsent:
            return
        while not self._sink.push():
            if self._is_blocked or self._time.monotonic() >= deadline:
                self._is_blocked = True
                raise SinkError("its reader does not go on")
            await self._time.sleep(_PAUSE_S)
        self._is_blocked = False
