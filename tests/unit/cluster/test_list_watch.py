"""The list and watch of the API server, as an informer gets them."""

import pytest
from cluster_fakes import Chunks, ScriptedTransport, answer, watch_line

from keyturn.cluster.gateway import Cluster
from keyturn.cluster.list_watch import METADATA, ApiListWatch, ObjectChange, Page, Progress, projection_of
from keyturn.cluster.resources import ALL_NAMESPACES, DEPLOYMENTS, SECRETS
from support.fake_time import FakeTime


def named(name, version="1", **labels):
    return {"metadata": {"namespace": "apps", "name": name, "resourceVersion": version, "labels": labels}}


def only_annotated(manifest):
    metadata = manifest["metadata"]
    return metadata["name"] if metadata["labels"] else None


def list_watch_of(*script, resource=DEPLOYMENTS, projection=None, randoms=(0.5,)):
    transport = ScriptedTransport(*script)
    time = FakeTime(randoms=randoms)
    cluster = Cluster(transport, time=time)
    return transport, ApiListWatch(cluster, resource, projection or projection_of(only_annotated), time=time)


async def test_a_list_has_pages_of_projections():
    """Objects that the projection ignores cost no memory."""
    first = answer(
        {"metadata": {"resourceVersion": "9", "continue": "more"}, "items": [named("a", app="x"), named("b")]}
    )
    last = answer({"metadata": {"resourceVersion": "9"}, "items": [named("c", app="x")]})
    transport, list_watch = list_watch_of(first, last)

    pages = [page async for page in list_watch.list("apps")]

    assert pages == [Page({("apps", "a"): "a"}, "9"), Page({("apps", "c"): "c"}, "9")]
    assert transport.requests[0].query["limit"] == "100"


async def test_a_watch_has_changes_and_progress():
    """A deleted object and one that the projection ignores look the same."""
    _, list_watch = list_watch_of(
        Chunks(
            [
                watch_line("ADDED", named("a", "10", app="x")),
                watch_line("MODIFIED", named("a", "11")),
                watch_line("DELETED", named("b", "12", app="x")),
                watch_line("BOOKMARK", {"metadata": {"resourceVersion": "20"}}),
            ]
        )
    )
    async with list_watch.watch("apps", "9") as changes:
        seen = [change async for change in changes]

    assert seen == [
        ObjectChange(("apps", "a"), "a", "10"),
        ObjectChange(("apps", "a"), None, "11"),
        ObjectChange(("apps", "b"), None, "12"),
        Progress("20"),
    ]


@pytest.mark.parametrize(("random", "seconds"), [(0.0, "48"), (0.999, "60")])
async def test_watches_end_at_different_times(random, seconds):
    """The watches of many namespaces must not all reconnect in the same second."""
    transport, list_watch = list_watch_of(Chunks([]), randoms=(random,))
    async with list_watch.watch(ALL_NAMESPACES, "9"):
        pass

    assert transport.requests[0].query["timeoutSeconds"] == seconds
    assert transport.requests[0].path == "/apis/apps/v1/deployments"


async def test_metadata_never_requests_data():
    """No Secret's data may cross the wire."""
    listed = answer({"metadata": {"resourceVersion": "9"}, "items": [named("a")]})
    transport, list_watch = list_watch_of(listed, Chunks([]), resource=SECRETS, projection=METADATA)
    [page] = [page async for page in list_watch.list("apps")]
    async with list_watch.watch("apps", page.version):
        pass

    assert page.items["apps", "a"].resource_version == "1"
    assert all(";as=PartialObjectMetadata" in request.accept for request in transport.requests)
