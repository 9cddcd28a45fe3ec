"""Posts Kubernetes Events about our objects, as `kubectl describe` shows them: each once, counted when repeated, in the background.

They are core/v1 Events, as the kubelet and most controllers write them. The newer events.k8s.io/v1 leaves `lastTimestamp` and
`count` empty, and `kubectl describe`, `kubectl get events --sort-by=.lastTimestamp` and most viewers sort and count by these.
Reasons and messages hold names only: people may have the right to read an Event and not the Secret.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any, Protocol

from keyturn.base.backoff import Backoff
from keyturn.base.log import StateLog, info, warning
from keyturn.base.time import Time
from keyturn.cluster.calls import JsonObject
from keyturn.cluster.errors import ClusterError, NotFound, clean_text
from keyturn.cluster.resources import EVENTS, Resource
from keyturn.core.events import Event

_log = logging.getLogger(__name__)

_NOT_WRITTEN = warning("Events cannot be written: {detail}")
_WRITTEN_AGAIN = info("Events can be written again")

# The API server limits names. It has no limit for the message of a core/v1 Event, so this is that of events.k8s.io/v1.
_LONGEST_MESSAGE = 1024
_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class About:
    """The object of an Event. Its uid is part of the identity, because `kubectl describe` filters by it.

    Attributes:
        resource: its kind.
        namespace: of the object.
        name: of the object.
        uid: of the object.
    """

    resource: Resource
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Post:
    """One write of an Event.

    Attributes:
        about: its object.
        event: its content.
        name: of the Event itself.
        count: 1 creates the Event; a higher one is written to the existing Event.
    """

    about: About
    event: Event
    name: str
    count: int


@dataclass(slots=True)
class _Entry:
    name: str
    count: int = 0
    posts: int = 0
    posted_at: float = 0.0


class Ledger:
    """Decides which occurrence of an Event is worth a write; holds no clock and does no I/O.

    The first occurrence is posted. Repetitions are counted, and the count is written after `quiet` seconds, then after twice that,
    up to `slow`. So an object that fails for days costs two writes an hour and stays visible, although the API server deletes
    an Event one hour after its last write. An occurrence after a longer pause makes a new Event.

    Args:
        quiet: least seconds between the first two writes of one Event.
        slow: upper limit for the seconds between later ones.
        window: seconds without a write after which a repetition makes a new Event.
        capacity: of the memory; the Event without an occurrence for the longest time is forgotten first.
    """

    def __init__(
        self, *, quiet: float = 300.0, slow: float = 1800.0, window: float = 3300.0, capacity: int = 4096
    ) -> None:
        self._pauses = Backoff(first=quiet, longest=slow, spread=0.0)
        self._window = window
        self._capacity = capacity
        self._entries: OrderedDict[tuple[About, Event], _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def observe(self, about: About, event: Event, *, now: float) -> Post | None:
        """Count an occurrence. Returns the write that it is worth, if any.

        Args:
            about: the object.
            event: its Event.
            now: monotonic seconds.
        """
        entry = self._entries.pop((about, event), None)
        if entry is None or now - entry.posted_at > self._window:
            entry = _Entry(_event_name(about.name))
        self._entries[about, event] = entry
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
        entry.count += 1
        if entry.posts and now - entry.posted_at < self._pauses.delay(entry.posts, random=0.0):
            return None
        entry.posts += 1
        entry.posted_at = now
        return Post(about, event, entry.name, entry.count)

    def forget(self, about: About, event: Event) -> None:
        """Forget an Event that was not written or does not exist any more; the next occurrence makes a new one."""
        self._entries.pop((about, event), None)


def _event_name(about: str) -> str:
    """A unique name that begins with the object's, at most 253 characters long, as in client-go."""
    suffix = secrets.token_hex(8)
    return f"{about[: _LONGEST_NAME - len(suffix) - 1].rstrip('-.')}.{suffix}"


class _Writer(Protocol):
    """The part of a `Cluster` that writes Events."""

    async def create(
        self, resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any], *, field_manager: str
    ) -> JsonObject:
        """See `Cluster.create`."""
        ...

    async def merge_patch(
        self, resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any], *, field_manager: str
    ) -> JsonObject:
        """See `Cluster.merge_patch`."""
        ...


class EventPoster:
    """Posts Events in the background. `post` never waits and never fails; an Event that cannot be written is dropped.

    Args:
        cluster: the API server.
        instance: name of our pod, for `reportingInstance`.
        ledger: of what was posted so far; None for an empty one.
        capacity: Events that may wait for the API server; half as many of those that are no warnings.
        on_outcome: called with `posted`, `failed` or `dropped`, for metrics.
        time: for repetitions and timestamps.
    """

    def __init__(
        self,
        cluster: _Writer,
        *,
        instance: str = "",
        ledger: Ledger | None = None,
        capacity: int = 1000,
        on_outcome: Callable[[str], None] = lambda _: None,
        time: Time,
    ) -> None:
        self._cluster = cluster
        self._instance = instance
        self._ledger = Ledger() if ledger is None else ledger
        self._capacity = capacity
        self._waiting: asyncio.Queue[Post] = asyncio.Queue()
        self._on_outcome = on_outcome
        self._time = time
        self._state = StateLog(_log, failed=_NOT_WRITTEN, recovered=_WRITTEN_AGAIN, time=time)

    def post(self, about: About, event: Event) -> None:
        """Post an Event, or count its repetition.

        Args:
            about: the object.
            event: its message names ids and keys, never a value. A number that keeps changing makes each message a new Event.
        """
        event = replace(event, message=clean_text(event.message, _LONGEST_MESSAGE))
        post = self._ledger.observe(about, event, now=self._time.monotonic())
        if post is None:
            return
        # Half of the queue is for warnings: thousands of Secrets that changed or were taken over must not push them out.
        if self._waiting.qsize() >= (self._capacity if event.warning else self._capacity // 2):
            self._ledger.forget(about, event)
            self._on_outcome("dropped")
            return
        self._waiting.put_nowait(post)

    async def run(self) -> None:
        """Write what waits, one after the other, until cancelled."""
        while True:
            await self._write(await self._waiting.get())

    async def _write(self, post: Post) -> None:
        namespace = post.about.namespace or "default"
        moment = self._time.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        try:
            # No write needs a precondition: this process chose the name at random, so the Event is its own. One that arrives late,
            # when another replica leads, at worst repeats something.
            if post.count == 1:
                body = _event(post, namespace, moment, self._instance)
                await self._cluster.create(EVENTS, namespace, post.name, body, field_manager="keyturn")
            else:
                body = {"count": post.count, "lastTimestamp": moment}
                await self._cluster.merge_patch(EVENTS, namespace, post.name, body, field_manager="keyturn")
        except ClusterError as error:
            self._ledger.forget(post.about, post.event)
            self._on_outcome("failed")
            # An Event whose count was to be raised may have expired, and a namespace may be deleted; neither is a fault.
            if not isinstance(error, NotFound) and not error.namespace_terminating:
                self._state.bad(str(error), str(error), namespace=namespace, reason=error.reason)
            return
        self._on_outcome("posted")
        self._state.good()


def _event(post: Post, namespace: str, moment: str, instance: str) -> JsonObject:
    about, event = post.about, post.event
    return {
        "metadata": {"namespace": namespace},
        "involvedObject": {
            "apiVersion": about.resource.api_version,
            "kind": about.resource.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": about.uid,
        },
        "type": "Warning" if event.warning else "Normal",
        "reason": str(event.reason),
        "message": event.message,
        "source": {"component": "keyturn"},
        "reportingComponent": "keyturn",
        "reportingInstance": instance,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
