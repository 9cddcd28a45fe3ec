"""C83: what only 1Password's JavaScript client has: OTP, streams, search, and its builder of items."""

import re

import pytest

from support.clients.scenery import (
    BUNDLE,
    DATABASE,
    FILE_CONTENTS,
    FILES,
    LIKE_AN_ID,
    LOGIN,
    NOWHERE,
    OTP_CODE,
    PRODUCTION,
    TWIN_VAULTS,
    TWINS,
    VAULT_LIKE_AN_ID,
    digest,
    file,
)
from support.clients.speaking import Refused, values

pytestmark = pytest.mark.clients

V = f"/v1/vaults/{PRODUCTION}"
F = f"/v1/vaults/{FILES}/items/{BUNDLE}/files"
FILES_BY_NAME = [
    "GET /v1/vaults/?filter=title%20eq%20%22Files%22",
    f"GET /v1/vaults/{FILES}/items/?filter=title%20eq%20%22bundle%22",
]


@pytest.fixture
def name():
    """This client alone."""
    return "javascript"


async def test_vaults_by_title(client, log):
    """`listVaultsByTitle` has all vaults of a title, two or none."""
    for title, ids in (("Twins", set(TWIN_VAULTS)), ("Nowhere", set())):
        assert {vault["id"] for vault in await client.call("listVaultsByTitle", title)} == ids
        assert await log.lines() == [f"GET /v1/vaults/?filter=title%20eq%20%22{title}%22"]


async def test_a_vault_by_either(client, log):
    """`getVault` takes an id or a title; a title that looks like an id is an id to it."""
    for either, asked in (
        (PRODUCTION, f"GET {V}"),
        ("Production", "GET /v1/vaults/?filter=title%20eq%20%22Production%22"),
    ):
        assert (await client.call("getVault", either))["id"] == PRODUCTION
        assert await log.lines() == [asked]
    with pytest.raises(Refused) as refused:
        await client.call("getVault", VAULT_LIKE_AN_ID)
    assert refused.value.status == 404


@pytest.mark.parametrize(
    ("method", "args", "words"),
    [
        ("getVault", [""], "Please provide either the vault name or its ID"),
        ("getItem", [PRODUCTION, ""], "Please provide either the item name or its ID"),
        ("deleteItem", [PRODUCTION, ""], "Please provide either the item name or its ID"),
        ("getFileById", [FILES, BUNDLE, ""], "No fileId provided"),
    ],
)
async def test_nothing_is_asked_for_nothing(client, log, method, args, words):
    """Without a name or an id the client asks for nothing."""
    with pytest.raises(Refused, match=words):
        await client.call(method, *args)
    assert await log.lines() == []


async def test_items_by_title(client, log):
    """`listItemsByTitle` has every item of a title in full, after one GET for each."""
    items = await client.call("listItemsByTitle", PRODUCTION, "twin")
    assert [item["id"] for item in items] == list(TWINS)
    listed, *fetched = await log.lines()
    assert listed == f"GET {V}/items/?filter=title%20eq%20%22twin%22"
    # All at once, so in no order.
    assert sorted(fetched) == [f"GET {V}/items/{twin}" for twin in TWINS]


@pytest.mark.parametrize("text", ["twi", "o", "O", "zzz"])
async def test_items_whose_title_contains(client, log, text):
    """`listItemsByTitleContains` has every item with the text in its title, in any case, in full."""
    items = await client.call("listItemsByTitleContains", PRODUCTION, text)
    titles = ["login", "database", "note", "twin", "twin", LIKE_AN_ID]
    assert sorted(item["title"] for item in items) == sorted(title for title in titles if text.lower() in title)
    assert all(item["fields"] for item in items)
    assert (await log.lines())[0] == f"GET {V}/items/?filter=title%20co%20%22{text}%22"


@pytest.mark.parametrize("either", [LOGIN, "login"])
async def test_the_one_time_password(client, either):
    """`getItemOTP` has the code of the item with an id or a title."""
    assert await client.call("getItemOTP", PRODUCTION, either) == OTP_CODE


async def test_the_one_time_password_changes_with_time(client, emulator):
    """After a period the code is another: that of RFC 6238 for the later moment."""
    emulator.clock.advance(2_000_000_000 - 1_234_567_890)
    assert await client.call("getItemOTP", PRODUCTION, LOGIN) == "279037"


async def test_an_item_without_a_one_time_password(client):
    """An item without an OTP field is the client's own error."""
    with pytest.raises(Refused, match=f"No OTP found for the Item {DATABASE}"):
        await client.call("getItemOTP", PRODUCTION, DATABASE)


@pytest.mark.parametrize(
    ("method", "which", "by_title"),
    [
        ("deleteItem", DATABASE, False),
        ("deleteItem", "database", True),
        ("deleteItemById", DATABASE, False),
        ("deleteItemByTitle", "database", True),
    ],
)
async def test_deletion(client, log, method, which, by_title):
    """Deletion by id is one request; by title it is one more, which finds the id."""
    assert await client.call(method, PRODUCTION, which) is None
    search = [f"GET {V}/items/?filter=title%20eq%20%22database%22"] if by_title else []
    assert await log.lines() == [*search, f"DELETE {V}/items/{DATABASE}"]
    assert DATABASE not in {item["id"] for item in await client.items(PRODUCTION)}


async def test_files_by_names(client, log):
    """Files are found by the names of vault and item, with a search for each."""
    assert {found["id"] for found in await client.call("listFiles", "Files", "bundle")} == {
        file(k) for k in FILE_CONTENTS
    }
    assert await log.lines() == [*FILES_BY_NAME, f"GET {F}/"]
    assert (await client.call("getFileById", "Files", "bundle", file("text")))["name"] == "tls.crt"
    assert await log.lines() == [*FILES_BY_NAME, f"GET {F}/{file('text')}"]
    content = await client.call("getFileContentStream", "Files", "bundle", file("text"))
    assert content == digest(FILE_CONTENTS["text"][1])
    assert await log.lines() == [*FILES_BY_NAME, f"GET {F}/{file('text')}/content"]


@pytest.mark.parametrize("kind", ["text", "empty", "unicode"])
async def test_content_as_text(client, kind):
    """`getFileContent` has text as text."""
    assert await client.call("getFileContent", FILES, BUNDLE, file(kind)) == FILE_CONTENTS[kind][1].decode()


async def test_content_as_text_spoils_bytes(client):
    """`getFileContent` replaces what is no text: it is the client's loss, not the server's, as the stream shows."""
    assert "\N{REPLACEMENT CHARACTER}" in await client.call("getFileContent", FILES, BUNDLE, file("binary"))


@pytest.mark.parametrize("method", ["getFileContent", "getFileContentStream"])
async def test_content_that_is_not_there(client, method):
    """A refusal of content comes as the stream of its body, status inside."""
    with pytest.raises(Refused) as refused:
        await client.call(method, FILES, BUNDLE, NOWHERE)
    assert re.search(rf'\{{\\"status\\":404,\\"message\\":\\"file {NOWHERE} not found\\"\}}', refused.value.message)


async def test_the_builder(client):
    """Everything the builder can say about an item is created, and `reset` forgets what was said before."""
    steps = [
        ["setTitle", "forgotten"],
        ["addTag", "forgotten"],
        ["reset"],
        ["setVault", PRODUCTION],
        ["setTitle", "built"],
        ["setCategory", "DATABASE"],
        ["addTag", "one"],
        ["addTag", "two"],
        ["toggleFavorite"],
        ["addUrl", {"href": "https://one.example"}],
        ["addUrl", {"href": "https://two.example", "primary": True}],
        ["addSection", "Empty"],
        ["addField", {"label": "key", "type": "CONCEALED", "value": "canary", "sectionName": "Keys"}],
        ["addField", {"label": "more", "value": "1", "sectionName": "keys"}],
        ["addField", {"label": "plain", "value": "2"}],
    ]
    assert (await client.call("build", steps))["title"] == "built"
    made = await client.call("createItem", PRODUCTION, steps)
    item = await client.item(PRODUCTION, made["id"])
    assert (item["title"], item["category"], item["tags"], item["favorite"]) == (
        "built",
        "DATABASE",
        ["one", "two"],
        True,
    )
    assert values(item) == {"key": "canary", "more": "1", "plain": "2"}
    assert [section["label"] for section in item["sections"]] == ["Empty", "Keys"]
    assert [url.get("primary", False) for url in item["urls"]] == [False, True]


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([["setTitle", "x"]], "Item Category is required"),
        ([["setCategory", "NONE"]], "Item Category is invalid"),
        ([["addField", {"label": "x", "generate": True, "recipe": {"characterSets": ["RUNES"]}}]], "invalid Recipe"),
    ],
)
async def test_what_the_builder_refuses(client, steps, words):
    """The builder refuses what it knows the server would."""
    with pytest.raises(Refused, match=words):
        await client.call("build", steps)


async def test_an_item_without_id_is_not_updated(client, log):
    """An update needs the item's id."""
    with pytest.raises(Refused, match="Item ID must be defined"):
        await client.call("updateItem", PRODUCTION, LOGIN, {"id": ""}, {})
    assert await log.lines() == [f"GET {V}/items/{LOGIN}"]


async def test_connections_are_kept(make, name, recorder):
    """With `keepAlive` the client says so, and gets every answer on the connection it keeps."""
    client = await make(name, url=recorder.url, keepAlive=True)
    for _ in range(3):
        assert await client.vaults()
    assert {sent.headers["Connection"] for sent in recorder.sent} == {"keep-alive"}
