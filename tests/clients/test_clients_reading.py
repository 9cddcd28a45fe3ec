"""C81 to C83: vaults and items as each of 1Password's own clients reads them."""

import pytest

from support.clients.scenery import (
    DATABASE,
    EXTRA,
    LIKE_AN_ID,
    LOGIN,
    NOTE,
    NOWHERE,
    ODD,
    ODD_NAMES,
    OTHER,
    OTP_CODE,
    OTP_URI,
    PRODUCTION,
    SCENERY,
    STAGING,
    TITLED_LIKE_AN_ID,
    TWINS,
    odd_item,
    odd_vault,
)
from support.clients.speaking import Refused, field, values

pytestmark = pytest.mark.clients

# Only the Go client escapes what it puts into a query: `&` and `#` cut the filters of the others, `+` is a space there.
# A JavaScript `%` that is not escaped means whatever the server makes of it, so nothing is said about that one.
FOUND = {
    ("python", "percent"): True,
    ("python", "slash"): True,
    ("python", "spaces"): True,
    ("python", "unicode"): True,
    ("javascript", "slash"): True,
    ("javascript", "spaces"): True,
    ("javascript", "unicode"): True,
    **{("go", kind): True for kind in ODD_NAMES if kind != "quote"},
    ("python", "plus"): "Found 0",
    ("javascript", "plus"): "No {} found with title",
    ("python", "ampersand"): 400,
    ("python", "hash"): 400,
    ("javascript", "ampersand"): 400,
    ("javascript", "hash"): 400,
    # None of them escapes a quote.
    ("python", "quote"): 400,
    ("javascript", "quote"): 400,
    ("go", "quote"): 400,
}


@pytest.mark.parametrize(
    ("token", "names"),
    [("all", [vault["name"] for vault in SCENERY["vaults"]]), ("reader", ["Production"]), ("nothing", [])],
)
async def test_vaults_are_those_of_the_token(make, name, token, names):
    """The list holds exactly the vaults that the token may see, be it none."""
    client = await make(name, token=token)
    assert sorted(vault["name"] for vault in await client.vaults()) == sorted(names)


async def test_a_vault_has_all_its_members(client):
    """A vault by id shows name, description, type, versions, the number of items and its times."""
    vault = await client.vault(PRODUCTION)
    times = [vault.pop("createdAt"), vault.pop("updatedAt")]
    assert vault == {
        "id": PRODUCTION,
        "name": "Production",
        "description": "what runs",
        "type": "USER_CREATED",
        "attributeVersion": 1,
        "contentVersion": 7,
        "items": 6,
    }
    assert all(time.startswith("2009-02-13T23:31:") for time in times)


@pytest.mark.parametrize("spelling", ["Production", "production", "PRODUCTION"])
async def test_a_vault_by_name_in_any_case(client, spelling):
    """A name finds its vault whatever its case, as real servers compare."""
    assert (await client.vault_by_name(spelling))["id"] == PRODUCTION


@pytest.mark.parametrize("token", ["all", "reader"])
async def test_a_name_that_no_vault_has(make, name, token):
    """A name without a vault, or of one out of scope, is the client's own error: the server answers an empty list."""
    client = await make(name, token=token)
    with pytest.raises(Refused, match=r"Found 0 vaults|No Vaults found with title"):
        await client.vault_by_name("Nowhere" if token == "all" else "Staging")


async def test_a_name_that_two_vaults_have(client):
    """Two vaults of one name both come, and every client gives up."""
    with pytest.raises(Refused, match=r"Found 2 vaults|Found multiple Vaults"):
        await client.vault_by_name("Twins")


@pytest.mark.parametrize("kind", ODD_NAMES)
@pytest.mark.parametrize("what", ["vault", "item"])
async def test_odd_names_arrive_as_each_client_sends_them(client, name, what, kind):
    """Spaces, signs and Unicode in names lead to what bears them, unless the client spoils its own query."""
    expected = FOUND.get((name.removesuffix("-async"), kind))

    async def look() -> dict:
        if what == "vault":
            return await client.vault_by_name(ODD_NAMES[kind])
        return await client.item_by_title(ODD, ODD_NAMES[kind])

    if expected is True:
        assert (await look())["id"] == (odd_vault(kind) if what == "vault" else odd_item(kind))
    elif expected is not None:
        with pytest.raises(Refused) as refused:
            await look()
        plural = "Vaults" if what == "vault" else "Items"
        assert refused.value.status == expected or str(expected).format(plural) in refused.value.message


@pytest.mark.parametrize(
    ("vault", "status", "words"),
    [(NOWHERE, 404, f"vault {NOWHERE} not found"), ("SHORT", 400, "Invalid Vault UUID")],
)
async def test_a_vault_that_does_not_exist(client, name, vault, status, words):
    """An unknown id is a 404 that names it, a malformed one a 400; the Go client does not even send the latter."""
    with pytest.raises(Refused) as refused:
        await client.vault(vault)
    if name == "go" and status == 400:
        assert (refused.value.status, refused.value.message) == (0, "malformed vault uuid provided")
    else:
        assert (refused.value.status, refused.value.message) == (status, words)


async def test_items_are_summaries(client):
    """The list has what identifies an item, its version, tags and URLs, and no field."""
    items = {item["id"]: item for item in await client.items(PRODUCTION)}
    assert set(items) == {LOGIN, DATABASE, NOTE, *TWINS, TITLED_LIKE_AN_ID}
    login = items[LOGIN]
    assert (login["title"], login["category"], login["version"]) == ("login", "LOGIN", 3)
    assert login["vault"]["id"] == PRODUCTION
    assert login["tags"] == ["app", "🔑"]
    assert [url["href"] for url in login["urls"]] == ["https://app.example", "https://admin.example"]
    assert not any(item.get(part) for item in items.values() for part in ("fields", "sections", "files"))


async def test_an_item_has_all_its_members(client):
    """An item by id shows fields with types, purposes, sections and values, and everything around them."""
    item = await client.item(PRODUCTION, LOGIN)
    assert (item["id"], item["title"], item["category"], item["version"]) == (LOGIN, "login", "LOGIN", 3)
    assert item["favorite"] is True
    assert item["urls"][0]["primary"] is True
    assert item["sections"] == [{"id": EXTRA, "label": "extra"}]
    assert values(item) == {
        "username": "ada",
        "password": "canary-login",
        "api key": "canary-key",
        "one-time password": OTP_URI,
    }
    assert [(found["type"], found.get("purpose", "")) for found in item["fields"]] == [
        ("STRING", "USERNAME"),
        ("CONCEALED", "PASSWORD"),
        ("STRING", "NOTES"),
        ("CONCEALED", ""),
        ("OTP", ""),
    ]
    assert field(item, "api key")["section"]["id"] == EXTRA
    assert field(item, "password")["entropy"] > 0


async def test_the_one_time_password_is_that_of_the_standard(client):
    """An OTP field shows the six digits that RFC 6238 prints for this key and moment."""
    assert field(await client.item(PRODUCTION, LOGIN), "one-time password")["totp"] == OTP_CODE


async def test_values_survive_byte_by_byte(client):
    """Line ends and characters of any script arrive as they are."""
    assert values(await client.item(PRODUCTION, NOTE)) == {"notesPlain": "line one\r\nline two 東京"}


async def test_an_item_by_title(client):
    """A title leads to the whole item."""
    assert values(await client.item_by_title(PRODUCTION, "database"))["port"] == "5432"


async def test_a_title_that_no_item_has(client):
    """A title without an item is the client's own error: the server answers an empty list."""
    with pytest.raises(Refused, match=r"Found 0 item|No Items found with title"):
        await client.item_by_title(PRODUCTION, "nowhere")


async def test_a_title_that_two_items_have(client):
    """Two items of one title both come, and every client gives up."""
    with pytest.raises(Refused, match=r"Found 2 item|Found multiple Items"):
        await client.item_by_title(PRODUCTION, "twin")


async def test_a_title_that_looks_like_an_id(client, name):
    """The Python and Go clients turn to the title when the id leads nowhere, the JavaScript client does not."""
    if name == "javascript":
        with pytest.raises(Refused) as refused:
            await client.item_by_either(PRODUCTION, LIKE_AN_ID)
        assert (refused.value.status, refused.value.message) == (404, f"item {LIKE_AN_ID} not found")
    else:
        assert (await client.item_by_either(PRODUCTION, LIKE_AN_ID))["id"] == TITLED_LIKE_AN_ID


@pytest.mark.parametrize("either", [DATABASE, "database"])
async def test_an_item_by_what_may_be_either(client, either):
    """An id and a title both lead to the item."""
    assert (await client.item_by_either(PRODUCTION, either))["id"] == DATABASE


@pytest.mark.parametrize(("vault", "item"), [(PRODUCTION, NOWHERE), (STAGING, LOGIN), (PRODUCTION, OTHER)])
async def test_an_item_that_is_not_there(client, vault, item):
    """An unknown id is a 404 that names it, and so is that of an item in another vault."""
    with pytest.raises(Refused) as refused:
        await client.item(vault, item)
    assert (refused.value.status, refused.value.message) == (404, f"item {item} not found")


async def test_a_malformed_item_id(client, name):
    """A malformed item id is a 400; the Go client does not even send it."""
    with pytest.raises(Refused) as refused:
        await client.item(PRODUCTION, "NOT-AN-ID")
    expected = (0, "malformed item uuid provided") if name == "go" else (400, "Invalid Item UUID")
    assert (refused.value.status, refused.value.message) == expected
