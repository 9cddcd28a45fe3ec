"""Polls the vaults of one connection once per interval, cheaply, and reports what became of it.

A poll is also the only probe of a connection that is down. One that refuses its credential is not polled at all, until something says
that this may have changed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from keyturn.base.backoff import Backoff, jittered
from keyturn.base.log import StateLog, debug, info, warning
from keyturn.base.text import plural
from keyturn.control.connections.health import ConnectionHealth
from keyturn.control.connections.index import ItemIndex
from keyturn.control.connections.looks import Asker, Looks
from keyturn.control.connections.refreshed import Refreshed
from keyturn.control.context import ConnectionContext
from keyturn.core.health_states import SECOND_LOOK, HealthState
from keyturn.core.provider import Provider
from keyturn.core.sync_requests import LOOK_SPACING
from keyturn.core.vault import RateLimited, VaultError

_log = logging.getLogger(__name__)

_LONGEST_PAUSE = 60.0
"""Seconds at most until a connection that is down is polled again, however long the interval: recovery should not wait for it."""

_STAMP_EVERY = 2.0
"""Seconds between two looks at the stamp of a credential that was refused, if it may change by itself."""

_CONNECTED = info("connected to {provider} at {address}: {vaults}, {items}, polled every {interval} s")
_POLLED = debug("{provider} polled: {listed} of {vaults} listed{others}")
_LOOKED = info("{provider} was polled before its time, as {objects} requested; {listed} of {vaults} listed")
_FAILED = warning("{provider} {state}: {detail}")
_RECOVERED = info("{provider} is back after {duration}")


@dataclass(frozen=True, slots=True)
class Polled:
    """What a poll found.

    Attributes:
        connection: name of the connection.
        reachable: whether the vault side answered.
        moved: whether vaults moved, so that paths may name something else, or something newer.
        newly_stale: whether it has now been unreachable for too long, for the first time since it was reachable.
        answered: texts of the sync requests whose vaults have been looked at, by their keys.
    """

    connection: str
    reachable: bool
    moved: bool = False
    newly_stale: bool = False
    answered: Mapping[Asker, str] = field(default_factory=dict)


class _Rested(Enum):
    """What ended the pause after a poll."""

    DUE = auto()
    """The next poll is due, or the credential is another one."""
    LOOK = auto()
    """A look is due that somebody requested."""
    FAILURE = auto()
    """A request failed that was not the poller's."""


def _unwatched() -> None:
    """Nobody waits for a beat."""


class Poller:
    """The only part that asks a connection that is down: first after a second, at last once per minute or interval.

    Args:
        context: of the process.
        connection: name of the connection.
        provider: which kind of vault it is; its label is for log lines, its prefix for metrics.
        index: is refreshed by each poll.
        health: of the connection; the index writes it, the poller waits for it.
        on_polled: takes what each poll found.
        stamp: differs from before if the credential may be another one now; None if it never changes by itself.
        interval: seconds between two polls; None for that of the installation.

    Attributes:
        looks: takes requests to poll before the time.
    """

    def __init__(
        self,
        context: ConnectionContext,
        *,
        connection: str,
        provider: Provider[Any],
        index: ItemIndex,
        health: ConnectionHealth,
        on_polled: Callable[[Polled], None],
        stamp: Callable[[], object] = lambda: None,
        interval: float | None = None,
    ) -> None:
        self._connection = connection
        self._provider = provider
        self._index = index
        self._health = health
        self._on_polled = on_polled
        self._interval = context.settings.polling_interval if interval is None else interval
        self._full_pass_interval = context.settings.full_pass_interval
        self._metrics = context.metrics
        self._time = context.time
        # The vaults of a tenant that hang must not have the whole process restarted.
        is_own = "/" not in connection
        limit = 2 * self._interval + 300.0
        self._beat = context.heartbeat.expect(f"poller {connection}", limit) if is_own else _unwatched
        self._state = StateLog(_log, failed=_FAILED, recovered=_RECOVERED, time=context.time)
        # Whoever may be asked but rarely is asked rarely also while it fails: its quota counts that, too.
        shortest = provider.connection.shortest_poll if provider.connection else provider.budget.shortest_poll
        longest = max(shortest, min(self._interval, _LONGEST_PAUSE))
        self._backoff = Backoff(first=1.0, longest=longest)
        self._stamp = stamp
        self._polled_with: object = None
        self._failures = 0
        self._unlisted = 0
        self._full_pass_at = context.time.monotonic()
        self._was_stale = False
        self._connected = False
        spacing = max(LOOK_SPACING, provider.budget.shortest_poll)
        self.looks = Looks(wake=health.wake, spacing=spacing, time=context.time)
        context.metrics.connection_is(connection, health.reported)
        health.subscribe(lambda _, now: context.metrics.connection_is(connection, now))

    async def run(self) -> None:
        """Poll until cancelled."""
        rechecks = 0
        while True:
            self._beat()
            pause = await self.poll()
            self._health.recheck = False
            if not self._health.state.is_on_timer:
                await self._rest_without_timer()
                continue
            match await self._rest(pause):
                case _Rested.DUE:
                    rechecks = 0
                case _Rested.FAILURE:
                    rechecks += 1
                    # Many requests may fail at once, and a server that answers polls but not reads would be polled without end.
                    delay = self._backoff.delay(rechecks, random=self._time.random())
                    if self._health.state is HealthState.REFUSED_ONCE:
                        delay = max(delay, self._second_look())
                    await self._rest(delay, whatever_fails=True)

    async def poll(self) -> float:
        """Poll once. Returns the seconds to wait before the next time, if time alone is a reason for it."""
        started = self._time.monotonic()
        everything = started - self._full_pass_at >= self._full_pass_interval
        begun = self.looks.begin()
        self._health.credential_changed = False
        self._polled_with = self._stamp()
        try:
            refreshed = await self._index.refresh(everything=everything, asked=begun)
        except VaultError as error:
            self.looks.all_failed(begun, retry_after=error.retry_after if isinstance(error, RateLimited) else None)
            self._note(started, error)
            return self._failed(error)
        self._note(started, None)
        if everything:
            self._full_pass_at = started
        self._failures = 0
        self._was_stale = False
        answered = self.looks.succeeded(begun, failed=[vault for vault in begun if self._health.is_vault_down(vault)])
        self._log_success(refreshed, answered=len(answered))
        moved = bool(refreshed.listed) or refreshed.other_vaults
        self._on_polled(Polled(self._connection, reachable=True, moved=moved, answered=answered))
        if refreshed.failed:
            self._unlisted += 1
            return self._backoff.delay(self._unlisted, random=self._time.random())
        self._unlisted = 0
        return jittered(self._interval, random=self._time.random())

    def credential_changed(self) -> None:
        """The credential is another one: poll at once, whatever was found about the old one."""
        self._health.report_new_credential()

    async def _rest(self, pause: float, *, whatever_fails: bool = False) -> _Rested:
        """Wait for the next poll.

        Args:
            pause: seconds until it is due.
            whatever_fails: whether a failed request does not end the pause.
        """
        until = self._time.monotonic() + pause
        while True:
            self._health.wake.clear()
            if self._health.credential_changed:
                return _Rested.DUE
            if self._health.recheck and not whatever_fails:
                return _Rested.FAILURE
            left, look = until - self._time.monotonic(), self.looks.seconds_until_due()
            ended_by = _Rested.DUE if look is None or left <= look else _Rested.LOOK
            at_most = left if look is None else min(left, look)
            if at_most <= 0 or not await self._time.wait(self._health.wake, at_most=at_most):
                return ended_by

    async def _rest_without_timer(self) -> None:
        """Wait until the credential is another one, or a look is due that somebody requested. Meanwhile, no request is sent."""
        while True:
            self._health.wake.clear()
            if self._stamp() != self._polled_with:
                self._health.report_new_credential()
            look = self.looks.seconds_until_due()
            if self._health.credential_changed or (look is not None and look <= 0):
                return
            self._beat()
            if newly_stale := self._becomes_stale():
                self._on_polled(Polled(self._connection, reachable=False, newly_stale=newly_stale))
            pauses = [_LONGEST_PAUSE, self._health.seconds_until_stale()]
            if look is not None:
                pauses.append(look)
            if self._polled_with is not None:
                pauses.append(_STAMP_EVERY)
            await self._time.wait(self._health.wake, at_most=min(pauses))

    def _log_success(self, refreshed: Refreshed, *, answered: int) -> None:
        vaults = plural(self._index.vaults, "vault")
        about = {**self._about(), "vaults": vaults}
        if not self._connected:
            self._connected = True
            _CONNECTED(
                _log,
                address=self._index.address,
                items=plural(self._index.requested(), "requested item"),
                interval=f"{self._interval:.0f}",
                **about,
            )
        others = ", other vaults than before" if refreshed.other_vaults else ""
        _POLLED(_log, listed=refreshed.listed, others=others, **about)
        if answered:
            _LOOKED(_log, objects=plural(answered, "object"), listed=refreshed.listed, **about)

    def _failed(self, error: VaultError) -> float:
        self._failures += 1
        self._on_polled(Polled(self._connection, reachable=False, newly_stale=self._becomes_stale()))
        if self._health.state is HealthState.REFUSED_ONCE:
            return self._second_look()
        asked = error.retry_after if isinstance(error, RateLimited) else None
        return self._backoff.delay(self._failures, random=self._time.random(), retry_after=asked)

    def _becomes_stale(self) -> bool:
        """Whether the vaults have now been unreachable for too long, for the first time since they were reachable."""
        newly_stale = not self._was_stale and self._health.staleness() is not None
        self._was_stale = self._was_stale or newly_stale
        return newly_stale

    def _second_look(self) -> float:
        return jittered(SECOND_LOOK, random=self._time.random())

    def _note(self, started: float, error: VaultError | None) -> None:
        self._metrics.polled(
            self._provider.metrics_prefix,
            connection=self._connection,
            seconds=self._time.monotonic() - started,
            error=error,
        )
        if self._health.state is HealthState.REFUSED_ONCE and self._connected:
            # Good credentials are refused at times; one that never worked is rather a wrong one.
            return
        if (summary := self._health.summary()) is None:
            self._state.good(**self._about())
        else:
            self._state.bad(summary, self._health.detail(), **self._about())

    def _about(self) -> dict[str, str]:
        """What lines of the log are about."""
        label, connection = self._provider.label, self._connection
        # The installation's own is the only one for most, and needs no name.
        of = f" (Connection {connection})" if "/" in connection else ""
        return {"provider": f"{label}{of}", "connection": connection}
