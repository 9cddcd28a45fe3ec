"""The two paths of the vault API that the command line needs: items from memory, and a look for newer ones."""

import asyncio

import pytest

from keyturn.core.vault import Url
from support.broker_world import BrokerWorld
from support.event_loop import turns, until


@pytest.fixture
def world():
    """A broker whose caller `ci` may read the passwords of both items."""
    world = BrokerWorld()
    world.vaults.edit("a", tags=("billing",), urls=(Url("https://db.example.com:8443/login?x=y"),))
    world.vaults.edit("b", urls=(Url("api.team-a.svc.cluster.local"), Url("http://10.0.0.1"), Url("not a url [")))
    world.grant("deploy", "db", "api", fields=["password", "extra/one-time password"])
    return world


async def found(client, **asked):
    answer = await client.get("/v1/vault/items", params=asked)
    assert answer.status_code == 200
    return [each["label"] for each in answer.json()]


async def test_an_item_as_such_services_show_it(world):
    """Its fields are those that grants name, and no vault is asked."""
    async with world.running() as client:
        first = (await client.get("/v1/vault/items")).json()[0]
    assert first == {
        "itemId": "cred:installation:v:a",
        "connectionId": "installation",
        "label": "db",
        "vaultName": "Prod",
        "domains": ["db.example.com"],
        "fieldMetadata": [
            {"fieldId": "extra/one-time password", "label": "one-time password", "type": ""},
            {"fieldId": "password", "label": "password", "type": ""},
        ],
        "hasTotp": True,
        "enabled": True,
    }
    assert world.vaults.asked == []


@pytest.mark.parametrize(
    ("url", "labels"),
    [
        ("https://db.example.com", ["db"]),
        ("https://db.example.com/other/path", ["db"]),
        ("http://DB.Example.com:80", ["db"]),
        ("https://example.com", ["db"]),
        ("https://www.db.example.com", ["db"]),
        ("https://www.example.com", []),
        ("https://com", []),
        ("https://api.team-a.svc.cluster.local", ["api"]),
        ("https://db.team-b.svc.cluster.local", []),
        ("https://cluster.local", []),
        ("https://10.0.0.1", ["api"]),
        ("https://0.1", []),
        ("https://db.example.com.evil.example", []),
        ("https://[", []),
        ("", []),
        ("/login", []),
    ],
)
async def test_items_of_a_site(world, url, labels):
    """Hosts below one domain belong together; addresses and names within a cluster must be equal."""
    async with world.running() as client:
        assert await found(client, url=url) == labels


@pytest.mark.parametrize(
    ("words", "labels"),
    [("", ["db", "api"]), ("BILL", ["db"]), ("db example", ["db"]), ("db nothing", []), ("api", ["api"])],
)
async def test_items_by_words(world, words, labels):
    """All words must be in title, tags, hosts or category."""
    async with world.running() as client:
        assert await found(client, q=words) == labels


async def test_titles_are_data(world):
    """Control characters are dropped, and long titles cut: models may read this."""
    world.vaults.edit("a", title="db\x1b[2J\n" + "x" * 500)
    world.grant("id", {"path": "vaults/v/items/a", "fields": ["*"], "allow": ["read"]}, to="web")
    async with world.running(), world.client(world.token("web")) as web:
        (item,) = (await web.get("/v1/vault/items")).json()
        assert item["label"].isprintable()
        assert len(item["label"]) == 200
        assert item["fieldMetadata"] == []


async def sync(client):
    answer = await client.post("/v1/vault/items/sync")
    assert answer.status_code == 200
    return answer.json()


async def test_a_sync_says_what_changed_for_the_caller(world):
    """What others are granted does not count."""
    async with world.running() as client:
        world.grant("late", "late", to="web")
        world.vaults.edit("a", revision="2")
        world.vaults.remove("b")
        world.vaults.add("c", "late")
        assert await sync(client) == {
            "items": 1,
            "sync_summary": {"added": 0, "updated": 1, "removed": 1, "skippedDisabled": 0},
        }
        assert await sync(client) == {
            "items": 1,
            "sync_summary": {"added": 0, "updated": 0, "removed": 0, "skippedDisabled": 0},
        }


async def test_a_connection_is_looked_at_once_in_ten_seconds(world):
    """However often callers ask."""
    async with world.running() as client:
        await asyncio.gather(*(sync(client) for _ in range(5)))
        await sync(client)
        assert world.vaults.take_asked() == ["refresh", "scopes", "items v"]
        world.time.advance(11.0)
        await sync(client)
        assert world.vaults.take_asked() == ["refresh", "scopes", "items v"]


async def test_syncs_at_the_same_time_share_one_look(world):
    """The second waits for the first, and sees what that found."""
    async with world.running() as client:
        world.vaults.add("c", "late")
        world.grant("late", "late")
        held = asyncio.Event()
        listed = world.vaults.scopes

        async def scopes():
            await held.wait()
            return await listed()

        world.vaults.scopes = scopes
        both = [asyncio.ensure_future(sync(client)) for _ in range(2)]
        await until(lambda: world.vaults.asked == ["refresh"])
        await turns(100)
        held.set()
        first, second = await asyncio.gather(*both)
        assert first == second
        assert world.vaults.asked == ["refresh", "scopes", "items v"]


async def test_lists_and_syncs_are_recorded(world):
    """Without a value there is still a record of who looked."""
    async with world.running() as client:
        await found(client)
        await sync(client)
    assert [(each.door, each.action, each.outcome) for each in world.audit.written] == [
        ("vault", "list", "allowed"),
        ("vault", "sync", "allowed"),
    ]
