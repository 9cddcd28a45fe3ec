"""The set of connections follows the Connections of the cluster, their credentials, and their deletion."""

import asyncio

import pytest

from keyturn.cluster import CONNECTIONS, SECRETS
from keyturn.control.connections.unsupported import UNSUPPORTED
from keyturn.core.connection import ConnectionKey
from keyturn.core.paths import ItemPath
from keyturn.core.vault import (
    CredentialInvalid,
    CredentialMissing,
    CredentialRefused,
    HostNotAllowed,
    NotOpenedYet,
    VaultUnavailable,
)
from support.connection_world import WORK, ConnectionWorld

DB = ItemPath("Prod", "db")


@pytest.fixture(name="world")
def _world():
    world = ConnectionWorld()
    world.put_secret(token="good")
    return world


async def test_a_connection_is_opened_and_polled(world):
    """What its credential sees can be read through it."""
    async with world.running():
        world.put()
        await world.turn()
        found = await world.connection().index.find(DB, since=0)

    assert (found.connection, found.ref.id) == ("team/work", "a")
    assert [each.token for each in world.red.opened] == ["good"]
    assert world.changed == [WORK]


async def test_a_connection_that_was_there_before_the_start_is_opened(world):
    """Its watch reports it before the controller runs."""
    world.put()
    assert isinstance(world.connection().health.error, NotOpenedYet)
    async with world.running():
        await world.turn()
        assert not world.connection().health.is_down


async def test_until_it_is_open_its_users_wait_for_it(world):
    """They must not be served by another connection meanwhile, nor be told that there is none."""
    world.put()
    with pytest.raises(VaultUnavailable, match="team/work is being opened"):
        await world.connection().index.find(DB, since=0)
    assert world.red.opened == []


async def test_each_connection_polls_at_its_own_interval(world):
    """The Connection says it; else the provider has a default, and a least."""
    for name, spec in (("own", {"pollInterval": "5s"}), ("usual", {}), ("eager", {"pollInterval": "0.1s"})):
        world.put(ConnectionKey("team", name), **spec)
    async with world.running():
        await world.turn()
        assert [world.connection(ConnectionKey("team", name)).poller._interval for name in ("own", "usual")] == [5, 30]
        assert world.connection(ConnectionKey("team", "eager")).poller._interval >= 1


async def test_a_deleted_connection_is_closed_and_asked_no_more(world):
    """Its session ends at once, and nothing of it stays."""
    world.put()
    async with world.running():
        await world.turn()
        vaults = world.red.latest
        vaults.take_asked()
        world.delete()
        assert world.connections.get("team/work") is None
        await world.turn(120)

    assert vaults.closed
    assert vaults.take_asked() == []
    assert len(world.red.opened) == 1
    assert world.changed == [WORK, WORK]


async def test_a_suspended_connection_is_closed_until_it_is_resumed(world):
    """Not even a heartbeat is sent meanwhile."""
    world.put()
    async with world.running():
        await world.turn()
        vaults = world.red.latest
        world.edit({"spec": {"suspend": True}})
        vaults.take_asked()
        await world.turn(120)
        assert (world.connections.get("team/work"), vaults.closed, vaults.take_asked()) == (None, True, [])
        assert world.said() == {"Ready": ("True", "Suspended")}

        world.edit({"spec": {"suspend": False}})
        await world.turn()
        assert world.connection().vaults is world.red.latest is not vaults
        assert world.said() == {"Ready": ("True", "Connected")}


async def test_a_connection_that_is_being_deleted_is_closed(world):
    """Its finalizer may keep the object for a while; its account is not used any more."""
    world.put()
    async with world.running():
        await world.turn()
        world.edit({"metadata": {"deletionTimestamp": "2030-01-01T00:00:00Z", "finalizers": ["x/y"]}})
        await world.turn()

    assert world.connections.get("team/work") is None
    assert world.red.latest.closed


async def test_another_generation_gets_another_client(world):
    """A client is never changed: another one takes its place, and the old one is closed."""
    world.put()
    async with world.running():
        await world.turn()
        old = world.red.latest
        world.edit({"spec": {"connect": {"host": "blue.example"}}})
        await world.turn()

        assert old.closed
        assert world.connection().vaults is world.servers["blue.example"].latest


async def test_a_connection_that_was_made_again_under_its_name_gets_another_client(world):
    """The watch may report both in one difference."""
    world.put()
    async with world.running():
        await world.turn()
        old = world.red.latest
        world.api.remove(CONNECTIONS, *WORK)
        world.put()
        await world.turn()

        assert old.closed
        assert world.connection().vaults is world.red.latest is not old


async def test_a_status_that_changes_opens_nothing(world):
    """Our own writes come back by the watch."""
    world.put()
    async with world.running():
        await world.turn()
        world.see()
        await world.turn(20)

    assert len(world.red.opened) == 1
    assert world.changed == [WORK]


async def test_a_new_credential_counts_within_ten_seconds(world):
    """The operator reads the Secret by its name, and never lists or watches any."""
    world.put()
    world.red.tokens = {"better"}
    async with world.running():
        await world.turn()
        assert world.said()["Ready"] == ("Unknown", "Progressing"), "a first refusal may be by chance"
        await world.turn(6)
        assert world.said()["Ready"] == ("False", "ReconnectRequired")
        old = world.red.latest
        world.put_secret(token="better")
        await world.turn(10)

        assert [each.token for each in world.red.opened] == ["good", "better"]
        assert old.closed
        assert world.said() == {"Ready": ("True", "Connected")}
    secrets = {call.verb for call in world.api.calls if call.resource == SECRETS.label}
    assert secrets == {"get"}


async def test_a_credential_that_stays_is_looked_at_by_its_metadata_alone(world):
    """No value travels while nothing changed."""
    world.put()
    async with world.running():
        await world.turn(30)

    assert len(world.red.opened) == 1


async def test_connections_that_share_a_secret_have_it_looked_at_once(world):
    """A thousand Connections of one credential are no thousand requests."""
    for number in range(5):
        world.put(ConnectionKey("team", f"work-{number}"))
    async with world.running():
        await world.turn(1)
        world.api.calls.clear()
        await world.turn(9)

    looks = [call for call in world.api.calls if call.resource == SECRETS.label]
    assert 1 <= len(looks) <= 2


@pytest.mark.parametrize(
    ("data", "error", "reason"),
    [
        (None, CredentialMissing, "CredentialMissing"),
        ({"other": "x"}, CredentialMissing, "CredentialMissing"),
        ({"token": "no token"}, CredentialInvalid, "InvalidCredential"),
        ({"token": b"\xff\xfe"}, CredentialInvalid, "InvalidCredential"),
    ],
)
async def test_a_credential_that_cannot_be_used_is_waited_for(data, error, reason):
    """Nothing is sent; as soon as the Secret is good, everything goes on by itself."""
    world = ConnectionWorld()
    if data is not None:
        world.put_secret(**data)
    world.put()
    async with world.running():
        await world.turn()
        assert isinstance(world.connection().health.error, error)
        assert world.said()["Ready"] == ("False", reason)
        assert world.red.opened == []

        world.put_secret(token="good")
        await world.turn(10)
        assert world.said() == {"Ready": ("True", "Connected")}


async def test_a_server_that_is_not_allowed_is_never_asked(world):
    """A tenant writes the Connection, so it must not reach what only the cluster can."""
    world.put(host="10.0.0.1")
    async with world.running():
        await world.turn()
        assert isinstance(world.connection().health.error, HostNotAllowed)
        assert world.said() == {"Ready": ("False", "HostNotAllowed"), "Stalled": ("True", "HostNotAllowed")}
        assert "KEYTURN_ALLOWED_HOSTS" in world.message()


async def test_a_kind_of_vault_that_this_operator_does_not_know_is_said(world):
    """Another version of Keyturn may know it."""
    world.put(connect=None, bitwarden={})
    async with world.running():
        await world.turn()
        assert world.connection().provider is UNSUPPORTED
        assert world.said()["Ready"] == ("False", "ProviderNotSupported")
        with pytest.raises(VaultUnavailable):
            await world.connection().index.find(DB, since=0)


async def test_a_refused_credential_keeps_the_connection_in_the_set(world):
    """Its users wait for it, and are told why."""
    world.red.tokens = set()
    world.put()
    async with world.running():
        await world.turn()
        with pytest.raises(CredentialRefused):
            await world.connection().index.find(DB, since=0)


async def test_an_api_server_that_is_away_is_asked_again(world):
    """The credential can just not be read for a moment."""
    world.api.fail("get", SECRETS, status=503, times=2)
    world.put()
    async with world.running():
        await world.turn(10)
        assert world.said() == {"Ready": ("True", "Connected")}


async def test_a_look_at_a_credential_that_fails_changes_nothing(world):
    """An API server that has just started refuses everything for a moment: that is no proof that the Secret is gone."""
    world.put()
    async with world.running():
        await world.turn(1)
        world.api.fail("get", SECRETS, status=403, times=3)
        await world.turn(30)

    assert len(world.red.opened) == 1


async def test_a_missing_right_is_named(world):
    """The operator may not read Secrets there."""
    world.api.fail("get", SECRETS, status=403, times=1)
    world.put()
    async with world.running():
        await world.turn()
        assert world.said()["Ready"] == ("False", "CredentialMissing")
        assert world.message() == "the operator may not read the Secret token"
        await world.turn(10)
        assert world.said() == {"Ready": ("True", "Connected")}


async def test_a_connection_that_changes_while_it_is_opened_is_opened_as_it_is_now(world):
    """Nothing of the old one stays open."""
    world.put()
    arrived, go = asyncio.Event(), asyncio.Event()

    async def late(call):
        if call.resource == SECRETS.label and not go.is_set():
            arrived.set()
            await go.wait()

    world.api.delay = late
    async with world.running():
        await arrived.wait()
        world.edit({"spec": {"connect": {"host": "blue.example"}}})
        go.set()
        await world.turn()

        assert all(each.closed for each in world.red.opened)
        assert world.connection().vaults is world.servers["blue.example"].latest


async def test_one_connection_whose_provider_fails_does_not_keep_others_from_being_opened(world):
    """A defect concerns one Connection."""
    del world.servers["blue.example"]
    world.put(ConnectionKey("other", "broken"), host="blue.example")
    world.api.add(SECRETS, {"metadata": {"namespace": "other", "name": "token"}, "data": {"token": "Z29vZA=="}})
    world.put()
    async with world.running():
        await world.turn(5)
        assert world.said() == {"Ready": ("True", "Connected")}
        assert world.connection(ConnectionKey("other", "broken")).health.is_down


async def test_the_end_closes_what_was_opened_and_leaves_no_tasks(world):
    """Sessions end with the process."""
    world.put()
    before = asyncio.all_tasks()
    async with world.running():
        await world.turn(5)

    assert world.red.latest.closed
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(("status", "reason"), [(403, "Forbidden"), (503, "ServiceUnavailable")])
async def test_a_look_that_is_refused_or_not_answered_is_repeated_and_changes_nothing(world, status, reason):
    """A right that was taken away is no proof that the Secret is gone."""
    world.put()
    async with world.running():
        await world.turn(2)
        world.put_secret(token="better")
        world.red.tokens = {"good", "better"}
        world.api.fail("get", SECRETS, status=status, reason=reason)
        await world.turn(10)
        assert [each.token for each in world.red.opened] == ["good"]
        await world.turn(10)
        assert [each.token for each in world.red.opened] == ["good", "better"]


async def test_only_an_open_connection_can_be_had(world):
    """Whoever asks for another must wait for it."""
    with pytest.raises(VaultUnavailable, match="team/work is not open"):
        world.connections.opened("team/work")
