"""A look at a grant: what there is to say of it, through which connection, and what its paths mean by the listings alone."""

import pytest

from keyturn.cluster import NAMESPACES, ClusterError
from keyturn.control.grants.looking import GrantLooks
from keyturn.core.access_grant import GrantKey
from keyturn.core.vault import AccessDenied, ItemUnreadable, Scope, VaultUnavailable
from support.grant_world import DEPLOY, GrantWorld
from support.grants import PATH

OTHER = GrantKey("other", "deploy")
EVER = float("-inf")


class Looking(GrantWorld):
    """Looks of a test's own: the controller of this world does not run."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.looks = GrantLooks(self.context, served=self.served, connections=self.connections)

    async def look(self, key=DEPLOY, *, since=EVER):
        self.served.resolve(key)
        return await self.looks.look(self.grants.known[key], since=since)


@pytest.fixture(name="world")
def _world():
    return Looking()


def items(*paths):
    return {"items": [{"path": path, "fields": ["password"], "allow": ["read"]} for path in paths]}


def said(look):
    return str(look.report.reason), look.report.message


@pytest.mark.parametrize(
    ("paths", "reason", "message", "found"),
    [
        ([PATH], "Resolved", "1 item", (("vaults/v/items/a", False),)),
        (["vaults/v/items/b"], "Resolved", "1 item", (("vaults/v/items/b", False),)),
        ([PATH, "vaults/v/items/b"], "Resolved", "2 items", (("vaults/v/items/a", False), ("vaults/v/items/b", False))),
        (["vaults/Prod/items/lost"], "ItemNotFound", "has no item", (None,)),
        ([PATH, "vaults/Prod/items/lost"], "ItemNotFound", "; the other items", (("vaults/v/items/a", False), None)),
        (["vaults/Lost/items/db"], "VaultNotAllowed", "no vault", (None,)),
        (["vaults/Lost/items/db", "vaults/Prod/items/lost"], "VaultNotAllowed", "no vault", (None, None)),
        (["Prod/db"], "ItemNotFound", "'Prod/db' must be of the form", ()),
        (["Prod/db", PATH], "ItemNotFound", "must be of the form", (("vaults/v/items/a", False),)),
    ],
)
async def test_each_path_means_an_item_or_has_a_reason(world, paths, reason, message, found):
    """The message names what is wrong; the meanings say later whether anything has moved."""
    world.connect()
    async with world.running():
        await world.turn(2)
        world.grant(**items(*paths))
        look = await world.look()

    assert said(look)[0] == reason
    assert message in said(look)[1]
    assert (look.connection, look.by_labels, look.found) == ("team/work", False, found)


@pytest.mark.parametrize("twin", ["item", "vault"])
async def test_a_title_that_several_have_is_ambiguous(world, twin):
    """For a Secret, the oldest decides; a right must not go to whatever was made to have the same title."""
    world.connect(pollInterval="5s")
    if twin == "vault":
        world.red.vaults["w"] = Scope(id="w", title="Prod", version=1, size=0)
    async with world.running():
        await world.turn(2)
        if twin == "item":
            world.red.latest.add("z", "db")
            await world.turn(10)
        world.grant()
        look = await world.look()

    reason, message = said(look)
    assert reason == "ItemAmbiguous"
    assert message.startswith("2 ")
    assert message.endswith("; name the one that is meant by its id")
    assert look.found == (("vaults/v/items/a", True),)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (AccessDenied("not for this token"), "VaultNotAllowed"),
        (VaultUnavailable("slow"), "VaultUnavailable"),
        (ItemUnreadable("strange"), "VaultUnavailable"),
    ],
)
async def test_what_a_vault_answers_is_told_apart(world, error, expected):
    """A right that is missing is said as a fault of the grant, an outage is not."""
    world.connect()
    async with world.running():
        await world.turn(2)
        world.red.latest.refused["v"] = error
        world.grant(**items("vaults/Prod/items/lost"))
        look = await world.look(since=world.time.monotonic() + 1)

    assert said(look)[0] == expected


async def test_a_connection_that_is_not_open_is_an_outage(world):
    """Its Connection is there, so the grant is right as far as anybody knows."""
    world.connect()
    world.grant()
    look = await world.look()

    assert said(look)[0] == "VaultUnavailable"
    assert (look.connection, look.found) == ("team/work", (None,))


@pytest.mark.parametrize("chosen", [{"name": "absent"}, {"name": ""}, {"name": "work", "namespace": "elsewhere"}, None])
async def test_a_grant_that_no_connection_serves_asks_nothing(world, chosen):
    """There is nobody to ask."""
    world.connect()
    world.grant(connectionRef=chosen)
    look = await world.look()

    assert said(look)[0] == "ConnectionNotUsable"
    assert said(look)[1]
    assert (look.connection, look.by_labels, look.found) == ("", False, ())


@pytest.mark.parametrize("beside", [{}, {"connectionRef": {"name": "absent"}}, {"items": []}])
async def test_a_grant_that_has_ended_says_only_that(world, beside):
    """Whatever else is wrong with it does not matter any more."""
    world.connect()
    world.grant(expiresAt="2029-12-31T23:59:59Z", **beside)
    look = await world.look()

    assert said(look) == (
        "Expired",
        "it ended at 2029-12-31T23:59:59Z; delete it, or set another spec.expiresAt",
    )
    assert (look.connection, look.found) == ("", ())


@pytest.mark.parametrize(
    ("labels", "connection"),
    [({"team": "a"}, "team/work"), ({"team": "b"}, ""), (None, "")],
    ids=["fit", "other", "no namespace"],
)
async def test_labels_are_read_when_they_decide(world, labels, connection):
    """Namespaces are not watched, so each look asks; the caller learns that it must look again."""
    world.connect(usableFrom={"selector": {"matchLabels": {"team": "a"}}})
    if labels is not None:
        world.label("other", **labels)
    async with world.running():
        await world.turn(2)
        world.grant(OTHER)
        look = await world.look(OTHER)

    assert (look.connection, look.by_labels) == (connection, True)
    assert said(look)[0] == ("Resolved" if connection else "ConnectionNotUsable")


async def test_labels_that_cannot_be_read_fail_the_look(world):
    """Neither yes nor no may be written then."""
    world.connect(usableFrom={"selector": {"matchLabels": {"team": "a"}}})
    world.grant(OTHER)
    world.api.fail("get", NAMESPACES, status=403, reason="Forbidden", times=1)
    with pytest.raises(ClusterError):
        await world.look(OTHER)


async def test_what_is_missing_is_looked_for_only_if_the_listing_is_too_old(world):
    """A grant that waits for its item must cost a vault no more than one listing for each look that asks for a new one."""
    world.connect(pollInterval="1h")
    async with world.running():
        await world.turn(2)
        world.grant(**items("vaults/Prod/items/lost"))
        await world.look()
        world.red.latest.take_asked()
        await world.look()
        assert world.red.latest.take_asked() == []
        world.red.latest.add("n", "lost")
        assert said(await world.look())[0] == "ItemNotFound"
        assert said(await world.look(since=world.time.monotonic() + 1))[0] == "Resolved"
        assert world.red.latest.take_asked() != []


async def test_the_cached_meanings_ask_nothing(world):
    """They are compared at each poll, for each grant."""
    world.connect(pollInterval="5s")
    world.grant(**items(PATH, "vaults/Prod/items/lost"))
    grant = world.grants.known[DEPLOY]
    assert world.looks.cached(grant, "team/work") == (None, None)
    async with world.running():
        await world.turn(2)
        world.red.latest.take_asked()
        assert world.looks.cached(grant, "team/work") == (("vaults/v/items/a", False), None)
        assert world.looks.cached(grant, "team/absent") == ()
        assert world.red.latest.take_asked() == []
