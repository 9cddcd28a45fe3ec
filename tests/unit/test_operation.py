"""What the parts tell each other, where no API server is needed to see it."""

from datetime import UTC, datetime
from types import SimpleNamespace

from keyturn.cluster import NotFound
from keyturn.control.bindings import Bindings
from keyturn.control.statuses import StatusWriter
from keyturn.core import names
from keyturn.core.binding import Key, binding_of
from keyturn.core.status import Failure, Reason, Synced
from keyturn.core.workloads import annotated_workload
from keyturn.observe import Metrics
from keyturn.operation import Operator
from keyturn.settings import Settings

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


def status_writer(bindings, announce):
    return StatusWriter(WithoutTheObject(), bindings, binding_of, announce, lambda: datetime.now(UTC))


async def test_the_end_of_an_object_that_our_own_write_noticed_first_is_news_to_workloads():
    """A status apply answers 404 a moment before the watch tells of the deletion."""
    nothing = SimpleNamespace()
    metrics = Metrics(version="0")
    operator = Operator(
        Settings(connect_host="http://connect"), cluster=nothing, access=nothing, vaults=nothing, metrics=metrics
    )
    operator._seen(ITEM)
    operator._claims._changed(None, None, WEB)
    key = await operator._queue.take()
    binding = operator._bindings.get(key)
    assert binding.item_path == "vaults/v/items/of-the-object"

    writer = status_writer(operator._bindings, lambda *_, **__: None)
    await writer.synced(binding, Synced("vaults/v/items/i", "1", ("password",)))
    operator._queue.done(key)
    operator._deleted(ITEM)

    assert operator._bindings.get(key).item_path == "vaults/v/items/of-the-workload"
    assert len(operator._queue) == 1


async def test_a_lasting_failure_of_a_workload_is_said_again():
    """An Event lives for an hour, and a workload has no status that would stay."""
    said = []
    bindings = Bindings()
    bindings.observe_workload(None, WEB)
    writer = status_writer(bindings, lambda _, **news: said.append(news["reason"]))

    for _ in range(3):
        await writer.failed(bindings.get(Key("n", "db")), Failure(Reason.ITEM_NOT_FOUND, "no such item"))

    assert said == ["ItemNotFound"] * 3
