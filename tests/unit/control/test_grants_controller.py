"""The status of an AccessGrant says whether what it names is found, once, and costs nothing while nothing changes."""

import logging

import pytest

from keyturn.cluster import ACCESS_GRANTS
from keyturn.core.access_grant import GrantKey
from keyturn.core.vault import AccessDenied, ItemUnreadable, Scope, VaultUnavailable
from support.grant_world import GrantWorld
from support.grants import PATH

RESOLVED = {"Ready": ("True", "Resolved")}


def stalled(reason):
    return {"Ready": ("False", reason), "Stalled": ("True", reason)}


def late(reason):
    return {"Ready": ("Unknown", reason), "Reconciling": ("True", reason)}


@pytest.fixture(name="world")
def _world():
    return GrantWorld()


def item(path=PATH, fields=("password",)):
    return {"path": path, "fields": list(fields), "allow": ["read"]}


async def test_what_is_found_is_said_with_its_ids(world):
    """A rename does not change what was meant when somebody looked."""
    world.connect()
    async with world.running():
        world.grant(items=[item(), item("vaults/v/items/b")])
        await world.turn(2)

    assert world.grant_says() == RESOLVED
    assert world.grant_status().items == ((PATH, "vaults/v/items/a"), ("vaults/v/items/b", "vaults/v/items/b"))
    assert world.grant_status().observed_generation == 1
    assert world.grant_writes() == 1


async def test_an_idle_grant_writes_nothing_and_asks_nothing_more(world):
    """However often its connection is polled, and however much moves beside it."""
    world.connect(pollInterval="5s")
    async with world.running():
        world.grant()
        await world.turn(5)
        world.grant_writes()
        for number in range(5):
            world.red.latest.edit("a", value=f"v{number}", revision=str(number + 2))
            await world.turn(10)
        world.see_grant()
        assert world.grant_writes() == 0


async def test_a_restart_of_the_operator_writes_nothing(world):
    """Neither of what is found nor of what is missing."""
    world.connect()
    async with world.running():
        world.grant()
        world.grant(GrantKey("team", "lost"), items=[item("vaults/Prod/items/lost")])
        await world.turn(60)
        assert world.grant_says(GrantKey("team", "lost")) == stalled("ItemNotFound")
    second = GrantWorld()
    second.connect()
    for name in ("deploy", "lost"):
        second.api.add(ACCESS_GRANTS, world.api.find(ACCESS_GRANTS, "team", name))
        second.see_grant(GrantKey("team", name))
    async with second.running():
        await second.turn(60)
    assert second.grant_writes() == 0


async def test_an_item_that_comes_a_moment_later_is_waited_for(world):
    """It is often applied together with its grant."""
    world.connect(pollInterval="1h")
    async with world.running():
        await world.turn(1)
        world.grant(items=[item("vaults/Prod/items/new")])
        await world.turn(2)
        assert world.grant_says() == late("ItemNotFound")
        world.red.latest.add("n", "new")
        await world.turn(10)
        assert world.grant_says() == RESOLVED


async def test_an_item_that_stays_missing_is_said_after_a_while(world, caplog):
    """And when it comes at last, the poll finds it."""
    caplog.set_level(logging.WARNING)
    world.connect(pollInterval="5s")
    async with world.running():
        world.grant(items=[item(), item("vaults/Prod/items/dc")])
        await world.turn(40)
        assert world.grant_says() == stalled("ItemNotFound")
        assert world.grant_message().endswith("; the other items are granted")
        assert "AccessGrant team/deploy: ItemNotFound: the vault 'Prod' has no item" in caplog.text
        asked = world.red.latest.take_asked()
        await world.turn(20)
        assert [each for each in world.red.latest.take_asked() if each.startswith("items")] == []
        assert asked
        world.red.latest.add("n", "dc")
        await world.turn(10)
        assert world.grant_says() == RESOLVED


async def test_what_vanishes_is_said_once_it_has_been_gone_for_a_while(world):
    """A listing may be incomplete for a moment."""
    world.connect(pollInterval="5s")
    async with world.running():
        world.grant()
        await world.turn(5)
        world.grant_writes()
        kept = list(world.red.latest.listing["v"])
        world.red.latest.remove("a")
        await world.turn(15)
        world.red.latest.listing["v"] = kept
        world.red.latest.edit("a", revision="7")
        await world.turn(60)
        assert world.grant_writes() == 0

        world.red.latest.remove("a")
        await world.turn(60)
        assert world.grant_says() == stalled("ItemNotFound")
        assert world.grant_writes() == 1


async def test_a_title_that_two_items_have_grants_nothing(world):
    """Whoever may make an item in the vault could else replace what is granted."""
    world.connect(pollInterval="5s")
    async with world.running():
        world.grant()
        await world.turn(2)
        assert world.grant_says() == RESOLVED
        world.red.latest.add("z", "db")
        await world.turn(10)
        assert world.grant_says() == stalled("ItemAmbiguous")
        assert (
            world.grant_message() == "2 items of the vault 'Prod' are titled 'db'; name the one that is meant by its id"
        )
        world.edit_grant({"spec": {"items": [item("vaults/Prod/items/z")]}})
        await world.turn(2)
        assert world.grant_says() == RESOLVED
        assert world.grant_status().items == (("vaults/Prod/items/z", "vaults/v/items/z"),)


async def test_a_title_that_two_vaults_have_grants_nothing(world):
    """Likewise."""
    world.connect()
    world.red.vaults["w"] = Scope(id="w", title="Prod", version=1, size=0)
    async with world.running():
        world.grant()
        await world.turn(2)

    assert world.grant_says() == stalled("ItemAmbiguous")
    assert world.grant_message().startswith("2 vaults are titled 'Prod'; name")


@pytest.mark.parametrize("name", ["Other", "x"])
async def test_a_vault_that_the_connection_does_not_see_is_not_allowed(world, name):
    """Whether it exists, nobody can tell."""
    world.connect()
    async with world.running():
        world.grant(items=[item(f"vaults/{name}/items/db")])
        await world.turn(60)

    assert world.grant_says() == stalled("VaultNotAllowed")
    assert world.grant_message() == f"no vault with the title or id '{name}' is visible to the fake token"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (AccessDenied("not for this token"), stalled("VaultNotAllowed")),
        (VaultUnavailable("slow"), late("VaultUnavailable")),
        (ItemUnreadable("strange"), late("VaultUnavailable")),
    ],
)
async def test_a_vault_that_cannot_be_listed_is_told_apart(world, error, expected):
    """A missing right is somebody's to give; an outage ends."""
    world.connect()
    async with world.running():
        await world.turn(1)
        world.red.latest.refused["v"] = error
        world.grant()
        await world.turn(60)
        assert world.grant_says() == expected


async def test_an_outage_changes_nothing_and_a_new_grant_waits(world):
    """What was found is still what is meant."""
    world.connect(pollInterval="5s")
    async with world.running():
        world.grant()
        await world.turn(5)
        world.red.latest.error = VaultUnavailable("down")
        await world.turn(60)
        assert world.grant_says() == RESOLVED
        world.grant(GrantKey("team", "new"), items=[item("vaults/Prod/items/api")])
        world.edit_grant({"spec": {"items": [item("vaults/Prod/items/other")]}})
        await world.turn(60)
        assert world.grant_says(GrantKey("team", "new")) in (RESOLVED, late("VaultUnavailable"))
        assert world.grant_says() == late("VaultUnavailable")
        world.red.latest.error = None
        await world.turn(60)
        assert world.grant_says(GrantKey("team", "new")) == RESOLVED
        assert world.grant_says() in (late("ItemNotFound"), stalled("ItemNotFound"))


async def test_no_connection_and_one_that_refuses_look_the_same(world):
    """Who may not use a Connection shall not learn that it is there."""
    world.connect()
    other, absent = GrantKey("other", "deploy"), GrantKey("other", "absent")
    async with world.running():
        world.grant(other)
        world.grant(absent, connectionRef={"name": "absent", "namespace": "team"})
        await world.turn(1)
        assert world.grant_says(other) == world.grant_says(absent) == late("ConnectionNotUsable")
        await world.turn(60)

    assert world.grant_says(other) == world.grant_says(absent) == stalled("ConnectionNotUsable")
    assert world.grant_message(other) == world.grant_message(absent).replace("absent", "work")


async def test_a_connection_that_comes_is_used(world):
    """At once, also by a grant that had given up."""
    world.grant(connectionRef=None)
    async with world.running():
        await world.turn(60)
        assert world.grant_says() == stalled("ConnectionNotUsable")
        world.connect()
        world.edit_grant({"spec": {"connectionRef": {"name": "work"}}})
        await world.turn(5)
        assert world.grant_says() == RESOLVED
        world.delete()
        await world.turn(60)
        assert world.grant_says() == stalled("ConnectionNotUsable")
        world.put()
        await world.turn(5)
        assert world.grant_says() == RESOLVED


async def test_consent_by_labels_is_read_from_the_namespace(world):
    """Namespaces are not watched: a change counts within minutes here, and at once at the broker."""
    world.connect(usableFrom={"selector": {"matchLabels": {"team": "a"}}})
    key = GrantKey("other", "deploy")
    async with world.running():
        world.grant(key)
        await world.turn(60)
        assert world.grant_says(key) == stalled("ConnectionNotUsable")
        world.label("other", team="a")
        await world.turn(700)
        assert world.grant_says(key) == RESOLVED
        world.label("other", team="b")
        await world.turn(700)
        assert world.grant_says(key) == stalled("ConnectionNotUsable")


async def test_a_grant_that_ends_says_so_by_itself(world):
    """Nothing else happens at that moment."""
    world.connect()
    async with world.running():
        world.grant(expiresAt="2030-01-01T00:02:00Z")
        await world.turn(60)
        assert world.grant_says() == RESOLVED
        assert world.served.paths("team/work") != ()
        await world.turn(70)
        assert world.grant_says() == stalled("Expired")
        assert world.grant_message().startswith("it ended at 2030-01-01T00:02:00Z")
        assert world.served.paths("team/work") == ()
        world.edit_grant({"spec": {"expiresAt": "2031-01-01T00:00:00Z"}})
        await world.turn(2)
        assert world.grant_says() == RESOLVED


async def test_what_this_version_does_not_do_is_said(world):
    """A grant that is accepted and does nothing would be a riddle."""
    world.connect()
    async with world.running():
        world.grant(items=[{**item(), "allow": ["use", "read"]}])
        await world.turn(2)

    assert world.grant_says() == {**RESOLVED, "Warning": ("True", "NotSupported")}


async def test_a_path_that_an_older_definition_let_through_is_said(world):
    """It grants nothing."""
    world.connect()
    async with world.running():
        world.grant(items=[item("Prod/db"), item()])
        await world.turn(2)

    assert world.grant_says() == stalled("ItemNotFound")
    assert "'Prod/db' must be of the form" in world.grant_message()


async def test_an_object_that_changes_meanwhile_is_looked_at_again(world):
    """A status speaks of the generation that was looked at."""
    world.connect()
    async with world.running():
        world.grant()
        world.edit_grant({"spec": {"items": [item("vaults/Prod/items/lost")]}}, reported=False)
        await world.turn(1)
        assert world.grant_says() == {}
        world.see_grant()
        await world.turn(60)
        assert world.grant_says() == stalled("ItemNotFound")
        assert world.grant_status().observed_generation == 2


async def test_a_grant_that_is_gone_or_going_is_left_alone(world, caplog):
    """Its status is nobody's concern."""
    caplog.set_level(logging.WARNING)
    world.connect()
    async with world.running():
        world.grant()
        world.api.remove(ACCESS_GRANTS, "team", "deploy")
        await world.turn(2)
        world.see_grant()
        world.grant(GrantKey("team", "going"))
        world.api.edit(
            ACCESS_GRANTS,
            "team",
            "going",
            {"metadata": {"deletionTimestamp": "2030-01-01T00:00:00Z", "finalizers": ["x"]}},
        )
        world.see_grant(GrantKey("team", "going"))
        await world.turn(60)

    assert world.grant_writes() == 0
    assert caplog.text == ""


async def test_an_api_server_that_refuses_is_asked_again(world, caplog):
    """With growing pauses."""
    caplog.set_level(logging.WARNING)
    world.connect()
    world.api.fail("apply", ACCESS_GRANTS, status=403, reason="Forbidden", times=2)
    async with world.running():
        world.grant()
        await world.turn(30)

    assert world.grant_says() == RESOLVED
    assert "AccessGrant team/deploy" in caplog.text


async def test_a_defect_is_logged_and_the_worker_lives(world, caplog):
    """Whatever a provider does, the statuses of all other grants are written."""
    world.connect(pollInterval="1h")
    async with world.running():
        await world.turn(1)
        world.red.latest.refused["v"] = RuntimeError("a defect")
        world.grant()
        await world.turn(1)
        assert "the status of the AccessGrant team/deploy" in caplog.text
        world.red.latest.refused.clear()
        await world.turn(60)

    assert world.grant_says() == RESOLVED
