"""Exports the activity of each connection's server after each poll, from where the last export ended, and counts what is foreign."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from keyturn.base.backoff import Backoff
from keyturn.base.log import StateLog, info, log_defect, warning
from keyturn.control.activity.paging import NewEntries, new_entries
from keyturn.control.connections.connection import Connections
from keyturn.control.connections.poller import Polled
from keyturn.control.context import Context
from keyturn.control.queue import WorkQueue
from keyturn.core.activity import (
    ActivityEntry,
    ActivityLog,
    Origin,
    activity_log_of,
    attribute,
    entry_line,
    gap_line,
    is_counted,
    position_of,
)
from keyturn.core.connection import ConnectionKey
from keyturn.core.export_position import ExportPosition
from keyturn.core.vault import VaultError
from keyturn.observe.chained_lines import MakeLine
from keyturn.observe.line_sink import SinkError

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 4
"""Logs that are read at the same time."""

_LONGEST: Final = 300.0
"""Seconds that one export may take: a server that is slow without end must give its place to others."""

_KNOWN: Final = 256
"""Entries of which the ids are remembered, the newest ones. Replicas of one server have a log each, and take turns."""

_TOKENS: Final = 8
"""Tokens that are remembered of one connection, the newest ones: entries of an old one may still come."""

_MOST_UNSAVED: Final = 1000
_LONGEST_UNSAVED: Final = 600.0
"""Entries and seconds after which the position is saved although all entries were requests of the operator itself."""

_GAPS: Final = 3
"""Gaps in a row that a server may have before it is asked less often: one that has another log each time has no end of them."""

_BREATH: Final = 50
"""Lines that are written without letting anything else go on."""

_NOT_EXPORTED = warning("the activity of {connection} cannot be exported, retrying: {detail}")
_EXPORTED = info("the activity of {connection} is exported again, after {duration}")
_GAP = warning(
    "the exported activity of {connection} has a gap: its server no longer has the last entry that was exported"
)


class Lines(Protocol):
    """Takes lines; a `ChainedLines` is one."""

    async def write(self, make: MakeLine) -> None:
        """Write one line.

        Raises:
            SinkError: it cannot be written now.
        """


class OnExported(Protocol):
    """Takes how far the activity of a Connection's server was exported."""

    def __call__(self, key: ConnectionKey, position: ExportPosition, *, due: bool) -> None:
        """See `Reports.exported`."""


@dataclass(slots=True)
class _State:
    """What is remembered of one connection.

    Attributes:
        uid: of its Connection; empty for that of the installation.
        failures: logs when exports fail, and when they work again.
        position: how far the export came; None if it never began.
        known: keys of the newest entries that were exported.
        saved: the position that the status has.
        saved_at: monotonic time when that was found out.
        unsaved: entries that were exported since.
        others: whether one of them was no request of the operator itself.
        gaps: how many gaps there were in a row.
        rests_until: monotonic time before which no export begins.
    """

    uid: str
    failures: StateLog
    position: ExportPosition | None = None
    known: deque[str] = field(default_factory=lambda: deque(maxlen=_KNOWN))
    saved: ExportPosition | None = None
    saved_at: float = 0.0
    unsaved: int = 0
    others: bool = False
    gaps: int = 0
    rests_until: float = float("-inf")

    def advance(self, entry: ActivityEntry, *, own: bool) -> None:
        """An entry was exported."""
        self.position = position_of(entry)
        self.known.append(entry.key)
        self.unsaved += 1
        self.others = self.others or not own

    def is_due(self, now: float) -> bool:
        """Whether the position is worth a write of the status."""
        if self.position in {None, self.saved}:
            return False
        return (
            self.others
            or self.saved is None
            or self.unsaved >= _MOST_UNSAVED
            or now - self.saved_at >= _LONGEST_UNSAVED
        )


class ActivityExport:
    """Wires itself to the polls of connections. Entries are exported at least once, each connection's in their order.

    Args:
        context: of the process.
        connections: whose activity is exported, if their provider has such a log.
        lines: takes the export.
        on_exported: is called with how far the export of a Connection came.
    """

    def __init__(self, context: Context, *, connections: Connections, lines: Lines, on_exported: OnExported) -> None:
        self._context = context
        self._time = context.time
        self._connections = connections
        self._lines = lines
        self._on_exported = on_exported
        self._states: dict[str, _State] = {}
        self._tokens: dict[str, deque[str]] = {}
        self._backoff = Backoff(first=60.0, longest=3600.0)
        self._queue: WorkQueue[str] = WorkQueue(time=context.time)
        connections.subscribe(self.polled)
        connections.subscribe_to_set(self._set_changed)

    async def run(self) -> None:
        """Export until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(_AT_ONCE):
                group.create_task(self._work(), name=f"activity {number}")

    def close(self) -> None:
        """Cancel everything that was put off."""
        self._queue.close()

    def polled(self, polled: Polled) -> None:
        """A connection was polled. While it cannot be reached, neither can its log."""
        name = polled.connection
        log = self._log_of(name)
        if log is None or not polled.reachable:
            return
        self._note_token(name, log.token_id)
        state = self._states.get(name)
        if state is None or state.rests_until <= self._time.monotonic():
            self._queue.add(name)

    def _set_changed(self, key: ConnectionKey) -> None:
        spec, state = self._connections.known.get(key), self._states.get(str(key))
        if spec is None or (state is not None and state.uid != spec.uid):
            self._states.pop(str(key), None)
            self._tokens.pop(str(key), None)
            self._queue.forget(str(key))

    def _log_of(self, name: str) -> ActivityLog | None:
        connection = self._connections.get(name)
        return None if connection is None else activity_log_of(connection.vaults)

    def _note_token(self, name: str, token: str) -> None:
        tokens = self._tokens.setdefault(name, deque(maxlen=_TOKENS))
        if token and token not in tokens:
            tokens.append(token)

    def _state_of(self, name: str) -> _State:
        """What is remembered; at first, what the status says."""
        key = ConnectionKey.parse(name)
        spec = None if key is None else self._connections.known.get(key)
        state = self._states.get(name)
        if state is None:
            self._context.metrics.exports_activity(name)
            failures = StateLog(_log, failed=_NOT_EXPORTED, recovered=_EXPORTED, time=self._time)
            state = self._states[name] = _State("" if spec is None else spec.uid, failures)
            if spec is not None and spec.status.activity is not None:
                state.position = spec.status.activity
                state.known.append(spec.status.activity.request_id)
        if spec is not None and spec.status.activity != state.saved:
            state.saved, state.saved_at = spec.status.activity, self._time.monotonic()
            state.unsaved, state.others = 0, False
        return state

    async def _work(self) -> None:
        while True:
            name = await self._queue.take()
            try:
                await self._export(name)
            except Exception as error:  # noqa: BLE001 - a defect of ours, on one connection
                log_defect(_log, f"exporting the activity of {name}", error, connection=name)
            # Whatever failed, the next poll brings the next attempt.
            self._queue.done(name)

    async def _export(self, name: str) -> None:
        log = self._log_of(name)
        if log is None:
            return
        state = self._state_of(name)
        try:
            async with asyncio.timeout(_LONGEST):
                found = await new_entries(log, frozenset(state.known))
            await self._write(name, state, found)
        except VaultError as error:
            state.failures.bad(error.label, str(error), connection=name)
        except SinkError as error:
            state.failures.bad("unwritten", f"the audit's lines cannot be written: {error}", connection=name)
        except TimeoutError:
            state.failures.bad("slow", f"it took more than {_LONGEST:.0f} s to read", connection=name)
        else:
            state.failures.good(connection=name)
        self._save(name, state)

    async def _write(self, name: str, state: _State, found: NewEntries) -> None:
        """Write what was found.

        Raises:
            SinkError: a line cannot be written; those before it were.
        """
        resumed = bool(state.known) and found.reached
        if (state.known and not found.reached and (found.entries or not state.gaps)) or not found.complete:
            await self._write_gap(name, state)
        elif resumed:
            state.gaps = 0
        tokens = {token: each for each, known in self._tokens.items() for token in known}
        for number, entry in enumerate(found.entries, start=1):
            whose = attribute(entry, installation=self._context.settings.installation, tokens=tokens)
            now = self._time.now()
            await self._lines.write(partial(entry_line, entry, whose, connection=name, now=now))
            state.advance(entry, own=whose.origin is Origin.PROCESS and whose.process == "operator")
            if whose.is_foreign and is_counted(entry, resumed=resumed, now=now):
                self._context.metrics.foreign_activity(name)
            if number % _BREATH == 0:
                await asyncio.sleep(0)

    async def _write_gap(self, name: str, state: _State) -> None:
        now = self._time.now()
        await self._lines.write(partial(gap_line, state.position, connection=name, now=now))
        _GAP(_log, connection=name)
        self._context.metrics.activity_gap(name)
        state.gaps += 1
        if state.gaps >= _GAPS:
            delay = self._backoff.delay(state.gaps - _GAPS + 1, random=self._time.random())
            state.rests_until = self._time.monotonic() + delay

    def _save(self, name: str, state: _State) -> None:
        key = ConnectionKey.parse(name)
        if key is not None and state.position is not None and state.position != state.saved:
            self._on_exported(key, state.position, due=state.is_due(self._time.monotonic()))
