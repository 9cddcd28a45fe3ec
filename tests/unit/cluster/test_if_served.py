"""A kind that need not be installed: without its definition there is nothing of it, and no error."""

import asyncio
import contextlib
import logging

from cluster_fakes import Chunks, ScriptedTransport, answer, status, watch_line

from keyturn.cluster.gateway import Cluster
from keyturn.cluster.if_served import IfServed
from keyturn.cluster.informer import Informer
from keyturn.cluster.list_watch import METADATA, ApiListWatch
from keyturn.cluster.resources import ALL_NAMESPACES, CONNECTIONS
from support.fake_time import FakeTime


def one(version="11"):
    return {"metadata": {"namespace": "team", "name": "work", "uid": "u", "resourceVersion": version}}


def listing(*items):
    return answer({"metadata": {"resourceVersion": "10"}, "items": list(items)})


async def followed(*script):
    transport, time, changes = ScriptedTransport(*script), FakeTime(), []
    informer = Informer(
        IfServed(ApiListWatch(Cluster(transport, time=time), CONNECTIONS, METADATA, time=time), time=time),
        label="connections.keyturn.dev",
        namespaces=(ALL_NAMESPACES,),
        on_change=lambda key, old, new: changes.append((key[1], old is not None, new is not None)),
        time=time,
    )
    task = asyncio.create_task(informer.run())
    await transport.exhausted.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return informer, changes, time


async def test_a_kind_that_is_not_served_is_known_to_be_empty(caplog):
    """The rest of the work can begin at once, and the log says nothing of it."""
    caplog.set_level(logging.INFO)
    informer, changes, _ = await followed(status(404, "NotFound"), status(404, "NotFound"))

    assert informer.synced.is_set()
    assert informer.error is None
    assert (changes, caplog.messages) == ([], [])


async def test_once_it_is_served_its_objects_are_followed():
    """Its definition may be installed at any time; that is found within seconds."""
    _, changes, time = await followed(
        status(404, "NotFound"), listing(one()), Chunks([watch_line("DELETED", one("12")), None])
    )

    assert changes == [("work", False, True), ("work", True, False)]
    assert sum(time.slept) < 15


async def test_objects_are_gone_with_their_definition():
    """Deleting the definition deletes them."""
    _, changes, _ = await followed(
        listing(one()), Chunks([]), status(410, "Expired"), status(404, "NotFound"), status(404, "NotFound")
    )

    assert changes == [("work", False, True), ("work", True, False)]


async def test_other_failures_are_failures(caplog):
    """A missing right is no missing kind."""
    informer, changes, _ = await followed(status(403, "Forbidden"), status(403, "Forbidden"))

    assert not informer.synced.is_set()
    assert "cannot watch connections.keyturn.dev" in (informer.error or "")
    assert changes == []
