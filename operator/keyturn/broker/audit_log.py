"""Writes audit records, out of the process before anything is answered, and says when that is not possible."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Final

from keyturn.base.log import StateLog, error, info
from keyturn.base.time import Time
from keyturn.broker.audit_sampling import AuditSampling
from keyturn.broker.errors import AuditUnavailable
from keyturn.core.audit import AuditRecord, to_json
from keyturn.observe.chained_lines import ChainedLines
from keyturn.observe.line_sink import SinkError

_log = logging.getLogger(__name__)

_CANNOT_WRITE = error("cannot write audit records to {sink}, so nothing is answered: {detail}")
_WRITES_AGAIN = info("audit records are written again, after {duration}")

LONGEST_AUDIT_WAIT_S: Final = 1.0
"""So long an answer waits for a slow reader of records."""


class AuditResult(StrEnum):
    """What became of one record, for metrics."""

    WRITTEN = "written"
    FAILED = "failed"
    LEFT_OUT = "left_out"


def _count_nothing(_: AuditResult) -> None:
    pass


class AuditLog:
    """The audit of this process.

    Args:
        target: a path, or `-` for standard output.
        instance: as `instance_name` makes it.
        time: measures how long a reader is waited for.
        count: is called with what became of each record.
    """

    def __init__(
        self, target: str, *, instance: str, time: Time, count: Callable[[AuditResult], None] = _count_nothing
    ) -> None:
        self._lines = ChainedLines(target, instance=instance, longest_wait=LONGEST_AUDIT_WAIT_S, time=time)
        self._time = time
        self._count = count
        self._sampling = AuditSampling()
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
            self._lines.open()
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
        problem = ""
        try:
            await self._lines.write(partial(to_json, record))
        except SinkError as failure:
            problem = str(failure)
        self._count(AuditResult.FAILED if problem else AuditResult.WRITTEN)
        self._conclude(problem)

    def close(self) -> None:
        """Close a file or FIFO."""
        self._lines.close()

    def _conclude(self, problem: str) -> None:
        self._problem = problem
        if problem:
            self._state.bad(problem, problem, sink=self._lines.name)
            raise AuditUnavailable
        self._state.good()
