"""Kubernetes Events about our objects, as `kubectl describe` shows them: said once, counted when repeated, never in the way.

They are core/v1 Events, as the kubelet and most controllers write them. The newer events.k8s.io/v1 leaves `lastTimestamp` and
`count` empty, and `kubectl describe`, `kubectl get events --sort-by=.lastTimestamp` and most viewers sort and count by these.
Reasons and notes hold names only: an Event is readable to many who may not read the Secret.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from keyturn.cluster.calls import JSON
from keyturn.cluster.errors import ClusterError, NotFound, one_line
from keyturn.cluster.resources import EVENTS, Resource
from keyturn.core.events import Event

_logger = logging.getLogger(__name__)

EventType = Literal["Normal", "Warning"]

# The API server limits names; for the note of a core/v1 Event it knows no limit, so we take that of events.k8s.io/v1.
_LONGEST_NOTE = 1024
_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class About:
    """The object that an Event is about. Its uid is part of the identity: `kubectl describe` filters by it."""

    resource: Resource
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that happens to one object; saying it again is a repetition."""

    about: About
    type: EventType
    reason: str
    note: str


@dataclass(frozen=True, slots=True)
class Post:
    """What to write now: a new Event (`count` is 1), or a higher count on the Event of that name."""

    said: Said
    name: str
    count: int


@dataclass(slots=True)
class _Entry:
    name: str
    count: int = 0
    posts: int = 0
    posted_at: float = 0.0


class Ledger:
    """Decides what is worth a write; holds no clock and does no I/O.

    The first time anything is said it is posted. Repetitions are counted, and the count is written after `quiet` seconds, then after
    twice that, up to `slow`: an object that fails for days costs two writes an hour and stays visible, for the API server
    forgets an Event one hour after its last write. What was silent for longer than that is news again.

    Args:
        quiet: Least seconds between the first two writes about the same thing.
        slow: Least seconds between later ones, at most.
        window: Seconds without a write after which a repetition makes a new Event.
        capacity: How many different things are remembered; the longest unsaid is forgotten first.
        suffix: Draws the end of an Event's name.
    """

    def __init__(
        self,
        *,
        quiet: float = 300.0,
        slow: float = 1800.0,
        window: float = 3300.0,
        capacity: int = 4096,
        suffix: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._quiet = quiet
        self._slow = slow
        self._window = window
        self._capacity = capacity
        self._suffix = suffix
        self._known: OrderedDict[Said, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def say(self, said: Said, now: float) -> Post | None:
        """Take note that this happened at `now` (monotonic seconds); give what to write, if anything."""
        entry = self._known.pop(said, None)
        if entry is None or now - entry.posted_at > self._window:
            entry = _Entry(_event_name(said.about.name, self._suffix()))
        self._known[said] = entry
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
        entry.count += 1
        if entry.posts and now - entry.posted_at < self._pause(entry.posts):
            return None
        entry.posts += 1
        entry.posted_at = now
        return Post(said, entry.name, entry.count)

    def forget(self, said: Said) -> None:
        """Take it as never said, because its Event was not written or is gone; the next repetition makes a new one."""
        self._known.pop(said, None)

    def _pause(self, posts: int) -> float:
        return min(self._slow, self._quiet * 2.0 ** min(posts - 1, 16))


def _event_name(about: str, suffix: str) -> str:
    """A name that tells the object, at most 253 characters long, as client-go makes them."""
    return f"{about[: _LONGEST_NAME - len(suffix) - 1].rstrip('-.')}.{suffix}"


class Writer(Protocol):
    """What a poster asks of a `Cluster`."""

    async def create(
        self, resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any], *, field_manager: str
    ) -> JSON:
        """See `Cluster.create`."""
        ...

    async def merge_patch(
        self, resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any], *, field_manager: str
    ) -> JSON:
        """See `Cluster.merge_patch`."""
        ...


class EventPoster:
    """Posts Events in the background. `say` never waits and never fails; an Event that cannot be written is dropped.

    Args:
        writer: The cluster.
        instance: Name of our pod, for `reportingInstance`.
        ledger: What was said so far.
        capacity: How many Events may wait for the API server.
        on_outcome: Called with `posted`, `failed` or `dropped`, for metrics.
        clock: Monotonic seconds.
        now: The time of day (aware), for the Event's timestamps.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        instance: str = "",
        ledger: Ledger | None = None,
        capacity: int = 1000,
        on_outcome: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._writer = writer
        self._instance = instance
        self._ledger = Ledger() if ledger is None else ledger
        self._waiting: asyncio.Queue[Post] = asyncio.Queue(capacity)
        self._on_outcome = on_outcome
        self._clock = clock
        self._now = now
        self._trouble: str | None = None

    def say(self, about: About, *, type: EventType, reason: str, note: str) -> None:  # noqa: A002 - the field's name
        """Say that something happened to an object.

        Args:
            about: The object.
            type: `Normal`, or `Warning` for what somebody should look at.
            reason: A documented constant in CamelCase.
            note: One sentence with names and ids, never a value. Keep changing numbers out of it: they make every note new.
        """
        said = Said(about, type, reason, one_line(note, _LONGEST_NOTE))
        post = self._ledger.say(said, self._clock())
        if post is None:
            return
        try:
            self._waiting.put_nowait(post)
        except asyncio.QueueFull:
            self._ledger.forget(said)
            self._on_outcome("dropped")

    def post(self, about: About, event: Event) -> None:
        """Post an Event about an object; never blocks and never fails.

        Args:
            about: the object.
            event: what happened to it.
        """
        self.say(about, type="Warning" if event.warning else "Normal", reason=event.reason, note=event.message)

    async def run(self) -> None:
        """Write what waits, one after the other, until cancelled."""
        while True:
            await self._write(await self._waiting.get())

    async def _write(self, post: Post) -> None:
        namespace = post.said.about.namespace or "default"
        moment = self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        try:
            # Neither is tied to what was there before: the name was drawn by this process, so nobody else's can be meant, and one
            # that is written late, when another replica leads, at worst tells something twice.
            if post.count == 1:
                body = _event(post.said, namespace, moment, self._instance)
                await self._writer.create(EVENTS, namespace, post.name, body, field_manager="keyturn")
            else:
                body = {"count": post.count, "lastTimestamp": moment}
                await self._writer.merge_patch(EVENTS, namespace, post.name, body, field_manager="keyturn")
        except ClusterError as error:
            self._ledger.forget(post.said)
            self._on_outcome("failed")
            # An Event of which only the count was left to raise may have expired; that is nobody's trouble.
            if not isinstance(error, NotFound) and not error.namespace_terminating:
                self._report(str(error))
            return
        self._on_outcome("posted")
        self._report(None)

    def _report(self, trouble: str | None) -> None:
        if trouble and trouble != self._trouble:
            _logger.warning("Events cannot be written: %s", trouble)
        elif self._trouble and not trouble:
            _logger.info("Events can be written again")
        self._trouble = trouble


def _event(said: Said, namespace: str, moment: str, instance: str) -> JSON:
    about = said.about
    return {
        "metadata": {"namespace": namespace},
        "involvedObject": {
            "apiVersion": about.resource.api_version,
            "kind": about.resource.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": about.uid,
        },
        "type": said.type,
        "reason": said.reason,
        "message": said.note,
        "source": {"component": "keyturn"},
        "reportingComponent": "keyturn",
        "reportingInstance": instance,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
