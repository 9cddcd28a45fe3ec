"""The Connect front in memory: lists and filters, forms of other providers' items, trailing slashes, activity."""

from dataclasses import replace

import pytest

from keyturn.broker.doors.filters import parse_filter
from keyturn.broker.errors import UnreadableRequest
from keyturn.core.connection import ConnectionKey
from keyturn.core.vault import Field, Scope, Url
from support.broker_world import BrokerWorld
from support.fake_vaults import FakeVaults, item_ref

V = "/v1/vaults/v"


@pytest.fixture
def world():
    """A broker whose caller `ci` may read all of both items."""
    world = BrokerWorld()
    world.vaults.edit("a", tags=("prod", "db"), urls=(Url("https://db.example", primary=True),), category="DATABASE")
    world.grant("deploy", "db", "api", fields=["*"])
    return world


async def get(client, path):
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["1password-connect-version"] == "1.8.2"
    return answer.json()


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        ("/v1/vaults", ["v"]),
        ("/v1/vaults/", ["v"]),
        ('/v1/vaults?filter=name eq "PROD"', ["v"]),
        ('/v1/vaults/?filter=title eq "Prod"', ["v"]),
        ('/v1/vaults?filter=name eq "other"', []),
        (f"{V}/items", ["a", "b"]),
        (f"{V}/items/", ["a", "b"]),
        (f'{V}/items?filter=title eq "DB"', ["a"]),
        (f'{V}/items?filter=title co "p"', ["b"]),
        (f'{V}/items?filter=tag eq "prod"', ["a"]),
        (f"{V}/items?filter=tag eq prod", ["a"]),
        (f'{V}/items?filter=title eq "nowhere"', []),
        (f"{V}/items?filter=", ["a", "b"]),
    ],
)
async def test_lists_and_their_filters(world, path, ids):
    """A trailing slash changes nothing, and filters compare as Connect does."""
    async with world.running() as client:
        assert [each["id"] for each in await get(client, path)] == ids


@pytest.mark.parametrize("text", ["'", "title", 'title eq "x', 'title ne "x"', 'name eq "x"', 'title eq "a" or', "eq"])
async def test_filters_that_mean_nothing(world, text):
    """400, in Connect's form."""
    async with world.running() as client:
        answer = await client.get(f"{V}/items", params={"filter": text})
        assert (answer.status_code, answer.json()["status"]) == (400, 400)
        assert answer.json()["message"].startswith("Invalid filter")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('title eq "a b"', "a b"),
        ('  TITLE   EQ   "a"  ', "a"),
        ("title eq a-b.c", "a-b.c"),
        (r'title eq "say \"hi\""', 'say "hi"'),
        (r'title eq "a\\b"', r"a\b"),
        ('title eq ""', ""),
        ('title eq "ä/?&"', "ä/?&"),
    ],
)
def test_values_of_filters(text, value):
    r"""Quoted, with `\"` for a quote, or one bare word."""
    assert parse_filter(text, {"title"}).value == value


def test_a_filter_over_something_else():
    """An attribute that the list does not have is an error, not an empty list."""
    with pytest.raises(UnreadableRequest, match="name or title"):
        parse_filter('category eq "LOGIN"', {"name", "title"})


async def test_a_vault_shows_nothing_of_others_items(world):
    """Its number of items is that of the caller's, and no version tells when others change."""
    world.vaults.vaults["v"] = replace(world.vaults.vaults["v"], size=500)
    async with world.running() as client:
        assert await get(client, V) == {"id": "v", "name": "Prod", "type": "USER_CREATED", "items": 2}
        assert await get(client, f"{V}/") == (await get(client, "/v1/vaults"))[0]


async def test_items_of_lists_have_no_fields(world):
    """A summary says what finding is for."""
    async with world.running() as client:
        assert (await get(client, f"{V}/items"))[0] == {
            "id": "a",
            "title": "db",
            "version": 1,
            "vault": {"id": "v", "name": "Prod"},
            "category": "DATABASE",
            "tags": ["prod", "db"],
            "urls": [{"href": "https://db.example", "primary": True}],
        }
    assert world.vaults.asked == []


async def test_an_item_of_another_provider(world):
    """What its provider does not say is filled in as Connect's clients need it: types, a category, sections with ids."""
    world.vaults.edit("a", category="SecureNote", revision="2026-01-01T00:00:00Z")
    world.vaults.fields["a"] = (
        Field("1", "password", value="x"),
        Field("2", "host", value="h", section="net", section_id="s1"),
        Field("3", "otp", value="otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ"),
        Field("4", "pointer", value="y", type="FILE"),
    )
    async with world.running() as client:
        item = await get(client, f"{V}/items/a/")
    assert (item["category"], item["version"]) == ("SECURE_NOTE", 0)
    assert item["sections"] == [{"id": "s1", "label": "net"}]
    first, second, third = item["fields"]
    assert first == {"id": "1", "type": "STRING", "label": "password", "value": "x"}
    assert second["section"] == {"id": "s1", "label": "net"}
    assert (third["type"], len(third["totp"])) == ("OTP", 6)


async def test_files(world):
    """Listed with their paths, read by their ids; a slash at the end changes nothing."""
    world.vaults.attach("a", "cert", b"PEM")
    async with world.running() as client:
        listed = await get(client, f"{V}/items/a/files/")
        assert listed == [
            {"id": "cert", "name": "cert", "size": 3, "content_path": "/v1/vaults/v/items/a/files/cert/content"}
        ]
        assert await get(client, f"{V}/items/a/files/cert") == listed[0]
        for end in ("", "/"):
            answer = await client.get(f"{V}/items/a/files/cert/content{end}")
            assert (answer.content, answer.headers["content-type"]) == (b"PEM", "application/octet-stream")
    assert [(each.action, each.fields) for each in world.audit.written] == [
        ("list", ("cert",)),
        ("list", ("cert",)),
        ("read", ("cert",)),
        ("read", ("cert",)),
    ]


async def test_a_vault_of_two_connections_is_one(world):
    """Its lists hold what is granted through either; each item is listed once."""
    other = FakeVaults()
    other.vaults["w"] = Scope(id="w", title="Work", version=1)
    other.listing["w"] = [replace(item_ref("c", "job"), scope="w")]
    world.connect(ConnectionKey("team-a", "work"), other)
    job = {"path": "vaults/Work/items/job", "fields": ["*"], "allow": ["read"]}
    world.grant("work", "api", job, connectionRef={"name": "work"})
    async with world.running() as client:
        assert [each["id"] for each in await get(client, "/v1/vaults")] == ["v", "w"]
        assert [each["id"] for each in await get(client, f"{V}/items")] == ["a", "b"]
        assert [each["id"] for each in await get(client, "/v1/vaults/w/items")] == ["c"]


async def test_activity_is_the_callers_own(world):
    """Newest first, in pages; what others did is not there."""
    world.grant("web", "db", to="web")
    async with world.running() as client, world.client(world.token("web"), **{"User-Agent": "web/1"}) as web:
        assert await get(web, "/v1/activity") == []
        await client.get(f"{V}/items/a")
        await web.get(f"{V}/items/a")
        await web.get(f"{V}/items/b")
        answer = await web.get("/v1/activity?limit=1&offset=1")
        assert answer.headers["content-range"] == "2-2/2"
        (entry,) = answer.json()
        assert entry["action"] == "READ"
        assert entry["result"] == "SUCCESS"
        assert entry["resource"] == {"type": "ITEM", "vault": {"id": "v"}, "item": {"id": "a"}, "itemVersion": 1}
        assert (entry["actor"]["id"], entry["actor"]["userAgent"]) == ("team-a/web", "web/1")
        assert (await get(web, "/v1/activity"))[0]["result"] == "DENY"
        assert (await client.get("/v1/activity?offset=9")).headers["content-range"] == "0-0/1"
        assert (await client.get("/v1/activity?limit=x")).status_code == 400


async def test_of_a_long_user_agent_the_beginning_is_remembered(world):
    """A thousand records are kept in memory, and a header may have 64 KiB."""
    async with world.running(), world.client(**{"User-Agent": "x" * 60_000}) as client:
        await client.get(f"{V}/items/a")
        (entry,) = await get(client, "/v1/activity")
    assert len(entry["actor"]["userAgent"]) <= 1024
