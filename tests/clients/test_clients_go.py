"""C84: what only 1Password's Go client has: titles everywhere, structs that load themselves, downloads, other agents."""

from base64 import b64encode

import pytest

from support.clients.driven import GoClient
from support.clients.scenery import (
    BUNDLE,
    DATABASE,
    EXTRA,
    FILE_CONTENTS,
    FILES,
    LOGIN,
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


def vault_search(name: str) -> str:
    return f"GET /v1/vaults?filter=title+eq+%22{name}%22"


def item_search(title: str, vault: str = PRODUCTION) -> str:
    return f"GET /v1/vaults/{vault}/items?filter=title+eq+%22{title}%22"


FILES_BY_NAME = [
    vault_search("Files"),
    vault_search("Files"),
    item_search("bundle", FILES),
    f"GET /v1/vaults/{FILES}/items/{BUNDLE}",
]

LOGIN_STRUCT = [
    {"name": "User", "type": "string", "tag": 'opfield:"username"'},
    {"name": "Key", "type": "string", "tag": 'opsection:"extra" opfield:"api key"'},
    {"name": "Section", "type": "section", "tag": 'opsection:"extra"'},
    {"name": "URL", "type": "url", "tag": 'opurl:"admin"'},
    {"name": "Item", "type": "item", "tag": ""},
]


def check_login(loaded: dict) -> None:
    assert (loaded["User"], loaded["Key"]) == ("ada", "canary-key")
    assert loaded["Section"] == {"id": EXTRA, "label": "extra"}
    assert loaded["URL"] == {"label": "admin", "href": "https://admin.example"}
    assert loaded["Item"]["id"] == LOGIN


@pytest.fixture
def name():
    """This client alone."""
    return "go"


async def test_vaults_by_title(client, log):
    """`GetVaultsByTitle` has all vaults of a title, two or none."""
    for title, ids in (("Twins", set(TWIN_VAULTS)), ("Nowhere", set())):
        assert {vault["id"] for vault in await client.call("GetVaultsByTitle", title)} == ids
        assert await log.lines() == [vault_search(title)]


async def test_a_vault_by_either(client, log):
    """`GetVault` takes an id or a title; a title that looks like an id is an id to it, without a second try."""
    for either, asked in ((PRODUCTION, f"GET {V}"), ("Production", vault_search("Production"))):
        assert (await client.call("GetVault", either))["id"] == PRODUCTION
        assert await log.lines() == [asked]
    with pytest.raises(Refused) as refused:
        await client.call("GetVault", VAULT_LIKE_AN_ID)
    assert refused.value.status == 404
    with pytest.raises(Refused, match="Please provide either the vault name or its ID"):
        await client.call("GetVault", "")


async def test_items_of_a_vault_by_its_title(client, log):
    """Every method that takes a vault takes its title, and searches for it first."""
    for method, args, requests in (
        ("GetItems", (), [f"GET {V}/items"]),
        ("GetItemByUUID", (LOGIN,), [f"GET {V}/items/{LOGIN}"]),
        ("GetItem", (LOGIN,), [f"GET {V}/items/{LOGIN}"]),
        ("GetItem", ("login",), [item_search("login"), f"GET {V}/items/{LOGIN}"]),
        ("GetItemByTitle", ("login",), [item_search("login"), f"GET {V}/items/{LOGIN}"]),
        ("GetItemsByTitle", ("twin",), [item_search("twin"), *(f"GET {V}/items/{twin}" for twin in TWINS)]),
    ):
        answer = await client.call(method, *args, "Production")
        assert {LOGIN, *TWINS} & ({item["id"] for item in answer} if isinstance(answer, list) else {answer["id"]})
        assert await log.lines() == [vault_search("Production"), *requests]


async def test_a_vault_title_that_two_have(client, log):
    """A vault's title that is not unique ends every flow at the search."""
    with pytest.raises(Refused, match='Found 2 vaults with title "Twins"'):
        await client.call("GetItem", "login", "Twins")
    assert await log.lines() == [vault_search("Twins")]


async def test_an_item_made_in_a_vault_by_its_title(client, log):
    """`CreateItem` searches for the vault; the item itself must name the vault's id."""
    form = {"title": "x", "category": "LOGIN", "vault": {"id": PRODUCTION}}
    assert (await client.call("CreateItem", form, "Production"))["version"] == 1
    assert await log.lines() == [vault_search("Production"), f"POST {V}/items"]
    with pytest.raises(Refused) as refused:
        await client.call("CreateItem", {**form, "vault": {"id": FILES}}, "Production")
    assert refused.value.status == 400


async def test_an_update_goes_to_the_vault_of_the_item(client, log):
    """`UpdateItem` ignores the vault it is given."""
    item = await client.item(PRODUCTION, LOGIN)
    await log.lines()
    await client.call("UpdateItem", {**item, "title": "renamed"}, "somewhere else")
    assert await log.lines() == [f"PUT {V}/items/{LOGIN}"]
    assert (await client.item(PRODUCTION, LOGIN))["title"] == "renamed"


@pytest.mark.parametrize(
    ("method", "which", "search"),
    [
        ("DeleteItem", {"id": DATABASE, "vault": {"id": PRODUCTION}}, []),
        ("DeleteItemByID", DATABASE, [vault_search("Production")]),
        (
            "DeleteItemByTitle",
            "database",
            [vault_search("Production"), item_search("database"), f"GET {V}/items/{DATABASE}"],
        ),
    ],
)
async def test_deletion(client, log, method, which, search):
    """Every way to delete ends in one DELETE, whose 204 is what the client wants."""
    await client.call(method, which, "Production")
    assert await log.lines() == [*search, f"DELETE {V}/items/{DATABASE}"]
    assert DATABASE not in {item["id"] for item in await client.items(PRODUCTION)}


async def test_files_by_titles(client, log):
    """Files are found by titles; the client searches for the vault twice."""
    assert {found["id"] for found in await client.call("GetFiles", "bundle", "Files")} == {
        file(k) for k in FILE_CONTENTS
    }
    assert await log.lines() == [*FILES_BY_NAME, f"GET {F}"]
    assert (await client.call("GetFile", file("text"), "bundle", "Files"))["name"] == "tls.crt"
    assert await log.lines() == [*FILES_BY_NAME, f"GET {F}/{file('text')}"]
    with pytest.raises(Refused, match="malformed file uuid provided"):
        await client.call("GetFile", "tls.crt", "bundle", "Files")


async def test_content_that_the_client_has(client, log):
    """`GetFileContent` asks for no content that came with the metadata."""
    known = await client.file(FILES, BUNDLE, file("text"))
    await log.lines()
    known["content"] = b64encode(b"inline").decode()
    assert await client.call("GetFileContent", known) == digest(b"inline")
    assert await log.lines() == []


@pytest.mark.parametrize("kind", ["text", "binary", "empty", "unicode"])
async def test_downloads(client, tmp_path, kind):
    """`DownloadFile` writes the bytes under the file's name, and overwrites only if it may."""
    known = await client.file(FILES, BUNDLE, file(kind))
    name, content = FILE_CONTENTS[kind]
    (tmp_path / name).write_bytes(b"there before")
    with pytest.raises(Refused, match="a file already exists"):
        await client.call("DownloadFile", known, str(tmp_path), False)
    assert await client.call("DownloadFile", known, str(tmp_path), True) == str(tmp_path / name)
    assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize(
    ("version", "served"), [("1.8.2", True), ("1.3.0", True), ("1.2.9", False), ("not a version", True)]
)
async def test_files_need_a_version(client, emulator, version, served):
    """The client reads the server's version from every answer about files, content included, and refuses old ones."""
    known = await client.file(FILES, BUNDLE, file("text"))
    emulator.live.turn({"version": version})
    for call in (client.files(FILES, BUNDLE), client.call("GetFileContent", known)):
        if served:
            assert await call
        else:
            with pytest.raises(Refused, match=r"need at least version 1\.3\.0 of Connect .* detected version 1\.2\.9"):
                await call


async def test_a_content_path_without_slash(client, emulator):
    """The client puts the path right behind the host: one without a slash, as documented, leads nowhere."""
    emulator.live.turn({"content_path": "no_slash"})
    known = await client.file(FILES, BUNDLE, file("text"))
    with pytest.raises(Refused) as refused:
        await client.call("GetFileContent", known)
    assert refused.value.status == 0


@pytest.mark.parametrize(
    ("method", "which", "requests"),
    [
        ("LoadStructFromItem", LOGIN, [f"GET {V}/items/{LOGIN}"]),
        ("LoadStructFromItem", "login", [item_search("login"), f"GET {V}/items/{LOGIN}"]),
        ("LoadStructFromItemByUUID", LOGIN, [f"GET {V}/items/{LOGIN}"]),
        ("LoadStructFromItemByTitle", "login", [item_search("login"), f"GET {V}/items/{LOGIN}"]),
    ],
)
async def test_a_struct_from_an_item(client, log, method, which, requests):
    """A struct is filled from one item: fields with and without section, a section, a URL, the item itself."""
    check_login(await client.call(method, LOGIN_STRUCT, which, "Production"))
    assert await log.lines() == [vault_search("Production"), *requests]


async def test_a_struct_from_several_items(make, name, log):
    """Tags name items and vaults; `OP_VAULT` is the vault of those that name none."""
    client = await make(name, OP_VAULT=PRODUCTION)
    loaded = await client.call(
        "LoadStruct",
        [
            {"name": "User", "type": "string", "tag": 'opitem:"login" opfield:"username"'},
            {"name": "Port", "type": "int", "tag": f'opvault:"{PRODUCTION}" opitem:"database" opfield:"port"'},
            {"name": "Other", "type": "string", "tag": ""},
        ],
    )
    assert loaded == {"User": "ada", "Port": 5432, "Other": ""}
    assert sorted(await log.lines()) == sorted(
        [
            item_search("login"),
            f"GET {V}/items/{LOGIN}",
            item_search("database"),
            f"GET {V}/items/{DATABASE}",
        ]
    )


async def test_a_client_from_the_environment(emulator, golang_driver):
    """Host and token come from the environment, and both must be there."""
    host, token = {"OP_CONNECT_HOST": emulator.url}, {"OP_CONNECT_TOKEN": emulator.token("reader")}
    client = GoClient(golang_driver, "", "", **host, **token)
    assert [vault["name"] for vault in await client.vaults()] == ["Production"]
    for environment, words in ((token, "no hostname available"), (host, "no token available")):
        with pytest.raises(Refused, match=words):
            await GoClient(golang_driver, "", "", **environment).vaults()


@pytest.mark.parametrize("agent", ["external-secrets", "terraform-provider-onepassword/3.3.1"])
async def test_others_under_their_own_name(make, name, log, agent):
    """Programs around this client have their own User-Agent, and the log shows it."""
    client = await make(name, user_agent=agent)
    await client.vaults()
    assert [seen.user_agent for seen in await log.records()] == [agent]


async def test_what_external_secrets_does(make, name, log):
    """The flow of External Secrets: vaults by name, the item by its title, the item again, its files."""
    client = await make(name, user_agent="external-secrets")
    [vault] = await client.call("GetVaultsByTitle", "Files")
    [found] = await client.call("GetItemsByTitle", "bundle", vault["id"])
    item = await client.call("GetItem", found["id"], vault["id"])
    contents = [await client.call("GetFileContent", known) for known in item["files"]]
    assert contents == [digest(content) for _, content in FILE_CONTENTS.values()]
    assert await log.lines() == [
        vault_search("Files"),
        item_search("bundle", FILES),
        f"GET /v1/vaults/{FILES}/items/{BUNDLE}",
        f"GET /v1/vaults/{FILES}/items/{BUNDLE}",
        *(f"GET {F}/{file(kind)}/content" for kind in FILE_CONTENTS),
    ]


async def test_what_terraform_does(client, emulator):
    """The flow of Terraform: versions go 1, then one more than an update answered; a deleted item ends as a 404."""
    form = {"title": "x", "category": "LOGIN", "fields": [{"id": "username", "purpose": "USERNAME", "value": "ada"}]}
    made = await client.create(PRODUCTION, form)
    read = await client.item(PRODUCTION, made["id"])
    assert read["version"] == 1
    answered = await client.call("UpdateItem", {**read, "title": "y"}, PRODUCTION)
    assert (await client.item(PRODUCTION, made["id"]))["version"] == answered["version"] + 1
    assert values(await client.item(PRODUCTION, made["id"])) == {"username": "ada"}
    await client.call("DeleteItem", read, PRODUCTION)
    with pytest.raises(Refused) as refused:
        await client.item(PRODUCTION, made["id"])
    assert refused.value.status == 404
