"""The informer on a real API server, also while that restarts."""

import asyncio
import base64
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from keyturn.base.time import Time
from keyturn.cluster.access import Access
from keyturn.cluster.errors import Gone
from keyturn.cluster.informer import Informer
from keyturn.cluster.list_watch import METADATA, ApiListWatch
from keyturn.cluster.resources import ALL_NAMESPACES, NAMESPACES, SECRETS
from keyturn.cluster.transport import ApiTransport
from localcluster import LocalCluster
from support.admin_cluster import AdminCluster
from support.patience import PATIENCE_S

pytestmark = pytest.mark.cluster

CANARY = base64.b64encode(b"canary-93b1e7").decode()
LABELS = {"app.kubernetes.io/managed-by": "keyturn-test"}
SELECTOR = "app.kubernetes.io/managed-by=keyturn-test"


def secret(**metadata):
    return {"metadata": {"labels": LABELS, **metadata}, "data": {"password": CANARY}}


async def put(cluster, namespace, name, **metadata):
    return await cluster.apply(SECRETS, namespace, name, secret(**metadata), field_manager="keyturn")


class Tap(ApiTransport):
    """The real transport; it records all received bytes."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.received = bytearray()

    async def send(self, request, deadline):
        """See `Transport.send`."""
        answer = await super().send(request, deadline)
        self.received += answer.body
        return answer

    @asynccontextmanager
    async def stream(self, request, idle_timeout):
        """See `Transport.stream`."""
        async with super().stream(request, idle_timeout) as stream:
            yield replace(stream, chunks=self._record(stream.chunks))

    async def _record(self, chunks):
        async for chunk in chunks:
            self.received += chunk
            yield chunk


def secrets_of(cluster, *, label_selector=SELECTOR):
    return ApiListWatch(cluster, SECRETS, METADATA, label_selector=label_selector, time=Time())


class Followed:
    """An informer, and a way to wait until its objects are as expected."""

    def __init__(self, list_watch, *, namespaces):
        self.changed = asyncio.Event()
        self.informer = Informer(
            list_watch,
            label="secrets",
            namespaces=namespaces,
            on_change=lambda key, old, new: self.changed.set(),
            time=Time(),
        )

    @property
    def names(self):
        """Names of all known objects."""
        return {name for _, name in self.informer.objects}

    async def until(self, condition):
        """Wait for changes until the condition holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def following(list_watch, *, namespaces):
    followed = Followed(list_watch, namespaces=namespaces)
    task = asyncio.create_task(followed.informer.run())
    try:
        await asyncio.wait_for(followed.informer.synced.wait(), PATIENCE_S)
        yield followed
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_follows_creation_change_and_deletion(cluster, namespace):
    """The objects become equal to those of the cluster, including the owners of their fields."""
    await put(cluster, namespace, "early")
    async with following(secrets_of(cluster), namespaces=(namespace,)) as followed:
        assert followed.names == {"early"}
        await put(cluster, namespace, "late")
        await followed.until(lambda: followed.names == {"early", "late"})
        await put(cluster, namespace, "late", annotations={"note": "changed"})
        await followed.until(lambda: followed.informer.objects[namespace, "late"].annotations == {"note": "changed"})
        await cluster.delete(SECRETS, namespace, "early")
        await followed.until(lambda: followed.names == {"late"})

        meta = followed.informer.objects[namespace, "late"]
        assert [entry["manager"] for entry in meta.managed_fields] == ["keyturn"]
        assert meta.managed_fields[0]["fieldsV1"]["f:data"] == {"f:password": {}}


async def test_no_data_of_any_secret_crosses_the_wire(api_server, cluster, namespace):
    """Neither list nor watch carries a value or even a `data` field."""
    access = await Access.load(kubeconfig=str(api_server.kubeconfig))
    await put(cluster, namespace, "listed", labels=(labels := {"app": namespace}))
    tap = Tap(access.configuration, 20)
    # A selector of its own: other tests write annotations that hold the same words as `data`.
    async with (
        AdminCluster(tap, time=Time()) as tapped,
        following(secrets_of(tapped, label_selector=f"app={namespace}"), namespaces=(ALL_NAMESPACES,)) as followed,
    ):
        await put(cluster, namespace, "watched", labels=labels)
        await followed.until(lambda: {"listed", "watched"} <= followed.names)
        await cluster.delete(SECRETS, namespace, "watched")
        await followed.until(lambda: "watched" not in followed.names)

    assert b'"watched"' in tap.received
    assert CANARY.encode() not in tap.received
    assert b'"data"' not in tap.received
    assert b'"stringData"' not in tap.received


async def test_an_object_that_leaves_the_selection_counts_as_deleted(cluster, namespace):
    """The removal of our label is noticed at once."""
    await put(cluster, namespace, "ours")
    async with following(secrets_of(cluster), namespaces=(namespace,)) as followed:
        await cluster.merge_patch(
            SECRETS,
            namespace,
            "ours",
            {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}},
            field_manager="another",
        )
        await followed.until(lambda: not followed.names)


async def test_metadata_larger_than_a_read_buffer_arrives(cluster, namespace):
    """Annotations may have 256 KiB, four times the longest line that aiohttp reads."""
    async with following(secrets_of(cluster), namespaces=(namespace,)) as followed:
        await put(cluster, namespace, "big", annotations={"note": "x" * 250_000})
        await followed.until(lambda: followed.names == {"big"})

        assert len(followed.informer.objects[namespace, "big"].annotations["note"]) == 250_000


async def test_kubectls_copy_of_a_secret_is_not_remembered(cluster, namespace):
    """`kubectl apply` keeps stringData in an annotation, which the informer drops."""
    await put(cluster, namespace, "applied", annotations={"kubectl.kubernetes.io/last-applied-configuration": CANARY})
    async with following(secrets_of(cluster), namespaces=(namespace,)) as followed:
        assert CANARY not in repr(followed.informer.objects)


async def test_several_namespaces_are_followed_and_others_are_not(cluster, namespace):
    """There is one watch for each configured namespace."""
    other = f"{namespace}-b"
    for name in (other, f"{namespace}-c"):
        await cluster.create(NAMESPACES, None, name, {}, field_manager="tests")
    try:
        await put(cluster, f"{namespace}-c", "unseen")
        async with following(secrets_of(cluster), namespaces=(namespace, other)) as followed:
            await put(cluster, namespace, "one")
            await put(cluster, other, "two")
            await followed.until(lambda: followed.names == {"one", "two"})
    finally:
        for name in (other, f"{namespace}-c"):
            await cluster.delete(NAMESPACES, None, name)


@pytest.fixture
def own_api_server():
    """An API server that no other test uses, because the test restarts it."""
    with LocalCluster.start() as local:
        yield local


class CountingListWatch(ApiListWatch):
    """Counts how often the history was lost."""

    gone = 0

    @asynccontextmanager
    async def watch(self, namespace, version):
        """See `ListWatch.watch`."""
        try:
            async with super().watch(namespace, version) as changes:
                yield changes
        except Gone:
            self.gone += 1
            raise


@pytest.mark.parametrize("kill", [False, True], ids=["politely", "by force"])
async def test_survives_a_restart_of_the_api_server(own_api_server, kill):
    """The new API server has no history before its start (410), and yet no change is missed."""
    access = await Access.load(kubeconfig=str(own_api_server.kubeconfig))
    async with AdminCluster.at(access) as cluster:
        counting = CountingListWatch(cluster, SECRETS, METADATA, label_selector=SELECTOR, time=Time())
        async with following(counting, namespaces=("default",)) as followed:
            await put(cluster, "default", "before")
            await followed.until(lambda: followed.names == {"before"})
            # History moves on, so that the restarted API server begins after the place of this watch.
            await cluster.create(NAMESPACES, None, "elsewhere", {}, field_manager="tests")

            await asyncio.to_thread(own_api_server.restart_apiserver, kill=kill)
            await put(cluster, "default", "after")
            await cluster.delete(SECRETS, "default", "before")

            await followed.until(lambda: followed.names == {"after"})
            await put(cluster, "default", "later")
            await followed.until(lambda: followed.names == {"after", "later"})
            assert followed.informer.error is None
            assert counting.gone == 1
