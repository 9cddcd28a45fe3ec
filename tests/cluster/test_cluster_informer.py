import asyncio
import base64
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from keyturn.cluster.access import Access
from keyturn.cluster.errors import Gone
from keyturn.cluster.gateway import Cluster
from keyturn.cluster.informer import METADATA, Informer
from keyturn.cluster.resources import NAMESPACES, SECRETS
from keyturn.cluster.transport import ApiTransport
from localcluster import LocalCluster
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
    """The real transport with a microphone on the wire."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.heard = bytearray()

    async def send(self, request, deadline):
        """See `Transport.send`."""
        answer = await super().send(request, deadline)
        self.heard += answer.body
        return answer

    @asynccontextmanager
    async def stream(self, request, silence):
        """See `Transport.stream`."""
        async with super().stream(request, silence) as stream:
            yield replace(stream, chunks=self._listen(stream.chunks))

    async def _listen(self, chunks):
        async for chunk in chunks:
            self.heard += chunk
            yield chunk


class Picture:
    """A running informer, and a way to wait until its picture is as expected."""

    def __init__(self, source, **options):
        self.changed = asyncio.Event()
        self.told = []
        self.informer = Informer(source, SECRETS, reading=METADATA, on_change=self._note, **options)

    def _note(self, key, old, new):
        self.told.append((key, old, new))
        self.changed.set()

    @property
    def names(self):
        """Names of all objects in the picture."""
        return {name for _, name in self.informer.objects}

    async def until(self, condition):
        """Wait for changes until the condition holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def following(source, **options):
    picture = Picture(source, **{"label_selector": SELECTOR, **options})
    task = asyncio.create_task(picture.informer.run())
    try:
        await asyncio.wait_for(picture.informer.synced.wait(), PATIENCE_S)
        yield picture
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_follows_creation_change_and_deletion(cluster, namespace):
    """The picture becomes equal to the cluster, and knows who owns which field."""
    await put(cluster, namespace, "early")
    async with following(cluster, namespaces=(namespace,)) as picture:
        assert picture.names == {"early"}
        await put(cluster, namespace, "late")
        await picture.until(lambda: picture.names == {"early", "late"})
        await put(cluster, namespace, "late", annotations={"note": "changed"})
        await picture.until(lambda: picture.informer.objects[namespace, "late"].annotations == {"note": "changed"})
        await cluster.delete(SECRETS, namespace, "early")
        await picture.until(lambda: picture.names == {"late"})

        meta = picture.informer.objects[namespace, "late"]
        assert [entry["manager"] for entry in meta.managed_fields] == ["keyturn"]
        assert meta.managed_fields[0]["fieldsV1"]["f:data"] == {"f:password": {}}


async def test_no_data_of_any_secret_crosses_the_wire(api_server, cluster, namespace):
    """Neither list nor watch carries a value or even a `data` field."""
    access = await Access.load(kubeconfig=str(api_server.kubeconfig))
    await put(cluster, namespace, "listed", labels=(labels := {"app": namespace}))
    tap = Tap(access.configuration, 20)
    # A selector of its own: other tests write annotations that hold what no `data` does.
    async with (
        Cluster(tap) as tapped,
        following(tapped, namespaces=None, label_selector=f"app={namespace}") as picture,
    ):
        await put(cluster, namespace, "watched", labels=labels)
        await picture.until(lambda: {"listed", "watched"} <= picture.names)
        await cluster.delete(SECRETS, namespace, "watched")
        await picture.until(lambda: "watched" not in picture.names)

    assert b'"watched"' in tap.heard
    assert CANARY.encode() not in tap.heard
    assert b'"data"' not in tap.heard
    assert b'"stringData"' not in tap.heard


async def test_an_object_that_leaves_the_selection_counts_as_deleted(cluster, namespace):
    """Taking our label away is seen at once."""
    await put(cluster, namespace, "ours")
    async with following(cluster, namespaces=(namespace,)) as picture:
        await cluster.merge_patch(
            SECRETS,
            namespace,
            "ours",
            {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}},
            field_manager="somebody",
        )
        await picture.until(lambda: not picture.names)


async def test_metadata_larger_than_a_read_buffer_arrives(cluster, namespace):
    """Annotations up to the limit of 256 KiB, four times what aiohttp reads as a line, are followed."""
    async with following(cluster, namespaces=(namespace,)) as picture:
        await put(cluster, namespace, "big", annotations={"note": "x" * 250_000})
        await picture.until(lambda: picture.names == {"big"})

        assert len(picture.informer.objects[namespace, "big"].annotations["note"]) == 250_000


async def test_kubectls_copy_of_a_secret_is_not_remembered(cluster, namespace):
    """The annotation in which `kubectl apply` keeps stringData never enters the picture."""
    await put(cluster, namespace, "applied", annotations={"kubectl.kubernetes.io/last-applied-configuration": CANARY})
    async with following(cluster, namespaces=(namespace,)) as picture:
        assert CANARY not in repr(picture.informer.objects)


async def test_several_namespaces_are_followed_and_others_are_not(cluster, namespace):
    """One watch for each namespace that was asked for."""
    other = f"{namespace}-b"
    for name in (other, f"{namespace}-c"):
        await cluster.create(NAMESPACES, None, name, {}, field_manager="tests")
    try:
        await put(cluster, f"{namespace}-c", "unseen")
        async with following(cluster, namespaces=(namespace, other)) as picture:
            await put(cluster, namespace, "one")
            await put(cluster, other, "two")
            await picture.until(lambda: picture.names == {"one", "two"})
    finally:
        for name in (other, f"{namespace}-c"):
            await cluster.delete(NAMESPACES, None, name)


@pytest.fixture
def own_api_server():
    """An API server that no other test uses, because this one breaks it."""
    with LocalCluster.start() as local:
        yield local


class Witness:
    """The cluster as an informer sees it, with every loss of history remembered."""

    def __init__(self, cluster):
        self.pages = cluster.pages
        self._cluster = cluster
        self.gone = 0

    @asynccontextmanager
    async def watch(self, *arguments, **options):
        """See `Cluster.watch`."""
        try:
            async with self._cluster.watch(*arguments, **options) as events:
                yield events
        except Gone:
            self.gone += 1
            raise


@pytest.mark.parametrize("kill", [False, True], ids=["politely", "by force"])
async def test_survives_a_restart_of_the_api_server(own_api_server, kill):
    """The new API server has forgotten our place in history (410), and yet no change is missed."""
    access = await Access.load(kubeconfig=str(own_api_server.kubeconfig))
    async with Cluster.at(access) as cluster:
        witness = Witness(cluster)
        async with following(witness, namespaces=("default",)) as picture:
            await put(cluster, "default", "before")
            await picture.until(lambda: picture.names == {"before"})
            # History moves on without us, so that the restarted API server begins to remember only after our place.
            await cluster.create(NAMESPACES, None, "elsewhere", {}, field_manager="tests")

            await asyncio.to_thread(own_api_server.restart_apiserver, kill=kill)
            await put(cluster, "default", "after")
            await cluster.delete(SECRETS, "default", "before")

            await picture.until(lambda: picture.names == {"after"})
            await put(cluster, "default", "later")
            await picture.until(lambda: picture.names == {"after", "later"})
            assert picture.informer.trouble is None
            assert witness.gone == 1
