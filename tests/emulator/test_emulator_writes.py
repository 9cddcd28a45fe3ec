"""C54 to C65, C68, C69: creating, replacing and deleting items."""

import asyncio
import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_emulator.account import passwords
from connect_emulator.account.ids import Ids, is_id
from connect_emulator.errors import ApiError
from support.emulator import NOWHERE

VALIDATOR = "Validation: (validateVaultItem failed to Validate), Couldn't validate the item: "


def login(rig, **members):
    return {"vault": {"id": rig.vault()}, "title": "new", "category": "LOGIN", **members}


async def post(rig, body, *, status=200, token="all"):  # noqa: S107 - a name
    response = await rig("POST", rig.items_path(), json=body, token=token)
    assert response.status_code == status, response.text
    return response.json()


async def refused(rig, body, *, status=400):
    """The message of a refusal, after which nothing has changed."""
    before = (await rig.get(rig.vault_path())).json()
    message = (await post(rig, body, status=status))["message"]
    assert (await rig.get(rig.vault_path())).json() == before
    return message


def by_label(item):
    return {field.get("label", ""): field for field in item["fields"]}


async def test_c54_post_answers_200_with_ids(rig):
    """C54: creation answers 200 with the whole item: an id for it and for every field."""
    made = await post(
        rig, login(rig, fields=[{"label": "a", "value": "1"}, {"label": "b"}, {"id": "mine", "label": "c"}])
    )
    assert is_id(made["id"])
    assert [field["id"] for field in made["fields"][:3]] == ["username", "password", "notesPlain"]
    assert is_id(made["fields"][3]["id"])
    assert is_id(made["fields"][4]["id"])
    assert made["fields"][5]["id"] == "mine"
    assert made["version"] == 1
    assert (await rig.get(f"{rig.items_path()}/{made['id']}")).json()["fields"] == made["fields"]


async def test_c54_disputed_members_of_the_answer(launch):
    """C54: whether the answer has `version` and `lastEditedBy` are knobs."""
    rig = await launch()
    assert "lastEditedBy" not in await post(rig, login(rig))
    rig.emulator.live.turn({"post_version": False, "post_last_edited_by": True})
    made = await post(rig, login(rig))
    assert "version" not in made
    assert made["lastEditedBy"].isupper()


GO = """{"id":"","title":"go","urls":[{"primary":true,"href":"https://x"}],"tags":["t"],"vault":{"id":"VAULT"},
"category":"LOGIN","sections":[{"id":"s1","label":"More"}],"fields":[
{"id":"","section":null,"type":"STRING","purpose":"USERNAME","label":"","value":"ada","entropy":0,"totp":""},
{"id":"","type":"CONCEALED","purpose":"PASSWORD","label":"","value":"pw","generate":false,"recipe":null},
{"id":"x","section":{"id":"s1"},"type":"STRING","purpose":"","label":"extra","value":"v"}],
"lastEditedBy":"","createdAt":"0001-01-01T00:00:00Z","updatedAt":"0001-01-01T00:00:00Z","version":0,"trashed":false}"""
PYTHON = """{"title":"python","category":"LOGIN","vault":{"id":"VAULT"},"favorite":false,"trashed":false,"tags":["t"],
"urls":[{"primary":true,"href":"https://x"}],"sections":[{"id":"s1","label":"More"}],"fields":[
{"purpose":"USERNAME","value":"ada","generate":false,"type":"STRING"},{"purpose":"PASSWORD","value":"pw","generate":false,"type":"STRING"},
{"id":"x","label":"extra","value":"v","type":"STRING","generate":false,"section":{"id":"s1"}}]}"""
JAVASCRIPT = """{"vault":{"id":"VAULT"},"title":"js","category":"LOGIN","favorite":false,"tags":["t"],"urls":[{"primary":true,"href":"https://x"}],
"sections":[{"id":"Section_00112233445566778899aabbcc","label":"More"}],"fields":[
{"type":"STRING","purpose":"USERNAME","value":"ada","generate":false,"recipe":{"length":6,"characterSets":["LETTERS"]}},
{"type":"CONCEALED","purpose":"PASSWORD","value":"pw","label":"password"},
{"type":"STRING","purpose":"","label":"extra","value":"v","id":"x","section":{"id":"Section_00112233445566778899aabbcc"}}]}"""
ANSIBLE = """{"title":"ansible","category":"LOGIN","favorite":false,"vault":{"id":"VAULT"},"tags":["t"],"urls":[{"primary":true,"href":"https://x"}],
"sections":[{"id":"s1","label":"More"}],"fields":[
{"id":null,"label":"username","type":"STRING","purpose":"USERNAME","value":"ada","section":null,"generate":false,"recipe":null},
{"id":null,"label":"password","type":"CONCEALED","purpose":"PASSWORD","value":"pw","section":null,"generate":false,"recipe":null},
{"id":"x","label":"extra","type":"string","purpose":null,"value":"v","section":{"id":"s1","label":"More"},"generate":false}],
"files":null,"version":null,"state":null,"lastEditedBy":null}"""


@pytest.mark.parametrize("template", [GO, PYTHON, JAVASCRIPT, ANSIBLE], ids=["go", "python", "javascript", "ansible"])
async def test_c55_bodies_of_official_clients(rig, template):
    """C55: empty ids, zero dates, absent members and nulls are all taken, and mean the same item."""
    response = await rig("POST", rig.items_path(), content=template.replace("VAULT", rig.vault()))
    assert response.status_code == 200, response.text
    made = response.json()
    fields = by_label(made)
    assert (fields["username"]["value"], fields["password"]["value"], fields["extra"]["value"]) == ("ada", "pw", "v")
    assert fields["password"]["type"] == "CONCEALED"
    assert fields["extra"]["type"] == "STRING"
    assert fields["extra"]["section"]["id"] == made["sections"][0]["id"]
    assert made["createdAt"] == "2023-11-14T22:13:20Z"
    assert (made["tags"], made["urls"]) == (["t"], [{"href": "https://x", "primary": True}])
    assert (await rig("PUT", f"{rig.items_path()}/{made['id']}", json=made)).status_code == 200


@pytest.mark.parametrize(
    "vault", [None, {}, {"id": None}, {"id": ""}, {"id": NOWHERE}, {"name": "Production"}, "Production", []]
)
async def test_c56_vault_of_the_body_must_match(rig, vault):
    """C56: the body must name the path's vault by its id, on creation and replacement."""
    await refused(rig, login(rig, vault=vault))
    assert (await rig("PUT", rig.item_path(), json={**(await rig.item()), "vault": vault})).status_code == 400


@pytest.mark.parametrize("category", ["CUSTOM", "DOCUMENT", "NONSENSE", "login", ""])
async def test_c57_categories_that_cannot_be_created(rig, category):
    """C57: CUSTOM, DOCUMENT and unknown categories are refused in the documented words."""
    message = await refused(rig, login(rig, category=category))
    assert message == (
        "Invalid item category" if category else f'{VALIDATOR}"Required field "item.templateUuid" not found"'
    )


async def test_c57_missing_category(rig):
    """C57: a body without a category is refused in the validator's words."""
    body = login(rig)
    del body["category"]
    assert "item.templateUuid" in await refused(rig, body)


async def test_c58_purposes_fold_into_built_in_fields(rig):
    """C58: a purpose means the built-in field: its id, type and label, whatever the body called it."""
    fields = [
        {"purpose": "PASSWORD", "label": "my secret", "type": "STRING", "value": "pw"},
        {"purpose": "username", "id": "u", "value": "ada"},
        {"purpose": "NOTES", "value": "n"},
    ]
    made = await post(rig, login(rig, fields=fields))
    assert [(f["id"], f["label"], f["type"], f["purpose"], f["value"]) for f in made["fields"]] == [
        ("username", "username", "STRING", "USERNAME", "ada"),
        ("password", "password", "CONCEALED", "PASSWORD", "pw"),
        ("notesPlain", "notesPlain", "STRING", "NOTES", "n"),
    ]


async def test_c58_two_passwords(launch):
    """C58: a second PASSWORD is refused in the seen words, whether by purpose or by id; the status is a knob."""
    rig = await launch()
    for second in ({"purpose": "PASSWORD", "value": "b"}, {"id": "password", "value": "b"}):
        message = await refused(rig, login(rig, fields=[{"purpose": "PASSWORD", "value": "a"}, second]))
        assert message == (
            'Logic: (Unable to parse Item), Validation: (too many "password" fields in Apply()), '
            'You can only use one "password" field.'
        )
    rig.emulator.live.turn({"double_password_status": 422})
    await refused(rig, login(rig, fields=[{"purpose": "PASSWORD"}, {"purpose": "PASSWORD"}]), status=422)


@pytest.mark.parametrize("kind", ["TOTP", "totp", "HOLOGRAM"])
async def test_c58_unsupported_field_types(rig, kind):
    """C58: the specification's TOTP is refused as the validator does it, and so is any other unknown type."""
    message = await refused(rig, login(rig, fields=[{"label": "x", "type": kind}]))
    assert message == (
        f'{VALIDATOR}"[ItemValidator] has found 1 errors, 0 warnings: \n'
        f'Errors:{{1. details.sections[0].fields[0] has unsupported field type: {kind.lower()}}}"'
    )


@pytest.mark.parametrize("kind", ["otp", "Otp", "OTP"])
async def test_c58_types_have_any_case(rig, kind):
    """C58: types are taken in any case."""
    made = await post(
        rig, login(rig, fields=[{"label": "x", "type": kind, "value": "otpauth://totp/a?secret=MFRGGZDF"}])
    )
    assert by_label(made)["x"]["type"] == "OTP"
    assert len(by_label(made)["x"]["totp"]) == 6


@pytest.mark.parametrize(
    ("category", "purpose"), [("DATABASE", "PASSWORD"), ("PASSWORD", "USERNAME"), ("SECURE_NOTE", "PASSWORD")]
)
async def test_c58_misplaced_purpose(launch, category, purpose):
    """C58: a purpose that the category lacks is refused in the documented words, as 400 or, by a knob, 406."""
    rig = await launch()
    body = login(rig, category=category, fields=[{"purpose": purpose, "value": "x"}])
    assert await refused(rig, body) == f"The item doesn't have a {purpose.lower()} field."
    rig.emulator.live.turn({"misplaced_purpose_status": 406})
    await refused(rig, body, status=406)


async def test_c58_a_password_needs_a_password(rig):
    """C58: an item of the category PASSWORD cannot be created without one."""
    assert await refused(rig, login(rig, category="PASSWORD")) == "The item doesn't have a password field."
    await post(rig, login(rig, category="PASSWORD", fields=[{"purpose": "PASSWORD", "value": "x"}]))


async def test_private_keys_degrade(rig):
    """A private key that comes through the API is stored as text; one that stays as it was is not."""
    made = await post(
        rig, login(rig, category="SSH_KEY", fields=[{"id": "private_key", "type": "SSHKEY", "value": "k"}])
    )
    assert next(field for field in made["fields"] if field["id"] == "private_key")["type"] == "STRING"


@pytest.mark.parametrize(
    "recipe", [None, {}, {"length": 0}, "absent", {"characterSets": []}, {"excludeCharacters": None}]
)
async def test_c59_generate_by_default(rig, recipe):
    """C59: `generate` without a recipe fills in 32 characters of all sets, and says so in the details."""
    field = {"purpose": "PASSWORD", "generate": True, "recipe": recipe}
    if recipe == "absent":
        del field["recipe"]
    password = by_label(await post(rig, login(rig, fields=[field])))["password"]
    assert len(password["value"]) == 32
    assert any(c in string.ascii_letters for c in password["value"])
    assert any(c in string.digits for c in password["value"])
    assert not password["value"].isalnum()
    assert password["passwordDetails"]["generated"] is True
    assert password["passwordDetails"]["strength"] == "FANTASTIC"
    assert not {"generate", "recipe"} & set(password)


async def test_c59_generate_by_recipe(rig):
    """C59: length, sets and exclusions are honoured, for custom fields too; a given value wins."""
    recipe = {"length": 64, "characterSets": ["digits"], "excludeCharacters": "0123"}
    fields = [
        {"label": "a", "generate": True, "recipe": recipe},
        {"label": "b", "generate": True, "recipe": {"length": 1, "characterSets": ["LETTERS"]}},
        {"label": "c", "generate": True, "value": "mine"},
    ]
    made = by_label(await post(rig, login(rig, fields=fields)))
    assert len(made["a"]["value"]) == 64
    assert set(made["a"]["value"]) <= set("456789")
    assert made["a"]["type"] == "CONCEALED"
    assert len(made["b"]["value"]) == 1
    assert made["c"]["value"] == "mine"


@pytest.mark.parametrize(
    "recipe",
    [{"length": 65}, {"length": -1}, {"length": "10"}, {"length": True}, {"characterSets": ["EMOJI"]}, {"characterSets": "DIGITS"},
     {"characterSets": ["DIGITS"], "excludeCharacters": "0123456789"}, {"excludeCharacters": 5}, []],
)  # fmt: skip
async def test_c59_bad_recipes(rig, recipe):
    """C59: a recipe that cannot be followed is refused, but for the empty list, which is as good as none."""
    body = login(rig, fields=[{"purpose": "PASSWORD", "generate": True, "recipe": recipe}])
    assert "recipe" in await refused(rig, body)


@given(
    length=st.integers(1, 64),
    sets=st.lists(st.sampled_from(sorted(passwords.SETS)), min_size=1, unique=True),
    excluded=st.text(string.printable, max_size=20),
)
def test_c59_recipes_hold(length, sets, excluded):
    """C59: whatever the recipe, the password has its length, only its characters, and one of each set that fits."""
    recipe = {"length": length, "characterSets": sets, "excludeCharacters": excluded}
    pools = [set(passwords.SETS[name]) - set(excluded) for name in sets]
    try:
        made = passwords.generate(recipe, Ids(0).random)
    except ApiError:
        assert not any(pools)
        return
    assert len(made) == length
    assert set(made) <= set().union(*pools)
    assert sum(bool(pool & set(made)) for pool in pools) == min(length, sum(map(bool, pools)))


async def test_c60_sections(rig):
    """C60: section ids are unique, and a field's section must exist; an empty section is none."""
    doubled = login(rig, sections=[{"id": "a"}, {"id": "a", "label": "x"}])
    assert "details.sections[1] has non-unique name" in await refused(rig, doubled)
    assert "unknown section" in await refused(rig, login(rig, fields=[{"label": "x", "section": {"id": "b"}}]))
    made = await post(
        rig,
        login(
            rig,
            sections=[{"label": "fresh"}],
            fields=[{"label": "x", "section": {}}, {"label": "y", "section": {"id": ""}}],
        ),
    )
    assert is_id(made["sections"][0]["id"])
    assert "section" not in by_label(made)["x"]


@pytest.mark.parametrize(
    ("method", "verb", "allowed"),
    [
        ("GET", "read", "reader"),
        ("POST", "create", "writer"),
        ("PUT", "update", "writer"),
        ("PATCH", "update", None),
        ("DELETE", "delete", "writer"),
    ],
)
async def test_c61_verbs(launch, method, verb, allowed):
    """C61: a read-only token cannot write, a write-only one can neither read nor PATCH; the prefix is a knob."""
    rig = await launch()
    path = rig.items_path() if method == "POST" else rig.item_path("login")
    body = {**(await rig.item("login")), "id": "" if method == "POST" else rig.cloud.item("Production", "login").id}
    for token in {"reader", "writer"} - {allowed}:
        response = await rig(method, path, token=token, json=[] if method == "PATCH" else body)
        named = "read" if (method, token) == ("PATCH", "writer") else verb
        assert response.status_code == 403
        assert response.json()["message"] == f"token does not have permission to perform {named} on vault {rig.vault()}"
        rig.emulator.live.turn({"permission_prefix": True})
        response = await rig(method, path, token=token, json=[])
        assert response.json()["message"].startswith("Authorization: token does not have permission")
        rig.emulator.live.turn({"permission_prefix": False})
    if allowed:
        assert (await rig(method, path, token=allowed, json=body)).is_success


async def test_c61_write_only_tokens_and_vaults(launch):
    """C61: lists and files are reads too; whether vault metadata is, is a knob."""
    rig = await launch()
    for path in (rig.items_path(), rig.item_path() + "/files", rig.file_path() + "/content"):
        assert (await rig.get(path, token="writer")).status_code == 403
    assert (await rig.get(rig.vault_path(), token="writer")).status_code == 200
    rig.emulator.live.turn({"write_only_sees_vaults": False})
    assert (await rig.get(rig.vault_path(), token="writer")).status_code == 403


async def test_c62_put_answers_the_old_version(launch):
    """C62: PUT answers with the old version and the new content; GET shows the next version after the lag."""
    rig = await launch(lag_s=0.3)
    body = await rig.item("login")
    answered = (await rig("PUT", rig.item_path("login"), json={**body, "title": "renamed"})).json()
    assert (answered["version"], answered["title"]) == (1, "renamed")
    path = f"{rig.items_path()}/{body['id']}"
    assert (await rig.get(path)).json() == body
    rig.clock.advance(0.3)
    read = (await rig.get(path)).json()
    assert (read["version"], read["title"]) == (2, "renamed")
    rig.emulator.live.turn({"put_answers_old_version": False})
    assert (await rig("PUT", path, json=read)).json()["version"] == 3


async def test_c62_put_cannot_change_identity(rig):
    """C62: PUT refuses another id or category than the item's; unknown members and read-only ones are ignored."""
    body = await rig.item("login")
    for change in ({"id": NOWHERE}, {"category": "PASSWORD"}, {"category": None}):
        assert (await rig("PUT", rig.item_path("login"), json={**body, **change})).status_code == 400
    odd = {**body, "version": 77, "createdAt": "never", "trashed": True, "novelty": 1, "state": "ARCHIVED"}
    assert (await rig("PUT", rig.item_path("login"), json=odd)).status_code == 200
    after = await rig.item("login")
    assert (after["version"], after["createdAt"]) == (2, body["createdAt"])
    assert "state" not in after


async def test_c62_put_replaces_what_it_names(rig):
    """C62: fields that the body lacks are gone, but built-in ones stay, without value."""
    await rig("PUT", rig.item_path("login"), json=login(rig, title="login"))
    after = await rig.item("login")
    assert [(field["id"], field.get("value")) for field in after["fields"]] == [
        ("username", None),
        ("password", None),
        ("notesPlain", None),
    ]


async def test_c63_create_then_get_lags(launch):
    """C63: a created item is 404 and not listed until the replica has it."""
    rig = await launch(lag_s=0.3)
    made = await post(rig, login(rig))
    path = f"{rig.items_path()}/{made['id']}"
    assert (await rig.get(path)).status_code == 404
    assert made["id"] not in (await rig.get(rig.items_path())).text
    assert (await rig("PUT", path, json=made)).status_code == 404
    rig.clock.advance(0.3)
    assert (await rig.get(path)).json()["version"] == 1
    assert made["id"] in (await rig.get(rig.items_path())).text


async def test_c64_delete(launch):
    """C64: DELETE is 204 without a body; GET serves the item during the lag, a second DELETE is 404 at once."""
    rig = await launch(lag_s=0.3)
    path = rig.item_path()
    response = await rig("DELETE", path)
    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers
    assert (await rig.get(path)).status_code == 200
    assert (await rig("DELETE", path)).status_code == 404
    rig.clock.advance(0.3)
    assert (await rig.get(path)).status_code == 404
    assert (await rig("DELETE", path)).status_code == 404


@pytest.mark.parametrize(("method", "status"), [("POST", 409), ("PUT", 409), ("PATCH", 409), ("DELETE", 500)])
async def test_c65_conflicts(launch, method, status):
    """C65: a write to a vault that is being written conflicts; for DELETE that shows as 500. Other vaults are free."""
    rig = await launch(write_s=1.0, conflict_message="busy")
    body = await rig.item("login")
    first = asyncio.create_task(rig("PUT", rig.item_path("login"), json=body))
    await rig.clock.sleepers()
    path = rig.items_path() if method == "POST" else rig.item_path("login")
    response = await rig(method, path, json=[] if method == "PATCH" else body)
    assert response.status_code == status
    assert response.json()["message"] == ("Something went wrong" if status == 500 else "busy")
    other = asyncio.create_task(rig("DELETE", rig.item_path("database", "Staging")))
    await rig.clock.sleepers(2)
    rig.clock.advance(1)
    assert ((await first).status_code, (await other).status_code) == (200, 204)
    assert (await rig.item("login"))["version"] == 2


@pytest.mark.parametrize(
    "content", [b"", b"{", b"nonsense", b'{"a":NaN}', b"\xff\xfe", b'"text"', b"null", b"5", b"[]", b"[" * 100_000]
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_c68_malformed_bodies(rig, method, content):
    """C68: a body that is no JSON object is 400, and changes nothing."""
    path = rig.items_path() if method == "POST" else rig.item_path()
    before = (await rig.get(rig.vault_path())).json()
    response = await rig(method, path, content=content, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["status"]) == (400, 400)
    assert (await rig.get(rig.vault_path())).json() == before


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        (None, 200),
        ("text/plain", 400),
        ("application/x-www-form-urlencoded", 400),
        ("multipart/form-data; boundary=x", 400),
    ],
)
async def test_c68_content_types(rig, content_type, status):
    """C68: a body of another content type than JSON is 400; one that names none is taken."""
    headers = {"Content-Type": content_type} if content_type else {}
    response = await rig("POST", rig.items_path(), content=json.dumps(login(rig)), headers=headers)
    assert response.status_code == status


@pytest.mark.parametrize(
    "change",
    [{"title": 5}, {"tags": "t"}, {"tags": [1]}, {"urls": {}}, {"urls": [1]}, {"urls": [{"href": 1}]}, {"fields": {}}, {"fields": [1]},
     {"fields": [{"value": 5}]}, {"fields": [{"label": []}]}, {"fields": [{"section": "s"}]}, {"fields": [{"purpose": "OTHER"}]},
     {"sections": 1}, {"fields": [{"id": "a"}, {"id": "a"}]}, {"category": 5}],
)  # fmt: skip
async def test_c68_members_of_the_wrong_type(rig, change):
    """C68: members of the wrong type are refused, as Go's decoder would."""
    await refused(rig, login(rig, **change))


async def test_c68_body_size_is_limited(launch):
    """C68: a body beyond the limit is 413; the limit is a knob, its real value unknown."""
    rig = await launch(max_body_bytes=1000)
    message = await refused(rig, login(rig, fields=[{"purpose": "NOTES", "value": "n" * 1000}]), status=413)
    assert "large" in message


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        ("DATE", "2024-02-29", "1709164800"),
        ("DATE", "1709208060", "1709208060"),
        ("DATE", "-1", "-1"),
        ("DATE", "", None),
        ("DATE", "29.02.2024", 400),
        ("DATE", "2023-02-29", 400),
        ("MONTH_YEAR", "202402", "202402"),
        ("MONTH_YEAR", "2024/02", "202402"),
        ("MONTH_YEAR", "", None),
        ("MONTH_YEAR", "02/2024", 400),
        ("MONTH_YEAR", "202413", 400),
    ],
)
async def test_dates_of_requests(rig, kind, value, stored):
    """Dates come in as a day or in Unix seconds, months in two spellings; other texts are refused."""
    body = login(rig, fields=[{"label": "d", "type": kind, "value": value}])
    if stored == 400:
        message = await refused(rig, body)
        assert "date" in message or message == "values for field type monthYear must be in YYYYMM or YYYY/MM format"
    else:
        assert by_label(await post(rig, body))["d"].get("value") == stored


async def test_dates_shift_with_the_servers_time_zone(launch):
    """A day is read in the server's own time zone."""
    rig = await launch(server_utc_offset_h=-5)
    made = await post(rig, login(rig, fields=[{"label": "d", "type": "DATE", "value": "2024-02-29"}]))
    assert by_label(made)["d"]["value"] == "1709182800"


async def test_c69_put_keeps_files(launch):
    """C69: PUT without `files` keeps them, by a knob drops them; a list keeps those it names."""
    rig = await launch()
    body = await rig.item()
    first = body.pop("files")[0]
    await rig("PUT", rig.item_path(), json=body)
    assert len((await rig.item())["files"]) == 2
    await rig("PUT", rig.item_path(), json={**body, "files": [first]})
    assert [file["name"] for file in (await rig.item())["files"]] == ["tls.crt"]
    rig.emulator.live.turn({"put_keeps_files": False})
    await rig("PUT", rig.item_path(), json=body)
    assert "files" not in await rig.item()
