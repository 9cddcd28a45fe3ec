"""Writes audit records: in the order in which they come, chained, and out of the process before anything is answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Final

from keyturn.base.log import StateLog, error, info
from keyturn.base.time import Time
from keyturn.broker.audit_sampling import AuditSampling
from keyturn.broker.audit_sink import AuditSink, SinkError
from keyturn.broker.errors import AuditUnavailable
from keyturn.core.audit import AuditRecord, chain_hash, to_json

_log = logging.getLogger(__name__)

_CANNOT_WRITE = error("cannot write audit records to {sink}, so nothing is answered: {detail}")
_WRITES_AGAIN = info("audit records are written again, after {duration}")

PATIENCE_S: Final = 1.0
"""So long a record waits for a reader that is slow. Once one has waited in vain, none waits until the reader goes on."""

_PAUSE_S: Final = 0.01


class AuditResult(StrEnum):
    """What became of one record, for metrics."""

    WRITTEN = "written"
    FAILED = "failed"
    LEFT_OUT = "left_out"


def instance_name(host: str, random: bytes) -> str:
    """The name of one run of the broker's process, whose records are chained.

    Args:
        host: name of the pod. Its containers may start several times under this name.
        random: some bytes that the next start has not.
    """
    return f"{host}.{random.hex()}"


def _count_nothing(_: AuditResult) -> None:
    pass


class AuditLog:
    """The audit of this process. A record counts as written once the kernel has it: it outlives this process, but not the machine.

    Args:
        target: a path, or `-` for standard output.
        instance: as `instance_name` makes it.
        time: measures how long a reader is waited for.
        count: is called with what became of each record.
    """

    def __init__(
        self, target: str, *, instance: str, time: Time, count: Callable[[AuditResult], None] = _count_nothing
    ) -> None:
        self._sink = AuditSink(target)
        self._instance = instance
        self._time = time
        self._count = count
        self._sampling = AuditSampling()
        self._turn = asyncio.Lock()
        self._seq = 0
        self._prev = ""
        self._is_blocked = False
        self._state = StateLog(_log, failed=_CANNOT_WRITE, recovered=_WRITES_AGAIN, time=time)
        self._problem = ""

    @property
    def problem(self) -> str:
        """Why the last record could not be written; empty if it was."""
        return self._problem

    def check(self) -> None:
        """Open where records go, so that a mistake shows before the first read.

        Raises:
            AuditUnavailable: it cannot be opened. A later write tries again.
        """
        problem = ""
        try:
            self._sink.open()
        except SinkError as failure:
            problem = str(failure)
        self._conclude(problem)

    async def write(self, record: AuditRecord) -> None:
        """Write a record. Of an unknown caller's, most are only counted.

        Raises:
            AuditUnavailable: it cannot be written now, so nothing may be answered. Later calls try again.
        """
        if not record.caller.is_known:
            repeated = self._sampling.take(record.caller.ip, self._time.monotonic())
            if repeated is None:
                self._count(AuditResult.LEFT_OUT)
                return
            record = replace(record, repeated=repeated)
        deadline = self._time.monotonic() + PATIENCE_S
        problem = ""
        async with self._turn:
            try:
                await self._append(record, deadline)
            except SinkError as failure:
                problem = str(failure)
        self._count(AuditResult.FAILED if problem else AuditResult.WRITTEN)
        self._conclude(problem)

    def close(self) -> None:
        """Close a file or FIFO."""
        self._sink.close()

    def _conclude(self, problem: str) -> None:
        self._problem = problem
        if problem:
            self._state.bad(problem, problem, sink=self._sink.name)
            raise AuditUnavailable
        self._state.good()

    async def _append(self, record: AuditRecord, deadline: float) -> None:
        self._sink.open()
        # What a stream has not yet taken of an earlier record goes first.
        await self._finish(deadline)
        line = to_json(record, seq=self._seq + 1, prev=self._prev, instance=self._instance)
        whole = f"{line}\n".encode()
        self._sink.start(whole)
        is_out = False
        try:
            await self._finish(deadline)
            is_out = True
        finally:
            # Also if the caller has gone meanwhile. A record that a stream has the beginning of stands in the chain: its rest follows.
            if is_out or (self._sink.unsent and self._sink.unsent != whole):
                self._seq, self._prev = self._seq + 1, chain_hash(line)
            else:
                self._sink.start(b"")

    async def _finish(self, deadline: float) -> None:
        while not self._sink.push():
            if self._is_blocked or self._time.monotonic() >= deadline:
                self._is_blocked = True
                raise SinkError("its reader does not go on")
            await self._time.sleep(_PAUSE_S)
        self._is_blocked = False
