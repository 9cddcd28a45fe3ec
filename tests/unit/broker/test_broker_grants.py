"""The AccessGrants of the cluster: whose they are, when they count, and which paths they name of each connection."""

import asyncio
import contextlib

import pytest

from keyturn.broker.errors import StaleRights
from keyturn.broker.grants import STALE_AFTER, Grants
from keyturn.broker.namespaces import NamespaceLabels
from keyturn.cluster import ACCESS_GRANTS, NAMESPACES
from keyturn.core.access import Identity
from keyturn.core.connection import ConnectionKey, read_connection
from keyturn.core.paths import ItemPath
from keyturn.core.request import DEFAULT_CONNECTION
from support.broker_context import broker_context
from support.event_loop import turns, until
from support.fake_api import FakeApiServer
from support.fake_time import FakeTime

CI = Identity("team-a", "ci", pod="runner", pod_uid="uid-1")


def connection(key, **spec):
    metadata = {"namespace": key.namespace, "name": key.name, "uid": "u", "resourceVersion": "1"}
    return {key: read_connection({"metadata": metadata, "spec": {"connect": {"host": "h"}, **spec}})}


class Granting:
    """Grants over an API server in memory, which serves no watch: each list finds what changed."""

    def __init__(self, *, installation=True, served=True, **settings):
        self.time = FakeTime(sleeps=False)
        self.api = FakeApiServer(time=self.time)
        if served:
            self.api.serve(ACCESS_GRANTS)
        self.known = {}
        self.gone = []
        self.labels = NamespaceLabels(self.api, time=self.time)
        self.grants = Grants(
            broker_context(self.api, time=self.time, **settings),
            known=self.known,
            labels=self.labels,
            installation=installation,
            on_gone=self.gone.append,
        )

    def add(self, name="deploy", *, namespace="team-a", to="ci", item="db", **spec):
        path = {"path": f"vaults/Prod/items/{item}", "fields": ["password"], "allow": ["read"]}
        whole = {"to": [{"serviceAccount": to}], "items": [path], **spec}
        self.api.add(ACCESS_GRANTS, {"metadata": {"namespace": namespace, "name": name}, "spec": whole})

    def edit(self, name="deploy", **spec):
        self.api.edit(ACCESS_GRANTS, "team-a", name, {"spec": spec})

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.ensure_future(self.grants.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def later(self, seconds=1.0):
        self.time.advance(seconds)
        return True

    def names(self, identity=CI):
        return [grant.key.name for grant in self.grants.for_identity(identity, self.time.now())]

    def paths(self, connection_name):
        return [path.item for path in self.grants.paths(connection_name)]


async def test_a_grant_counts_for_the_service_accounts_that_it_names():
    """In its own namespace alone."""
    world = Granting()
    world.add("b")
    world.add("a")
    world.add("other", to="web")
    world.add("elsewhere", namespace="team-b")
    async with world.running():
        await world.grants.listed()

    assert world.names() == ["a", "b"]
    assert world.names(Identity("team-a", "web")) == ["other"]
    assert world.names(Identity("team-b", "ci")) == ["elsewhere"]
    assert world.names(Identity("team-c", "ci")) == []


async def test_a_grant_that_changes_or_goes_counts_as_it_is_at_once():
    """A revoked right must not live on in an index beside the grants."""
    world = Granting()
    world.add()
    async with world.running():
        await world.grants.listed()
        world.edit(to=[{"serviceAccount": "web"}])
        await until(lambda: world.later() and not world.names())
        assert world.names(Identity("team-a", "web")) == ["deploy"]
        world.api.remove(ACCESS_GRANTS, "team-a", "deploy")
        await until(lambda: world.later() and not world.names(Identity("team-a", "web")))

    assert world.gone == ["team-a/deploy"]
    assert not world.grants._by_account
    assert len(world.grants) == 0


async def test_only_what_applies_now_is_given():
    """An expired grant needs nobody who deletes it."""
    world = Granting()
    world.add("expired", expiresAt="2029-12-31T23:59:59Z")
    world.add("soon", expiresAt="2030-01-01T01:00:00Z")
    world.add("other-pod", boundTo={"pod": {"uid": "uid-2"}})
    world.add("this-pod", boundTo={"pod": {"uid": "uid-1"}})
    async with world.running():
        await world.grants.listed()
        assert world.names() == ["soon", "this-pod"]
        world.time.advance(3600)

    assert world.names() == ["this-pod"]


async def test_nobody_has_rights_before_they_are_known():
    """Not even for the moment of the start."""
    world = Granting()
    with pytest.raises(StaleRights):
        world.grants.check_fresh()
    assert world.grants.not_ready() == "the AccessGrants are not listed yet"

    async with world.running():
        await world.grants.listed()
    world.grants.check_fresh()
    assert world.grants.not_ready() is None


async def test_nobody_has_rights_once_the_watch_has_been_silent_for_a_minute():
    """A grant may have been revoked meanwhile. When the API server answers again, rights come back by themselves."""
    world = Granting()
    world.add()
    async with world.running():
        await world.grants.listed()
        world.api.fail("list", ACCESS_GRANTS, status=503, times=10_000)
        for _ in range(int(STALE_AFTER)):
            await turns(5)
            world.later()
        world.grants.check_fresh()
        world.later(1)
        with pytest.raises(StaleRights):
            world.grants.check_fresh()
        assert "accessgrants.keyturn.dev" in world.grants.not_ready()
        assert world.names() == ["deploy"]

        world.api._failures.clear()
        await until(lambda: world.later() and world.grants.not_ready() is None)
        world.grants.check_fresh()


async def test_without_the_definition_the_broker_is_not_ready_and_says_why():
    """Whoever forgot `kubectl apply -f crds/` reads it in the readiness endpoint."""
    world = Granting(served=False)
    async with world.running():
        await until(lambda: world.later() and world.grants._informer.error)
        assert "cannot watch accessgrants.keyturn.dev" in world.grants.not_ready()
        world.api.serve(ACCESS_GRANTS)
        await until(lambda: world.later() and world.grants.not_ready() is None)


async def test_a_namespace_whose_watch_fails_does_not_stop_the_others():
    """Its Role may be missing."""
    world = Granting(watch_namespaces=("team-a", "team-b"))
    world.add()
    async with world.running():
        await world.grants.listed()
    world.grants._informer._watches[1].worked_at = float("-inf")

    world.grants.check_fresh("team-a")
    for namespace in ("team-b", ""):
        with pytest.raises(StaleRights):
            world.grants.check_fresh(namespace)


async def test_paths_are_wanted_of_the_connection_that_serves_the_grant():
    """As the doors decide at each use, but without asking anybody."""
    world = Granting()
    shared, work = ConnectionKey("shared", "work"), ConnectionKey("team-b", "default")
    world.known |= connection(shared, usableFrom={"namespaces": ["team-a"]})
    world.known |= connection(work)
    world.add("own", item="own")
    world.add("named", item="named", connectionRef={"namespace": "shared", "name": "work"})
    world.add("not-allowed", namespace="team-b", item="no", connectionRef={"namespace": "shared", "name": "work"})
    world.add("default", namespace="team-b", item="default")
    world.add("absent", item="absent", connectionRef={"name": "nowhere"})
    async with world.running():
        await world.grants.listed()

    assert world.paths(DEFAULT_CONNECTION) == ["own"]
    assert world.paths("shared/work") == ["named"]
    assert world.paths("team-b/default") == ["default"]
    assert world.paths("team-a/nowhere") == []


async def test_paths_are_wanted_before_the_labels_of_the_namespace_are_known():
    """What is wanted only says what to list; the consent is judged at each use."""
    world = Granting(installation=False)
    world.api.add(NAMESPACES, {"metadata": {"name": "team-a", "labels": {}}})
    shared = ConnectionKey("shared", "work")
    world.known |= connection(shared, usableFrom={"selector": {"matchLabels": {"stage": "live"}}})
    world.add(connectionRef={"namespace": "shared", "name": "work"})
    async with world.running():
        await world.grants.listed()

    assert world.grants.paths("shared/work") == (ItemPath("Prod", "db"),)


async def test_paths_are_the_same_object_until_something_changes():
    """An idle poll of ten thousand grants costs a comparison."""
    world = Granting()
    world.add()
    async with world.running():
        await world.grants.listed()
        first = world.grants.paths(DEFAULT_CONNECTION)
        assert world.grants.paths(DEFAULT_CONNECTION) is first
        world.edit(to=[{"serviceAccount": "web"}])
        await until(lambda: world.later() and not world.names())
        assert world.grants.paths(DEFAULT_CONNECTION) == first

        world.known |= connection(ConnectionKey("team-a", "default"))
        world.grants.connections_changed()
        assert world.grants.paths(DEFAULT_CONNECTION) == ()
        assert world.grants.paths("team-a/default") == first
