"""What the parts tell each other, where no API server is needed to see it."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from keyturn.app import StartError
from keyturn.cluster import LeaseLost, NotFound
from keyturn.control.requests.registry import RequestRegistry
from keyturn.control.sync.status_writer import StatusWriter
from keyturn.core import names
from keyturn.core.request import Key, request_from_item
from keyturn.core.status import Failure, Reason, Synced
from keyturn.core.workloads import annotated_workload
from keyturn.observe import Metrics
from keyturn.operation import Operator
from keyturn.providers.registry import PROVIDERS
from keyturn.settings import Settings
from support.fake_time import FakeTime

ITEM = {
    "metadata": {"namespace": "n", "name": "db", "uid": "item", "generation": 1, "resourceVersion": "5"},
    "spec": {"itemPath": "vaults/v/items/of-the-object"},
}
WEB = annotated_workload(
    {
        "metadata": {
            "namespace": "n",
            "name": "web",
            "uid": "web",
            "resourceVersion": "4",
            "creationTimestamp": "2026-11-25T10:00:00Z",
            "annotations": {names.ITEM_NAME: "db", names.ITEM_PATH: "vaults/v/items/of-the-workload"},
        },
        "spec": {"template": {}},
    },
    api_version="apps/v1",
    kind="Deployment",
)


class WithoutTheObject:
    """An API server on which the object is gone already."""

    async def apply(self, *_, **__):
        raise NotFound("it is gone", status=404)


def status_writer(requests, announce):
    cluster: Any = WithoutTheObject()
    return StatusWriter(cluster, requests, request_from_item, announce, lambda: datetime.now(UTC))


def lonely_operator():
    """An operator with nobody to speak to."""
    nothing: Any = SimpleNamespace(log_in=None)
    settings = Settings(connect_host="http://connect")
    metrics = Metrics(version="0", time=FakeTime(), providers={each.metrics_prefix: each.label for each in PROVIDERS})
    return Operator(settings, cluster=nothing, access=nothing, vaults=nothing, metrics=metrics)


async def test_who_loses_the_lease_before_the_work_began_ends():
    """The API server may be away for longer than the Lease lasts, and whoever leads by then must be alone."""

    async def loses():
        raise LeaseLost("it is another's")

    with pytest.raises(LeaseLost):
        await lonely_operator().run(loses(), first=asyncio.Event().wait())


async def test_what_must_come_first_ends_the_operator_where_it_fails():
    """Nothing is watched where our objects are not served; a companion ends with the rest."""
    ended = []

    async def stays():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("companion")

    async def fails():
        await asyncio.sleep(0)
        raise StartError("not installed")

    with pytest.raises(StartError):
        await lonely_operator().run(stays(), first=fails())

    assert ended == ["companion"]


async def test_the_end_of_an_object_that_our_own_write_noticed_first_is_news_to_workloads():
    """A status apply answers 404 a moment before the watch tells of the deletion."""
    operator = lonely_operator()
    operator._seen(ITEM)
    operator._workload_requests._changed(None, None, WEB)
    key = await operator._queue.take()
    request = operator._requests.get(key)
    assert request.item_path == "vaults/v/items/of-the-object"

    writer = status_writer(operator._requests, lambda *_, **__: None)
    await writer.synced(request, Synced("vaults/v/items/i", "1", ("password",)))
    operator._queue.done(key)
    operator._deleted(ITEM)

    assert operator._requests.get(key).item_path == "vaults/v/items/of-the-workload"
    assert len(operator._queue) == 1


async def test_a_lasting_failure_of_a_workload_is_said_again():
    """An Event lives for an hour, and a workload has no status that would stay."""
    said = []
    requests = RequestRegistry()
    requests.observe_workload(None, WEB)
    writer = status_writer(requests, lambda _, **news: said.append(news["reason"]))

    for _ in range(3):
        await writer.failed(requests.get(Key("n", "db")), Failure(Reason.ITEM_NOT_FOUND, "no such item"))

    assert said == ["ItemNotFound"] * 3
