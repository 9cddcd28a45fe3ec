"""C81 to C83: items as each of 1Password's own clients writes them."""

import re
import string

import pytest

from support.clients.scenery import BUNDLE, DATABASE, FILES, LOGIN, NOWHERE, OTP_CODE, OTP_URI, PRODUCTION
from support.clients.speaking import Refused, field, values

pytestmark = pytest.mark.clients

FORM = {
    "title": "made by a client & others: 東京",
    "category": "LOGIN",
    "favorite": True,
    "tags": ["app", "🔑"],
    "urls": [{"href": "https://one.example"}, {"href": "https://two.example", "primary": True}],
    "fields": [
        {"purpose": "USERNAME", "value": "ada", "label": "user"},
        {"purpose": "PASSWORD", "value": "canary-made", "label": "pass"},
        {"purpose": "NOTES", "value": "first line\nsecond line"},
        {"label": "api key", "type": "CONCEALED", "value": "canary-key", "section": "Extra"},
        {"label": "port", "type": "STRING", "value": "5432", "section": "Extra"},
        {"label": "totp", "type": "OTP", "value": OTP_URI, "section": "Codes"},
        {"label": "valid", "type": "MONTH_YEAR", "value": "2030/12"},
    ],
}


def password(**generator: object) -> dict:
    """An item with a password that the server shall generate."""
    return {
        "title": "generated",
        "category": "LOGIN",
        "fields": [{"purpose": "PASSWORD", "label": "password", "generate": True, **generator}],
    }


async def test_what_is_created_can_be_read(client):
    """A new item has an id and version 1, and reads back with everything that the client put into it."""
    made = await client.create(PRODUCTION, FORM)
    assert re.fullmatch(r"[a-z0-9]{26}", made["id"])
    assert made["version"] == 1

    item = await client.item(PRODUCTION, made["id"])
    assert (item["title"], item["category"], item["favorite"], item["tags"]) == (
        FORM["title"],
        "LOGIN",
        True,
        ["app", "🔑"],
    )
    assert [(url["href"], url.get("primary", False)) for url in item["urls"]] == [
        ("https://one.example", False),
        ("https://two.example", True),
    ]
    assert values(item) == {
        "username": "ada",
        "password": "canary-made",
        "notesPlain": "first line\nsecond line",
        "api key": "canary-key",
        "port": "5432",
        "totp": OTP_URI,
        "valid": "203012",
    }
    labels = {section["id"]: section["label"] for section in item["sections"]}
    assert sorted(labels.values()) == ["Codes", "Extra"]
    assert [labels[field(item, label)["section"]["id"]] for label in ("api key", "port", "totp")] == [
        "Extra",
        "Extra",
        "Codes",
    ]
    assert field(item, "totp")["totp"] == OTP_CODE
    assert (await client.item_by_title(PRODUCTION, "database"))["id"] == DATABASE


async def test_a_created_item_is_listed_and_counted(client):
    """A new item is in the list, and its vault counts it in `items` and `contentVersion`."""
    before = await client.vault(PRODUCTION)
    made = await client.create(PRODUCTION, FORM)
    after = await client.vault(PRODUCTION)
    assert made["id"] in {item["id"] for item in await client.items(PRODUCTION)}
    assert [after[count] - before[count] for count in ("items", "contentVersion", "attributeVersion")] == [1, 1, 0]


@pytest.mark.parametrize(
    ("recipe", "length", "alphabet"),
    [
        (None, 32, string.printable),
        ({"length": 12, "characterSets": ["DIGITS"]}, 12, string.digits),
        ({"length": 64, "characterSets": ["LETTERS", "DIGITS"]}, 64, string.ascii_letters + string.digits),
        (
            {"length": 40, "characterSets": ["LETTERS"], "excludeCharacters": "abcxyzABCXYZ"},
            40,
            "".join(set(string.ascii_letters) - set("abcxyzABCXYZ")),
        ),
    ],
    ids=["default", "digits", "letters and digits", "without some letters"],
)
async def test_a_generated_password(client, recipe, length, alphabet):
    """The server generates a password after the client's recipe, or 32 characters without one, anew each time."""
    form = password(recipe=recipe) if recipe else password()
    passwords = set()
    for _ in range(2):
        made = await client.create(PRODUCTION, form)
        passwords.add(values(await client.item(PRODUCTION, made["id"]))["password"])
    assert len(passwords) == 2
    assert all(len(text) == length and set(text) <= set(alphabet) for text in passwords)


async def test_a_replaced_item(client):
    """A replacement answers with the old version; afterwards the item has the next one, the change, and all the rest."""
    before = await client.item(PRODUCTION, LOGIN)
    answered = await client.edit(PRODUCTION, LOGIN, title="renamed", values={"password": "canary-new"})
    after = await client.item(PRODUCTION, LOGIN)
    assert (answered["version"], after["version"]) == (before["version"], before["version"] + 1)
    assert after["title"] == "renamed"
    assert values(after) == {**values(before), "password": "canary-new"}
    assert (after["tags"], after["sections"], after["favorite"]) == (
        before["tags"],
        before["sections"],
        before["favorite"],
    )
    assert after["createdAt"] == before["createdAt"]


async def test_a_replacement_leaves_the_files(client, name):
    """Files stay through a replacement, sent back (JavaScript, Go) or dropped by the client's model (Python)."""
    before = await client.files(FILES, BUNDLE)
    await client.edit(FILES, BUNDLE, title="renamed")
    assert (await client.item(FILES, BUNDLE))["title"] == "renamed"
    assert await client.files(FILES, BUNDLE) == before


async def test_a_deleted_item_is_gone(client):
    """A deleted item is a 404 from then on, by id, by title and to the next deletion."""
    await client.delete(PRODUCTION, DATABASE)
    assert DATABASE not in {item["id"] for item in await client.items(PRODUCTION)}
    with pytest.raises(Refused, match=r"Found 0 item|No Items found with title"):
        await client.item_by_title(PRODUCTION, "database")
    for again in (client.item, client.delete):
        with pytest.raises(Refused) as refused:
            await again(PRODUCTION, DATABASE)
        assert (refused.value.status, refused.value.message) == (404, f"item {DATABASE} not found")


@pytest.mark.parametrize(
    ("verb", "write"),
    [
        ("create", lambda client: client.create(PRODUCTION, FORM)),
        ("update", lambda client: client.edit(PRODUCTION, LOGIN, title="renamed")),
        ("delete", lambda client: client.delete(PRODUCTION, LOGIN)),
    ],
    ids=["create", "update", "delete"],
)
async def test_a_read_only_token_cannot_write(make, name, verb, write):
    """A token without `w` is refused with 403 and the verb, and nothing changes."""
    client = await make(name, token="reader")
    before = await client.item(PRODUCTION, LOGIN)
    with pytest.raises(Refused) as refused:
        await write(client)
    assert refused.value.status == 403
    assert refused.value.message == f"token does not have permission to perform {verb} on vault {PRODUCTION}"
    assert await client.item(PRODUCTION, LOGIN) == before


async def test_a_write_only_token_creates_and_deletes(make, name):
    """A token without `r` writes what it cannot read."""
    client = await make(name, token="writer")
    made = await client.create(PRODUCTION, FORM)
    with pytest.raises(Refused) as refused:
        await client.item(PRODUCTION, made["id"])
    assert refused.value.status == 403
    await client.delete(PRODUCTION, made["id"])


REFUSED = {
    "a category that cannot be made": (
        {"title": "x", "category": "DOCUMENT", "fields": []},
        400,
        r"Invalid item category",
    ),
    "a field type of the specification that servers refuse": (
        {"title": "x", "category": "LOGIN", "fields": [{"label": "code", "type": "TOTP", "value": "x"}]},
        400,
        r".*\[ItemValidator\] has found 1 errors.*unsupported field type: totp",
    ),
    "a bad month": (
        {"title": "x", "category": "LOGIN", "fields": [{"label": "until", "type": "MONTH_YEAR", "value": "12/2030"}]},
        400,
        r"values for field type monthYear must be in YYYYMM or YYYY/MM format",
    ),
    "two passwords": (
        {
            "title": "x",
            "category": "LOGIN",
            "fields": [{"purpose": "PASSWORD", "value": "1"}, {"purpose": "PASSWORD", "value": "2"}],
        },
        400,
        r".*too many \"password\" fields.*",
    ),
    "a purpose that the category lacks": (
        {"title": "x", "category": "SECURE_NOTE", "fields": [{"purpose": "PASSWORD", "value": "1"}]},
        400,
        r"The item doesn't have a password field\.",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_an_item_that_is_refused(client, what):
    """What real servers refuse is refused with their words, and nothing is created."""
    form, status, words = REFUSED[what]
    before = await client.items(PRODUCTION)
    with pytest.raises(Refused) as refused:
        await client.create(PRODUCTION, form)
    assert refused.value.status == status
    assert re.match(words, refused.value.message, re.DOTALL)
    assert await client.items(PRODUCTION) == before


async def test_a_vault_that_does_not_exist_takes_nothing(client):
    """An item for an unknown vault is a 404."""
    with pytest.raises(Refused) as refused:
        await client.create(NOWHERE, FORM)
    assert (refused.value.status, refused.value.message) == (404, f"vault {NOWHERE} not found")
