"""C81 and C82: what only 1Password's Python clients have: filters, names everywhere, downloads, configuration."""

import asyncio

import onepasswordconnectsdk
import pytest
from onepasswordconnectsdk.config import ConfigurationError
from onepasswordconnectsdk.errors import EnvironmentHostNotSetException, EnvironmentTokenNotSetException
from onepasswordconnectsdk.models import Field, GeneratorRecipe, Item, ItemVault

from support.clients.python import PythonClient
from support.clients.scenery import (
    BUNDLE,
    DATABASE,
    FILE_CONTENTS,
    FILES,
    LOGIN,
    NOTE,
    PRODUCTION,
    TITLED_LIKE_AN_ID,
    TWINS,
    digest,
    file,
)
from support.clients.speaking import Refused, values

pytestmark = pytest.mark.clients

V = f"/v1/vaults/{PRODUCTION}"
F = f"/v1/vaults/{FILES}/items/{BUNDLE}/files"
ALL = [LOGIN, DATABASE, NOTE, *TWINS, TITLED_LIKE_AN_ID]


@pytest.fixture(params=["python", "python-async"])
def name(request):
    """The two clients of the package."""
    return request.param


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('title eq "twin"', list(TWINS)),
        ('title eq "TWIN"', list(TWINS)),
        ('title eq "nowhere"', []),
        ('tag eq "app"', [LOGIN]),
        ("tag eq app", [LOGIN]),
        ('tag eq "🔑"', [LOGIN]),
        ('tag eq "nowhere"', []),
        ('title co "a"', [DATABASE, TITLED_LIKE_AN_ID]),
    ],
)
async def test_items_by_a_filter(client, query, found):
    """`get_items` takes any filter: titles, tags quoted or bare, and parts of titles."""
    items = await client.call("get_items", PRODUCTION, query)
    assert {item["id"] for item in items} == set(found)
    assert not any(item.get("fields") for item in items)


@pytest.mark.parametrize("query", ["'", 'title eq "x', 'nothing eq "x"', 'title ne "x"'])
async def test_a_filter_that_means_nothing(client, query):
    """A filter that cannot be read is a 400 in Connect's form."""
    with pytest.raises(Refused) as refused:
        await client.call("get_items", PRODUCTION, query)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("item", "requests"),
    [
        (LOGIN, [f"GET {V}/items/{LOGIN}"]),
        ("login", [f"GET {V}/items?filter=title%20eq%20%22login%22", f"GET {V}/items/{LOGIN}"]),
    ],
)
async def test_an_item_of_a_vault_by_its_name(client, log, item, requests):
    """`get_item` takes a vault's name too, and searches for it first."""
    assert (await client.call("get_item", item, "Production"))["id"] == LOGIN
    assert await log.lines() == ["GET /v1/vaults?filter=name%20eq%20%22Production%22", *requests]


@pytest.mark.parametrize("kind", ["text", "binary", "empty", "unicode"])
async def test_downloads(client, log, tmp_path, kind):
    """`download_file` reads the metadata, follows its path, and writes the bytes under the file's name."""
    await client.call("download_file", file(kind), BUNDLE, FILES, str(tmp_path))
    name, content = FILE_CONTENTS[kind]
    assert {found.name: found.read_bytes() for found in tmp_path.iterdir()} == {name: content}
    assert await log.lines() == [f"GET {F}/{file(kind)}", f"GET {F}/{file(kind)}/content"]


async def test_content_by_its_path(client):
    """`get_file_content` goes where a path leads, with or without a slash before it."""
    for path in (f"{F}/{file('binary')}/content", f"{F[1:]}/{file('binary')}/content"):
        content = await client.call("get_file_content", file("binary"), BUNDLE, FILES, path)
        assert content == digest(FILE_CONTENTS["binary"][1])


async def test_an_item_of_models(client):
    """An item built from the package's own models is created, with a password after a recipe."""
    recipe = GeneratorRecipe(length=16, character_sets=["LETTERS"])
    fields = [Field(purpose="PASSWORD", generate=True, recipe=recipe), Field(label="port", value="5432")]
    item = Item(vault=ItemVault(id=PRODUCTION), title="models", category="LOGIN", fields=fields)
    made = await client.call("create_item", PRODUCTION, item)
    read = values(await client.item(PRODUCTION, made["id"]))
    assert read.pop("password").isalpha()
    assert read == {"port": "5432"}


async def test_requests_of_ones_own(client):
    """`build_request` reaches what no method reaches, and the package's serializer reads what it brings."""
    assert (await client.raw("build_request", "GET", "/heartbeat")).text == "."
    health = await client.raw("build_request", "GET", "/health")
    assert health.headers["1Password-Connect-Version"] == "1.8.2"
    assert client.sdk.deserialize(health.content, "object")["name"] == "1Password Connect API"
    vaults = await client.raw("build_request", "GET", "/v1/vaults")
    read = client.sdk.deserialize(vaults.content, "list[Vault]")
    assert client.sdk.sanitize_for_serialization(read[0])["name"] == "Production"


async def test_its_requests_are_in_the_activity(client, name):
    """The server's own record shows what the client did, newest first."""
    await client.item(PRODUCTION, LOGIN)
    await client.delete(PRODUCTION, LOGIN)
    activity = await client.raw("build_request", "GET", "/v1/activity?limit=2")
    assert activity.headers["Content-Range"] == "1-2/2"
    assert [(entry["action"], entry["result"], entry["resource"]["item"]["id"]) for entry in activity.json()] == [
        ("DELETE", "SUCCESS", LOGIN),
        ("READ", "SUCCESS", LOGIN),
    ]
    assert {entry["actor"]["userAgent"] for entry in activity.json()} == {"python-httpx/0.28.1"}


async def test_a_new_session_for_another_token(client, emulator):
    """`create_session` and `build_headers` put another token to work."""
    token = emulator.token("reader")
    assert client.sdk.build_headers(token)["Authorization"] == f"Bearer {token}"
    await client.close()
    client.sdk.session = client.sdk.create_session(emulator.url, token)
    assert [vault["name"] for vault in await client.vaults()] == ["Production"]


async def test_a_client_from_the_environment(emulator, monkeypatch, name):
    """Host, token and kind of client come from the environment; host and token must be there."""
    with pytest.raises(EnvironmentHostNotSetException):
        onepasswordconnectsdk.new_client_from_environment()
    monkeypatch.setenv("OP_CONNECT_HOST", emulator.url)
    with pytest.raises(EnvironmentTokenNotSetException):
        onepasswordconnectsdk.new_client_from_environment()
    monkeypatch.setenv("OP_CONNECT_TOKEN", emulator.token("reader"))
    monkeypatch.setenv("OP_CONNECT_CLIENT_ASYNC", str(name == "python-async"))
    client = PythonClient(onepasswordconnectsdk.new_client_from_environment())
    assert client.asynchronous == (name == "python-async")
    assert [vault["name"] for vault in await client.vaults()] == ["Production"]
    await client.close()


CONFIGURATION = {
    "user": {"opitem": "login", "opfield": ".username"},
    "key": {"opitem": "login", "opfield": "extra.api key"},
    "port": {"opitem": "database", "opfield": ".port", "opvault": PRODUCTION},
}


# `load` and `load_dict` know only the synchronous client.
@pytest.mark.parametrize("name", ["python"])
async def test_a_configuration_as_a_dictionary(client, log, monkeypatch):
    """`load_dict` reads each item once, by title, and finds fields by section and label."""
    monkeypatch.setenv("OP_VAULT", PRODUCTION)
    loaded = await asyncio.to_thread(onepasswordconnectsdk.load_dict, client.sdk, CONFIGURATION)
    assert loaded == {"user": "ada", "key": "canary-key", "port": "5432"}
    assert await log.lines() == [
        f"GET {V}/items?filter=title%20eq%20%22login%22",
        f"GET {V}/items/{LOGIN}",
        f"GET {V}/items?filter=title%20eq%20%22database%22",
        f"GET {V}/items/{DATABASE}",
    ]


class Configuration:
    # Tags of the package, not types.
    user: "opitem:login opfield:.username"  # type: ignore[valid-type]  # noqa: F722
    port: f"opitem:database opfield:.port opvault:{PRODUCTION}"  # type: ignore[valid-type]


@pytest.mark.parametrize("name", ["python"])
async def test_a_configuration_as_an_object(client, monkeypatch):
    """`load` fills the attributes of an object after their annotations."""
    monkeypatch.setenv("OP_VAULT", PRODUCTION)
    loaded = await asyncio.to_thread(onepasswordconnectsdk.load, client.sdk, Configuration())
    assert (loaded.user, loaded.port) == ("ada", "5432")


@pytest.mark.parametrize("name", ["python"])
async def test_a_configuration_that_cannot_be(client):
    """Without a vault, or with a field that is not there, loading is the package's own error."""
    for tags in ({"opitem": "login", "opfield": ".username"}, {**CONFIGURATION["port"], "opfield": ".nowhere"}):
        with pytest.raises(ConfigurationError):
            await asyncio.to_thread(onepasswordconnectsdk.load_dict, client.sdk, {"value": tags})
