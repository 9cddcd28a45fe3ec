"""kopf as a host: it only observes, and none of its habits reaches the cluster."""

import asyncio
import signal
from typing import Any

import kopf
import pytest
from kopf._cogs.clients import api

from keyturn.cluster import ONEPASSWORD_ITEMS, LastingReads, LastingWatch, Resource
from keyturn.control import kopf_host
from keyturn.control.kopf_host import Callbacks, watch
from support.fake_api import FakeApiServer
from support.fake_time import FakeTime

TOYS = Resource("toys.dev", "v1", "toys", "Toy")


class Called:
    """Callbacks that note how they were called."""

    def __init__(self):
        self.calls = []
        self.api = FakeApiServer(time=FakeTime())
        self.api.serve(TOYS)
        self.reads = LastingReads(self.api, [TOYS], namespaces=("app",), time=FakeTime())
        self.callbacks = Callbacks(
            kinds=(ONEPASSWORD_ITEMS, TOYS),
            seen=lambda kind, manifest: self.calls.append(("seen", kind, manifest)),
            gone=lambda kind, manifest: self.calls.append(("gone", kind, manifest)),
            reads=self.reads,
            stopping=self.stopping,
        )

    async def stopping(self):
        self.calls.append(("stopping",))


@pytest.fixture(name="called")
def _called():
    return Called()


@pytest.fixture(name="registry")
def _registry(called):
    return kopf_host._registry(called.callbacks)


def handlers(registry, part):
    return list(getattr(registry, part).get_all_handlers())


def activity(registry, name):
    return next(each for each in handlers(registry, "_activities") if each.id == name)


def test_kopf_has_nothing_but_handlers_of_events(registry):
    """Change handlers, timers and daemons would write to the objects that they watch."""
    for part in ("_changing", "_spawning", "_webhooks", "_indexing"):
        assert handlers(registry, part) == []
    assert {each.id for each in handlers(registry, "_watching")} == {"observe OnePasswordItem", "observe Toy"}
    assert {each.id for each in handlers(registry, "_activities")} == {"log-in", "stop"}


def test_each_kind_is_watched_by_its_own_resource(registry):
    """The callbacks get the kind, not a plural."""
    selectors = {each.id: each.selector for each in handlers(registry, "_watching")}

    for resource in (ONEPASSWORD_ITEMS, TOYS):
        selector = selectors[f"observe {resource.kind}"]
        assert (selector.group, selector.version, selector.any_name or selector.plural) == (
            resource.group,
            resource.version,
            resource.plural,
        )


@pytest.mark.parametrize(
    ("type_", "call"), [(None, "seen"), ("ADDED", "seen"), ("MODIFIED", "seen"), ("DELETED", "gone")]
)
async def test_an_event_is_an_object_that_is_there_or_gone(called, registry, type_, call):
    """Objects of the first list have no type."""
    (handler,) = (each for each in handlers(registry, "_watching") if each.id == "observe Toy")

    await handler.fn(event={"type": type_, "object": {"kind": "Toy"}})

    assert called.calls == [(call, "Toy", {"kind": "Toy"})]


async def test_kopf_reads_through_our_own_client(called, registry):
    """So it needs no login of its own, meets no error, and is counted like everything else."""
    called.api.add(TOYS, {"metadata": {"namespace": "app", "name": "bear"}})
    info = await activity(registry, "log-in").fn()
    url = f"{info.server}/apis/toys.dev/v1/namespaces/app/toys?limit=500"

    async with await info.aiohttp_session.request(method="get", url=url, json=None, headers=None) as response:
        found = await response.json()

    assert response.status == 200
    assert [item["metadata"]["name"] for item in found["items"]] == ["bear"]
    assert ("list", TOYS.label) in {(call.verb, call.resource) for call in called.api.calls}


async def test_a_watch_reaches_kopf_as_lines(called, registry):
    """Its own reader splits them."""

    class Watched(LastingWatch):
        def __init__(self):
            """It has lines of its own."""

        async def lines(self):
            yield b'{"type": "ADDED", "object": {}}\n'

        async def aclose(self):
            called.calls.append(("closed",))

    response: Any = kopf_host._Response(watch=Watched())
    async with response:
        lines = [line async for line in api.iter_jsonlines(response.content)]

    assert lines == [b'{"type": "ADDED", "object": {}}']
    assert called.calls == [("closed",)]


async def test_kopf_writes_nothing(called):
    """A change handler that somebody adds would patch the objects that it watches."""
    session = kopf_host._Session(called.reads)

    with pytest.raises(RuntimeError, match="must only read"):
        await session.request(method="patch", url="https://kubernetes.invalid/apis/toys.dev/v1/toys/bear")
    await session.close()
    assert session.closed


async def test_at_the_end_tasks_that_kopf_leaves_behind_are_cancelled_and_ours_are_ended(called, registry):
    """Kopf would wait for them for five seconds; any other task is not ours to cancel."""
    forever = asyncio.Event()
    left = asyncio.create_task(forever.wait(), name="pause-waiter for toys")
    other = asyncio.create_task(forever.wait(), name="another part")
    await asyncio.sleep(0)

    await activity(registry, "stop").fn()
    await asyncio.sleep(0)

    assert (left.cancelled(), other.done()) == (True, False)
    assert called.calls == [("stopping",)]
    other.cancel()


def test_kopf_writes_no_events_and_heeds_no_peers():
    """Any peering object called `default` could pause the operator."""
    settings = kopf_host._settings()

    assert settings.peering.standalone
    assert settings.scanning.disabled
    assert not settings.posting.enabled


def test_waits_of_kopf_are_bounded():
    """A first list, idle workers, and a process that does not end; our own client bounds each request."""
    settings = kopf_host._settings()

    assert settings.watching.chunk_size == 500
    assert settings.process.ultimate_exiting_timeout == 30
    assert settings.queueing.idle_timeout < 1


@pytest.mark.parametrize(("namespaces", "clusterwide"), [((), True), (("red", "blue"), False)])
async def test_namespaces_are_watched_each_by_itself_or_all_together(called, monkeypatch, namespaces, clusterwide):
    """As the settings say."""
    given = {}

    async def operator(**arguments):
        given.update(arguments)

    monkeypatch.setattr(kopf, "operator", operator)
    stop = asyncio.Event()
    await watch(called.callbacks, namespaces=namespaces, stop=stop)

    assert (given["clusterwide"], given["namespaces"]) == (clusterwide, list(namespaces))
    assert given["stop_flag"] is stop
    assert given["standalone"]


async def test_what_kopf_leaves_of_its_streams_is_not_logged(called, monkeypatch, caplog):
    """The loop closes them all at once and would log a traceback for each; other complaints are logged."""

    async def operator(**_):
        raise RuntimeError("ended")

    monkeypatch.setattr(kopf, "operator", operator)
    with pytest.raises(RuntimeError):
        await watch(called.callbacks, namespaces=(), stop=asyncio.Event())
    loop = asyncio.get_running_loop()

    loop.call_exception_handler({"message": "left behind", "asyncgen": object()})
    assert caplog.records == []
    loop.call_exception_handler({"message": "another complaint"})
    assert "another complaint" in caplog.text


async def test_a_second_signal_is_not_logged(called, monkeypatch, caplog):
    """Kopf fails at it, and the loop would log a traceback; other complaints are logged."""

    async def operator(**_options):
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        for _ in range(2):
            loop.call_soon(future.set_result, signal.SIGTERM)
        loop.call_soon(future.set_result, "no signal")
        await asyncio.sleep(0)

    monkeypatch.setattr(kopf, "operator", operator)
    await watch(called.callbacks, namespaces=(), stop=asyncio.Event())

    [record] = caplog.records
    assert "no signal" in record.getMessage()
