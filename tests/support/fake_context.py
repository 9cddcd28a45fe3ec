"""The `Context` of a controller in unit tests: an API server in memory, time that a test turns, and Events that are kept."""

from __future__ import annotations

from typing import Any

from keyturn.base.time import Time
from keyturn.cluster import About, Cluster, EventPoster
from keyturn.control.context import Context
from keyturn.core.events import Event
from keyturn.observe import Heartbeat, Metrics
from keyturn.providers.connect.registration import CONNECT
from keyturn.settings import Settings
from support.fake_time import FakeTime


class KeptEvents(EventPoster):
    """An `EventPoster` that writes nothing.

    Attributes:
        posted: every Event, with the object that it is about.
    """

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, time=FakeTime())
        self.posted: list[tuple[About, Event]] = []

    def post(self, about: About, event: Event) -> None:
        self.posted.append((about, event))


def posted_events(context: Context) -> list[tuple[About, Event]]:
    """The Events that were posted in a fake context."""
    assert isinstance(context.events, KeptEvents)
    return context.events.posted


def fake_context(cluster: Cluster, *, time: Time | None = None, **settings: Any) -> Context:
    """A context around a cluster.

    Args:
        cluster: usually a `FakeApiServer`.
        time: a `FakeTime` of its own if it is left out.
        settings: those that differ from their defaults.
    """
    time = time or FakeTime()
    return Context(
        settings=Settings(**{"provider": CONNECT, **settings}),
        cluster=cluster,
        events=KeptEvents(cluster),
        metrics=Metrics(version="test", time=time, providers={CONNECT.metrics_prefix: CONNECT.label}),
        heartbeat=Heartbeat(time=time),
        time=time,
    )
