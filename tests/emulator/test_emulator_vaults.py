"""C17 to C29: vaults, their filters and their versions."""

from urllib.parse import quote

import pytest

from support.emulator import NOWHERE


def names(response):
    assert response.status_code == 200, response.text
    return [vault["name"] for vault in response.json()]


def vaults_named(*vaults):
    return {"vaults": [{"name": name} for name in vaults], "tokens": [{"name": "all", "vaults": {"*": "r"}}]}


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("all", ["Production", "Staging", "Empty"]),
        ("reader", ["Production"]),
        ("writer", ["Production"]),
        ("nothing", []),
    ],
)
async def test_c17_list_holds_the_tokens_vaults(rig, token, expected):
    """C17: only vaults in the token's scope are listed; an empty scope gives an empty list."""
    assert names(await rig.get("/v1/vaults", token=token)) == expected


async def test_c17_the_servers_grants_bound_every_token(launch):
    """C17: a token reaches no vault that the server itself was not given."""
    description = {**vaults_named("a", "b"), "grants": {"a": "r"}}
    description["tokens"] = [{"name": "all", "vaults": {"*": "rw"}}]
    rig = await launch(description)
    assert names(await rig.get("/v1/vaults")) == ["a"]
    body = {"vault": {"id": rig.vault("a")}, "title": "t", "category": "LOGIN"}
    assert (await rig("POST", rig.items_path("a"), json=body)).status_code == 403


async def test_c18_list_and_detail_agree(rig):
    """C18: a vault looks the same in the list and alone; an empty description is left out."""
    listed = {vault["name"]: vault for vault in (await rig.get("/v1/vaults")).json()}
    for name, vault in listed.items():
        assert (await rig.get(rig.vault_path(name))).json() == vault
    assert listed["Production"]["description"] == "what runs"
    assert "description" not in listed["Staging"]
    expected = {"attributeVersion", "contentVersion", "createdAt", "id", "items", "name", "type", "updatedAt"}
    assert set(listed["Empty"]) == expected


async def test_c18_times_are_rfc_3339(launch):
    """C18: times are UTC in whole seconds, or with as many digits as the knob says."""
    rig = await launch()
    vault = (await rig.get(rig.vault_path("Empty"))).json()
    assert vault["createdAt"] == vault["updatedAt"] == "2023-11-14T22:13:19Z"
    rig.emulator.live.turn({"timestamp_digits": 9})
    assert (await rig.get(rig.vault_path("Empty"))).json()["createdAt"] == "2023-11-14T22:13:19.000000000Z"


@pytest.mark.parametrize("kind", ["USER_CREATED", "PERSONAL", "EVERYONE", "TRANSFER"])
async def test_c19_type_is_one_of_four(launch, kind):
    """C19: a vault has one of the four documented types; the description admits no other."""
    rig = await launch({"vaults": [{"name": "v", "type": kind}], "tokens": [{"name": "all", "vaults": {"*": "r"}}]})
    assert (await rig.get("/v1/vaults")).json()[0]["type"] == kind


BAD_IDS = [
    "A" * 26,
    "a" * 25,
    "a" * 27,
    "a" * 25 + "-",
    quote("my vault"),
    "%C3%A4" * 26,
    quote("a/b", safe=""),
    "a" * 25 + "%00",
    "%FF",
]


@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.parametrize("rest", ["", "/items", f"/items/{NOWHERE}", f"/items/{NOWHERE}/files"])
async def test_c20_malformed_vault_id_is_400(rig, bad, rest):
    """C20: an id of another shape is 400 with the known text, not 404, and before the scope is looked at."""
    path = f"/v1/vaults/{bad}{rest}"
    for token in ("all", "nothing"):
        response = await rig.get(path, token=token)
        assert (response.status_code, response.json()["message"]) == (400, "Invalid Vault UUID")


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("authorization", "Authorization: token does not have access to vault {0}"),
        ("in_scope", "vault {0} is not in scope"),
    ],
)
@pytest.mark.parametrize("rest", ["", "/items", f"/items/{NOWHERE}"])
async def test_c21_out_of_scope_is_403(launch, variant, message, rest):
    """C21: a vault outside the token is 403 whether or not it exists, in either of the known words."""
    rig = await launch(scope_message=variant)
    for vault in (rig.vault("Staging"), NOWHERE):
        response = await rig.get(f"/v1/vaults/{vault}{rest}", token="reader")
        assert (response.status_code, response.json()) == (403, {"status": 403, "message": message.format(vault)})


async def test_c22_removed_vault_is_404(rig):
    """C22: a vault in scope that was removed is 404, for its items too, and no longer listed."""
    path = rig.vault_path()
    vault = rig.vault()
    rig.cloud.remove_vault("Production")
    for rest in ("", "/items", f"/items/{NOWHERE}"):
        response = await rig.get(path + rest, token="reader")
        assert (response.status_code, response.json()["message"]) == (404, f"vault {vault} not found")
    assert names(await rig.get("/v1/vaults", token="reader")) == []


@pytest.mark.parametrize(
    "text", ['{} eq "Production"', '{} eq "production"', '{} co "prod"', "{} eq Production", '{} EQ "Production"']
)
async def test_c23_name_and_title_are_the_same(rig, text):
    """C23: `title`, which clients send, means the documented `name`."""
    answers = [names(await rig.get("/v1/vaults", params={"filter": text.format(word)})) for word in ("name", "title")]
    assert answers == [["Production"], ["Production"]]


async def test_c24_case_does_not_matter_unless_told(launch):
    """C24: vault names are compared without case, by a knob with it."""
    rig = await launch()
    asked = {"filter": 'name eq "PRODUCTION"'}
    assert names(await rig.get("/v1/vaults", params=asked)) == ["Production"]
    rig.emulator.live.turn({"vault_filter_case": True})
    assert names(await rig.get("/v1/vaults", params=asked)) == []
    assert names(await rig.get("/v1/vaults", params={"filter": 'name eq "Production"'})) == ["Production"]


async def test_c25_no_match_is_an_empty_list(rig):
    """C25: a filter that matches nothing, or only what is out of scope, gives an empty list."""
    assert names(await rig.get("/v1/vaults", params={"filter": 'name eq "Nowhere"'})) == []
    assert names(await rig.get("/v1/vaults", params={"filter": 'name eq "Staging"'}, token="reader")) == []


async def test_c25_duplicates_are_all_listed(launch):
    """C25: vaults of one name all match."""
    rig = await launch(vaults_named("twin", "twin", "Twin", "other"))
    response = await rig.get("/v1/vaults", params={"filter": 'title eq "twin"'})
    assert names(response) == ["twin", "twin", "Twin"]
    assert len({vault["id"] for vault in response.json()}) == 3


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("name+eq+%22My+Vault%22", "My Vault"),
        ("name%20eq%20%22My%20Vault%22", "My Vault"),
        ('name%20eq%20"My%20Vault"', "My Vault"),
        ("name%20eq%20%22a%2Bb%22", "a+b"),
        ("title%20eq%20%22a%26b%22", "a&b"),
        ("title%20eq%20%22a%23b%25%22", "a#b%"),
        ("title%20eq%20%22Gr%C3%B6%C3%9Fe%20%F0%9F%94%91%22", "Größe 🔑"),
        ("name%20eq%20%22say%20%5C%22hi%5C%22%22", 'say "hi"'),
        ("name%20eq%20%22back%5C%5Cslash%22", "back\\slash"),
    ],
)
async def test_c26_query_decoding(launch, raw, name):
    """C26: `+` and `%20` are spaces, `%2B` is a plus, and names may hold anything."""
    rig = await launch(vaults_named(name, "decoy", "a b", "a"))
    assert names(await rig.get(f"/v1/vaults?filter={raw}")) == [name]


async def test_c26_raw_ampersand_cuts_the_filter(launch):
    """C26: what the Python client sends for a name with `&` ends inside the quotes, and is refused."""
    rig = await launch(vaults_named("a&b"))
    assert (await rig.get('/v1/vaults?filter=name%20eq%20"a&b"')).status_code == 400


@pytest.mark.parametrize(
    "text",
    ["'", '"', 'name eq "', 'name eq "a', 'name eq a"', 'name eq "a" b', "name eq 'a'", 'id eq "a"', 'name ne "a"', "name", "name eq", 'eq "a"',
     'name eq "a" and name eq "b"', "name eq two words", "(name eq a)", "%", "\x00"],
)  # fmt: skip
async def test_c27_bad_filters_are_400(rig, text):
    """C27: a filter that cannot be read is 400 in Connect's form, without a trace of our inside."""
    response = await rig.get("/v1/vaults", params={"filter": text})
    assert response.status_code == 400
    assert set(response.json()) == {"status", "message"}
    assert "Traceback" not in response.text


async def test_c27_query_that_is_no_utf8_is_400(rig):
    """C27: a query whose bytes are no UTF-8 is 400."""
    assert (await rig.get("/v1/vaults?filter=name%20eq%20%22%FF%22")).status_code == 400


async def test_c27_empty_filter_is_none(rig):
    """C27: an empty filter filters nothing."""
    assert len(names(await rig.get("/v1/vaults?filter="))) == 3


async def versions(rig, name="Production"):
    vault = (await rig.get(rig.vault_path(name))).json()
    return vault["contentVersion"], vault["attributeVersion"], vault["items"], vault["updatedAt"]


async def test_c28_content_version_follows_items(rig):
    """C28: contentVersion grows by one with each create, edit and delete; `items` counts active items only."""
    assert (await versions(rig))[:3] == (3, 1, 2)
    body = {"vault": {"id": rig.vault()}, "title": "new", "category": "LOGIN"}
    await rig("POST", rig.items_path(), json=body)
    assert (await versions(rig))[:3] == (4, 1, 3)
    rig.cloud.rotate("Production", "database")
    assert (await versions(rig))[:3] == (5, 1, 3)
    rig.cloud.archive("Production", "database")
    assert (await versions(rig))[:3] == (6, 1, 2)
    rig.cloud.edit("Production", "database", state="")
    assert (await versions(rig))[:3] == (7, 1, 3)
    await rig("DELETE", rig.item_path())
    assert (await versions(rig))[:3] == (8, 1, 2)
    assert (await versions(rig, "Staging"))[:3] == (2, 1, 1)


async def test_c28_bulk_edits_may_bump_once(launch):
    """C28: whether a bulk edit moves the vault once or per item is a knob."""
    rig = await launch()
    rig.cloud.rotate_many("Production")
    assert (await versions(rig))[0] == 5
    rig.emulator.live.turn({"bulk_bumps_once": True})
    rig.cloud.rotate_many("Production")
    assert (await versions(rig))[0] == 6


async def test_c29_rename_moves_the_attribute_version(rig):
    """C29: renaming moves attributeVersion only; updatedAt moves for contents and for attributes."""
    before = await versions(rig)
    rig.clock.advance(10)
    rig.cloud.rename_vault("Production", name="Prod", description="other")
    renamed = await versions(rig, "Prod")
    assert renamed[:3] == (before[0], before[1] + 1, before[2])
    assert renamed[3] > before[3]
    rig.clock.advance(10)
    rig.cloud.touch("Prod", "login")
    assert (await versions(rig, "Prod"))[3] > renamed[3]
    assert (await rig.item("login", "Prod"))["vault"]["name"] == "Prod"
    assert names(await rig.get("/v1/vaults", token="reader")) == ["Prod"]
