"""C30 to C44: reading items."""

import base64
import hashlib
import hmac
from urllib.parse import quote

import pytest

from support.emulator import NOWHERE

TOKENS = [{"name": "all", "vaults": {"*": "rw"}}]


def one(item):
    return {"vaults": [{"name": "v", "items": [item]}], "tokens": TOKENS}


async def listed(rig, vault="Production", **arguments):
    response = await rig.get(rig.items_path(vault), **arguments)
    assert response.status_code == 200, response.text
    return response.json()


async def test_c30_list_entries_are_summaries(rig):
    """C30: the list has version, category, times and tags, and neither fields nor sections nor files."""
    database, login = await listed(rig)
    assert set(database) == {
        "category", "createdAt", "id", "lastEditedBy", "tags", "title", "updatedAt", "urls", "vault", "version",
    }  # fmt: skip
    assert (database["version"], database["tags"], database["vault"]["name"]) == (1, ["app"], "Production")
    assert set(login) == {
        "additionalInformation", "category", "createdAt", "id", "lastEditedBy", "title", "updatedAt", "vault", "version",
    }  # fmt: skip
    assert login["additionalInformation"] == "ada"
    assert database["lastEditedBy"].isupper()
    assert len(database["lastEditedBy"]) == 26


async def test_c30_disputed_list_members_are_knobs(launch):
    """C30: files, vault name and additionalInformation in the list can be had the other way."""
    rig = await launch(list_files=True, list_vault_name=False, list_additional_information=False)
    database, login = await listed(rig)
    assert [file["name"] for file in database["files"]] == ["tls.crt", "blob"]
    assert "content" not in database["files"][0]
    assert database["vault"] == {"id": rig.vault()}
    assert "additionalInformation" not in login


FILTER_ITEMS = {
    "vaults": [
        {
            "name": "v",
            "items": [
                {"title": "alpha", "tags": ["team/a", "🔑"]},
                {"title": "Alpha two", "tags": ["team"]},
                {"title": "beta", "tags": []},
                {"title": 'q"uote', "tags": ["with space"]},
            ],
        }
    ],
    "tokens": TOKENS,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('title eq "alpha"', ["alpha"]),
        ('title eq "ALPHA"', ["alpha"]),
        ('title co "alpha"', ["alpha", "Alpha two"]),
        ('title co ""', ["alpha", "Alpha two", "beta", 'q"uote']),
        ('title eq "alph"', []),
        ('title eq "q\\"uote"', ['q"uote']),
        ('tag eq "team"', ["Alpha two"]),
        ("tag eq team/a", ["alpha"]),
        ('tag eq "🔑"', ["alpha"]),
        ('tag eq "with space"', ['q"uote']),
        ('tag co "team"', ["alpha", "Alpha two"]),
        ('tag eq "none"', []),
    ],
)
async def test_c31_item_filters(launch, text, expected):
    """C31: items are found by title or tag, whole or in part."""
    rig = await launch(FILTER_ITEMS)
    found = await listed(rig, "v", params={"filter": text})
    assert [item["title"] for item in found] == expected


async def test_c31_item_filters_may_mind_case(launch):
    """C31: by a knob, case counts for titles and tags."""
    rig = await launch(FILTER_ITEMS, item_filter_case=True)
    assert await listed(rig, "v", params={"filter": 'title eq "ALPHA"'}) == []
    assert await listed(rig, "v", params={"filter": 'tag eq "TEAM"'}) == []
    assert len(await listed(rig, "v", params={"filter": 'title co "Alpha"'})) == 1


async def test_c31_backslashes_may_mean_themselves(launch):
    """C31: without the guessed escape, a backslash is a character, and no filter can contain a quote."""
    rig = await launch(one({"title": "a\\"}), filter_backslash=False)
    assert len(await listed(rig, "v", params={"filter": 'title eq "a\\"'})) == 1
    response = await rig.get(rig.items_path("v"), params={"filter": 'title eq "q\\"uote"'})
    assert response.status_code == 400


@pytest.mark.parametrize("text", ["'", 'title eq "a', 'name eq "a"', 'id eq "a"', 'title gt "a"'])
async def test_c31_bad_item_filters_are_400(rig, text):
    """C31: item filters are refused like vault filters."""
    assert (await rig.get(rig.items_path(), params={"filter": text})).status_code == 400


async def test_c31_an_id_is_no_title(rig):
    """C31: a title filter with an item's id looks at titles only, as `op` expects."""
    item = rig.cloud.item("Production", "database").id
    assert await listed(rig, params={"filter": f'title eq "{item}"'}) == []


async def test_c32_duplicate_titles_are_both_listed(launch):
    """C32: items of one title are all found, the first of the description being the oldest."""
    rig = await launch({"vaults": [{"name": "v", "items": [{"title": "twin"}, {"title": "twin"}]}], "tokens": TOKENS})
    first, second = await listed(rig, "v", params={"filter": 'title eq "twin"'})
    assert first["id"] != second["id"]
    assert first["createdAt"] < second["createdAt"]


async def test_c33_login_has_its_built_in_fields(launch):
    """C33: a login always has username, password and notes; those never filled have no value."""
    rig = await launch(one({"title": "bare", "fields": [{"label": "username", "value": "ada"}]}))
    item = await rig.item("bare", "v")
    assert item["fields"] == [
        {"id": "username", "label": "username", "purpose": "USERNAME", "type": "STRING", "value": "ada"},
        {"id": "password", "label": "password", "purpose": "PASSWORD", "type": "CONCEALED"},
        {"id": "notesPlain", "label": "notesPlain", "purpose": "NOTES", "type": "STRING"},
    ]
    assert not {"sections", "tags", "urls", "files", "favorite", "state"} & set(item)


@pytest.mark.parametrize(
    ("category", "ids"),
    [
        ("PASSWORD", ["password", "notesPlain"]),
        ("API_CREDENTIAL", ["notesPlain", "username", "credential", "type", "filename", "validFrom", "expires", "hostname"]),
        ("DATABASE", ["notesPlain", "database_type", "hostname", "port", "database", "username", "password", "sid", "alias", "options"]),
        ("SECURE_NOTE", ["notesPlain"]),
        ("SSH_KEY", ["notesPlain", "public_key", "fingerprint", "private_key", "key_type"]),
        ("DOCUMENT", ["notesPlain"]),
        ("SERVER", ["notesPlain", "url", "username", "password"]),
        ("IDENTITY", ["notesPlain"]),
    ],
)  # fmt: skip
async def test_c33_built_in_fields_of_other_categories(launch, category, ids):
    """C33: every category has its own built-in fields; a database's password has no purpose."""
    rig = await launch(one({"title": "bare", "category": category}))
    fields = (await rig.item("bare", "v"))["fields"]
    assert [field["id"] for field in fields] == ids
    assert all("value" not in field and field["label"] for field in fields)
    purposes = {field["id"]: field.get("purpose") for field in fields}
    assert purposes["notesPlain"] == "NOTES"
    assert purposes.get("password") == ("PASSWORD" if category == "PASSWORD" else None)


async def test_c34_urls_are_in_summary_and_detail(launch):
    """C34: URLs are members of the item in both forms, never fields; `primary` is there only when true."""
    urls = [
        {"href": "https://a", "label": "one", "primary": True},
        {"href": "https://b", "label": "two"},
        {"href": "c"},
    ]
    rig = await launch(one({"title": "t", "urls": urls}))
    expected = [
        {"href": "https://a", "label": "one", "primary": True},
        {"href": "https://b", "label": "two"},
        {"href": "c"},
    ]
    detail = await rig.item("t", "v")
    assert (await listed(rig, "v"))[0]["urls"] == detail["urls"] == expected
    assert all("https" not in field.get("value", "") for field in detail["fields"])


def totp(secret, at, *, digits=6, period=30, algorithm="sha1"):
    digest = hmac.new(secret, (int(at) // period).to_bytes(8, "big"), getattr(hashlib, algorithm)).digest()
    place = digest[-1] & 15
    return str((int.from_bytes(digest[place : place + 4], "big") & 0x7FFFFFFF) % 10**digits).zfill(digits)


@pytest.mark.parametrize(("digits", "period", "algorithm"), [(6, 30, "sha1"), (8, 30, "sha256"), (6, 60, "sha512")])
async def test_c35_totp_follows_the_clock(launch, digits, period, algorithm):
    """C35: an OTP field has its address as value and the code of the moment beside it, as RFC 6238 says."""
    secret = b"12345678901234567890"
    address = f"otpauth://totp/x?secret={base64.b32encode(secret).decode()}&digits={digits}&period={period}&algorithm={algorithm.upper()}"
    rig = await launch(
        one({"title": "t", "fields": [{"id": "TOTP_1", "label": "code", "type": "OTP", "value": address}]})
    )
    for _ in range(3):
        field = (await rig.fields("t", "v"))["code"]
        assert (field["type"], field["value"], field["id"]) == ("OTP", address, "TOTP_1")
        assert field["totp"] == totp(secret, rig.clock.now(), digits=digits, period=period, algorithm=algorithm)
        rig.clock.advance(period)
    assert rig.cloud.item("v", "t").version == 1


async def test_c35_only_otp_fields_have_a_code(launch):
    """C35: only OTP fields have `totp`, and only if their address holds a secret."""
    fields = [
        {"label": "a", "type": "OTP", "value": "otpauth://totp/x?secret=!!!"},
        {"label": "b", "value": "otpauth://totp/x?secret=MFRGG"},
    ]
    rig = await launch(one({"title": "t", "fields": fields}))
    assert all("totp" not in field for field in (await rig.item("t", "v"))["fields"])


async def test_c36_dates_come_out_as_numbers(launch):
    """C36: a DATE is Unix seconds in a text, noon and a minute UTC as apps store it; a MONTH_YEAR is YYYYMM."""
    fields = [
        {"label": "valid from", "value": "2024-02-29"},
        {"label": "expires", "value": "1709208060"},
        {"label": "month", "type": "MONTH_YEAR", "value": "202402"},
    ]
    rig = await launch(one({"title": "t", "category": "API_CREDENTIAL", "fields": fields}))
    found = await rig.fields("t", "v")
    assert found["valid from"]["type"] == "DATE"
    assert found["valid from"]["value"] == found["expires"]["value"] == "1709208060"
    assert found["month"]["value"] == "202402"


async def test_c37_history_keeps_former_passwords(rig):
    """C37: former passwords stay readable under passwordDetails, newest first, however the password changed."""
    fields = await rig.fields("login")
    assert "history" not in fields["password"]["passwordDetails"]
    rig.cloud.rotate("Production", "login", value="second")
    operations = [{"op": "replace", "path": "/fields/password/value", "value": "third"}]
    await rig("PATCH", rig.item_path("login"), json=operations)
    body = await rig.item("login")
    next(field for field in body["fields"] if field["id"] == "password")["value"] = "fourth"
    await rig("PUT", rig.item_path("login"), json=body)
    password = (await rig.fields("login"))["password"]
    assert password["value"] == "fourth"
    assert password["passwordDetails"]["history"] == ["third", "second", "canary-login"]
    assert password["passwordDetails"]["strength"] == "WEAK"
    assert isinstance(password["entropy"], float)
    assert isinstance(password["passwordDetails"]["entropy"], int)


async def test_c37_a_databases_password_has_no_details(rig):
    """C37: entropy and details belong to fields of the purpose PASSWORD only."""
    rig.cloud.rotate("Production", "database")
    assert not {"entropy", "passwordDetails"} & set((await rig.fields("database"))["password"])


async def test_c38_ssh_key(launch):
    """C38: an SSH key has its four fields, the private one of type SSHKEY, and its fingerprint beside the title."""
    fields = [
        {"label": "private key", "value": "-----BEGIN"},
        {"label": "fingerprint", "value": "SHA256:x"},
        {"id": "public_key", "value": "ssh-ed25519"},
    ]
    rig = await launch(one({"title": "t", "category": "SSH_KEY", "fields": fields}))
    item = await rig.item("t", "v")
    values = {field["id"]: (field["type"], field.get("value")) for field in item["fields"]}
    assert values["private_key"] == ("SSHKEY", "-----BEGIN")
    assert values["public_key"] == ("STRING", "ssh-ed25519")
    assert item["additionalInformation"] == "SHA256:x"


async def test_c38_document_without_a_value(launch):
    """C38: a document may have a file and not one field with a value."""
    rig = await launch(one({"title": "t", "category": "DOCUMENT", "files": [{"name": "a.pdf", "content": "x"}]}))
    item = await rig.item("t", "v")
    assert [file["name"] for file in item["files"]] == ["a.pdf"]
    assert all("value" not in field for field in item["fields"])


async def test_c38_a_notes_first_line_is_its_additional_information(launch):
    """C38: a note shows its first line, and its whole text in the field."""
    rig = await launch(
        one({"title": "t", "category": "SECURE_NOTE", "fields": [{"label": "notesPlain", "value": "one\ntwo"}]})
    )
    assert (await listed(rig, "v"))[0]["additionalInformation"] == "one"
    assert (await rig.fields("t", "v"))["notesPlain"]["value"] == "one\ntwo"


async def test_c39_the_unknown_is_served_as_it_is(launch):
    """C39: unknown categories and field types are served untouched."""
    fields = [{"id": "f", "label": "x", "type": "HOLOGRAM", "value": "y"}]
    rig = await launch(one({"title": "t", "category": "CUSTOM", "fields": fields}))
    item = await rig.item("t", "v")
    assert (item["category"], item["fields"]) == (
        "CUSTOM",
        [{"id": "f", "label": "x", "type": "HOLOGRAM", "value": "y"}],
    )


async def test_c40_placeholder_section(launch):
    """C40: a section without id and label is an empty object."""
    rig = await launch(
        one({"title": "t", "sections": [{}, {"id": "linked items", "label": "Related Items"}, {"id": "bare"}]})
    )
    assert (await rig.item("t", "v"))["sections"] == [
        {},
        {"id": "linked items", "label": "Related Items"},
        {"id": "bare"},
    ]


async def test_c40_created_with_loose_fields_only(launch):
    """C40: an item created with only section-less custom fields has the placeholder, unless the knob says no."""
    rig = await launch()
    body = {"vault": {"id": rig.vault()}, "title": "t", "category": "LOGIN", "fields": [{"label": "a", "value": "b"}]}
    made = (await rig("POST", rig.items_path(), json=body)).json()
    assert made["sections"] == [{}]
    assert all("section" not in field for field in made["fields"])
    rig.emulator.live.turn({"placeholder_section": False})
    assert "sections" not in (await rig("POST", rig.items_path(), json=body)).json()


@pytest.mark.parametrize("bad", ["A" * 26, "a" * 25, "a" * 27, quote("my item"), "database", "a" * 25 + "%2F"])
@pytest.mark.parametrize("rest", ["", "/files", f"/files/{NOWHERE}"])
async def test_c41_malformed_item_id_is_400(rig, bad, rest):
    """C41: an item id of another shape is 400 with the known text, before scope and existence."""
    for vault in (rig.vault(), rig.vault("Staging"), NOWHERE):
        response = await rig.get(f"/v1/vaults/{vault}/items/{bad}{rest}", token="reader")
        assert (response.status_code, response.json()["message"]) == (400, "Invalid Item UUID")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_c41_unknown_item_is_404(rig, method):
    """C41: an unknown item is 404 with its id, and so is an item of another vault."""
    foreign = rig.cloud.item("Staging", "database").id
    for item in (NOWHERE, foreign):
        response = await rig(method, f"{rig.items_path()}/{item}", json=[])
        assert (response.status_code, response.json()["message"]) == (404, f"item {item} not found")


async def test_c42_archived_items(launch):
    """C42: archived items are not listed but served with their state; both are knobs."""
    rig = await launch()
    rig.cloud.archive("Production", "database")
    assert [item["title"] for item in await listed(rig)] == ["login"]
    assert (await rig.item())["state"] == "ARCHIVED"
    rig.emulator.live.turn({"list_archived": True, "get_archived": False})
    assert [item.get("state") for item in await listed(rig)] == ["ARCHIVED", None]
    assert (await rig.get(rig.item_path())).status_code == 404


TEXTS = [
    "Größe 漢字 🔑 e\u0301",
    "line\r\nline\rline\nline\t end ",
    "".join(map(chr, range(1, 32))) + "\x7f\u2028\u2029\ufeff",
    "\ud83d\udd11".encode("utf-16", "surrogatepass").decode("utf-16"),
    "n" * 2**20,
    '"\\/<>&\u003c',
]


@pytest.mark.parametrize("text", TEXTS, ids=["unicode", "line ends", "control", "astral", "1 MiB", "escapes"])
async def test_c43_text_survives_byte_by_byte(launch, text):
    """C43: any text but NUL comes back as it was, from the description and through POST, PATCH and PUT."""
    rig = await launch(
        one({"title": "t", "category": "SECURE_NOTE", "fields": [{"label": "notesPlain", "value": text}]})
    )
    assert (await rig.fields("t", "v"))["notesPlain"]["value"] == text
    body = {
        "vault": {"id": rig.vault("v")},
        "title": text[:100],
        "category": "SECURE_NOTE",
        "fields": [{"purpose": "NOTES", "value": text}],
        "tags": [text[:50]],
    }
    made = (await rig("POST", rig.items_path("v"), json=body)).json()
    path = f"{rig.items_path('v')}/{made['id']}"
    await rig("PATCH", path, json=[{"op": "replace", "path": "/fields/notesPlain/value", "value": text}])
    read = (await rig.get(path)).json()
    await rig("PUT", path, json=read)
    again = (await rig.get(path)).json()
    for item in (made, read, again):
        assert (item["fields"][0]["value"], item["title"], item["tags"]) == (text, text[:100], [text[:50]])


async def test_c43_lone_surrogates_are_replaced(rig):
    """C43: half a surrogate pair, which JSON can write and UTF-8 cannot, becomes the replacement character."""
    raw = b'{"vault":{"id":"%s"},"title":"a\\ud800b","category":"LOGIN"}' % rig.vault().encode()
    made = await rig("POST", rig.items_path(), content=raw)
    assert made.json()["title"] == "a\ufffdb"


async def test_c44_a_thousand_items_in_one_list(launch):
    """C44: there are no pages, and the order of the list is stable through edits."""
    rig = await launch(
        {"vaults": [{"name": "v", "items": [{"title": f"i{n}"} for n in range(1000)]}], "tokens": TOKENS}
    )
    titles = [f"i{n}" for n in range(1000)]
    assert [item["title"] for item in await listed(rig, "v")] == titles
    rig.cloud.touch("v", "i500")
    again = await listed(rig, "v")
    assert [item["title"] for item in again] == titles
    assert again[500]["version"] == 2


async def test_a_favorite_is_marked(launch):
    """`favorite` is there when true, in list and detail."""
    rig = await launch(one({"title": "t", "favorite": True}))
    assert (await listed(rig, "v"))[0]["favorite"] is (await rig.item("t", "v"))["favorite"] is True
