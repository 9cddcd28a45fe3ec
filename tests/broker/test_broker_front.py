"""The Connect front of a real broker, as 1Password's own clients find it, unmodified, with a pod's token in place of a Connect token."""

import onepasswordconnectsdk
import pytest

from support.broker import VAULT
from support.clients.driven import Driver, GoClient, JavaScriptClient
from support.clients.installing import JAVASCRIPT, go_driver, javascript_modules, node
from support.clients.python import PythonClient
from support.clients.scenery import NOWHERE, OTP_URI, digest
from support.clients.speaking import Refused, field, values

pytestmark = [pytest.mark.cluster, pytest.mark.clients]

NAMES = ("python", "python-async", "javascript", "go")

FILE = b"-----BEGIN CERTIFICATE-----\n"

LOGIN = {
    "title": "login",
    "category": "LOGIN",
    "tags": ["app"],
    "urls": [{"href": "https://app.example", "label": "website", "primary": True}],
    "fields": [
        {"label": "username", "value": "ada"},
        {"label": "password", "value": "canary-login"},
        {"label": "api key", "section": "extra", "type": "CONCEALED", "value": "canary-key"},
        {"label": "hidden", "type": "CONCEALED", "value": "canary-hidden"},
        {"label": "one-time password", "type": "OTP", "value": OTP_URI},
    ],
}
GRANTED = ("username", "password", "extra/api key", "one-time password", "tls.crt")


class Granted:
    """What is there, by ids.

    Attributes:
        vault: of everything.
        login: of which most fields are granted.
        used: of which nothing may be read.
        other: of which nothing is granted.
        file: that is granted.
        hidden_file: that is not.
        token: of a pod.
    """

    vault = login = used = other = file = hidden_file = token = ""


@pytest.fixture(scope="module")
def granted(brokering):
    """Two items and a part of a third, for the pod `runner` of the service account `ci`."""
    there = Granted()
    there.login = brokering.connect.create(VAULT, LOGIN)
    there.used = brokering.put_item("used")
    there.other = brokering.put_item("other")
    for name in ("tls.crt", "hidden.txt"):
        brokering.connect.attach(VAULT, "login", name=name, content=FILE)
    brokering.grant("deploy", "login", fields=GRANTED)
    brokering.grant("use", "used", allow=["use"])
    state = brokering.connect.state()
    vault = next(each for each in state["vaults"] if each["name"] == VAULT)
    there.vault = vault["id"]
    brokering.pod("runner")
    there.token = brokering.token("ci", pod="runner")
    return there


@pytest.fixture(scope="module")
def drivers():
    """The programs around the clients in JavaScript and Go."""
    made = {
        "javascript": Driver([node(), JAVASCRIPT / "driver.cjs"], env={"NODE_PATH": str(javascript_modules())}),
        "go": Driver([go_driver()]),
    }
    yield made
    for driver in made.values():
        driver.close()


@pytest.fixture
async def make(brokering, drivers, name):
    """Makes the client of a name, with a token."""
    made = []

    def client(token):
        origin = (brokering.broker.plain_url, token)
        if name == "javascript":
            return JavaScriptClient(drivers[name], *origin)
        if name == "go":
            return GoClient(drivers[name], *origin)
        python = PythonClient(onepasswordconnectsdk.new_client(*origin, name == "python-async"))
        made.append(python)
        return python

    yield client
    for each in made:
        await each.close()


@pytest.fixture(params=NAMES)
def name(request):
    """Each client in turn."""
    return request.param


@pytest.fixture
def client(make, granted):
    """A client with a pod's token."""
    return make(granted.token)


async def test_vaults_and_items_are_those_that_are_granted(client, granted):
    """Lists show no more, whatever the vault holds; the number of items is that of the list."""
    (vault,) = await client.vaults()
    assert (vault["id"], vault["name"], vault["items"]) == (granted.vault, VAULT, 2)
    assert (await client.vault(granted.vault))["name"] == VAULT
    assert (await client.vault_by_name("production"))["id"] == granted.vault
    assert {each["id"]: each["title"] for each in await client.items(granted.vault)} == {
        granted.login: "login",
        granted.used: "used",
    }


async def test_an_item_holds_what_is_granted(client, granted, name):
    """Each granted field with its value, type, purpose and section; of the others, not even the names."""
    item = await client.item(granted.vault, granted.login)
    assert (item["id"], item["title"], item["category"], item["version"]) == (granted.login, "login", "LOGIN", 3)
    assert values(item) == {
        "username": "ada",
        "password": "canary-login",
        "api key": "canary-key",
        "one-time password": OTP_URI,
    }
    assert [(each["type"], each.get("purpose", "")) for each in item["fields"]] == [
        ("STRING", "USERNAME"),
        ("CONCEALED", "PASSWORD"),
        ("CONCEALED", ""),
        ("OTP", ""),
    ]
    assert item["sections"][0]["label"] == "extra"
    assert field(item, "api key")["section"]["id"] == item["sections"][0]["id"]
    code = field(item, "one-time password")["totp"]
    assert len(code) == 6
    assert code.isdecimal()
    assert item["tags"] == ["app"]
    assert item["urls"][0]["href"] == "https://app.example"
    assert "hidden" not in str(item)


async def test_an_item_by_its_title(client, granted):
    """The search that clients do first finds what is granted, in any case."""
    assert values(await client.item_by_title(granted.vault, "login"))["password"] == "canary-login"
    assert (await client.item_by_either(granted.vault, "login"))["id"] == granted.login
    assert (await client.item_by_either(granted.vault, granted.login))["id"] == granted.login
    with pytest.raises(Refused, match=r"Found 0 item|No Items found with title"):
        await client.item_by_title(granted.vault, "other")


async def test_a_file_that_is_granted(client, granted):
    """It is listed alone, and comes byte by byte."""
    (listed,) = await client.files(granted.vault, granted.login)
    assert (listed["name"], listed["size"]) == ("tls.crt", len(FILE))
    assert await client.file(granted.vault, granted.login, listed["id"]) == listed
    assert await client.content(granted.vault, granted.login, listed["id"]) == digest(FILE)


async def test_what_is_not_granted_is_not_there(client, granted, brokering):
    """An item that is not granted, one that may only be used, and one that does not exist are alike in status and body."""
    answers = set()
    for vault, item in (
        (granted.vault, granted.other),
        (granted.vault, granted.used),
        (granted.vault, NOWHERE),
        (NOWHERE, granted.login),
    ):
        with pytest.raises(Refused) as refused:
            await client.item(vault, item)
        answers.add((refused.value.status, refused.value.message))
    with pytest.raises(Refused) as refused:
        await client.vault(NOWHERE)
    answers.add((refused.value.status, refused.value.message))
    assert answers == {(404, "not found, or not granted")}


async def test_writes_are_refused(client, granted, brokering):
    """With 405, and nothing is written."""
    before = brokering.connect.state()
    form = {"title": "new", "category": "LOGIN", "fields": [{"label": "x", "value": "y"}]}
    for write in (
        lambda: client.create(granted.vault, form),
        lambda: client.edit(granted.vault, granted.login, title="renamed"),
        lambda: client.delete(granted.vault, granted.login),
    ):
        with pytest.raises(Refused) as refused:
            await write()
        assert refused.value.status == 405
    assert brokering.connect.state() == before


@pytest.mark.parametrize("wrong", ["", "api", "stranger"])
async def test_the_tokens_of_others(make, granted, brokering, wrong):
    """A token for the API server, and none at all, are refused; a service account without grants sees nothing."""
    if wrong == "stranger":
        assert await make(brokering.token("stranger")).vaults() == []
        return
    with pytest.raises(Refused) as refused:
        await make(brokering.token("ci", audience="") if wrong else "no-token").vaults()
    assert refused.value.status == 401


async def test_records_name_the_pod(client, granted, brokering):
    """The audit says which pod read which fields, at this door."""
    await client.item(granted.vault, granted.login)
    record = brokering.broker.records()[-1]
    assert (record["door"], record["outcome"], record["actor"]["pod"]) == ("connect", "allowed", "runner")
    assert record["fields"] == ["username", "password", "extra/api key", "one-time password"]
    assert record["grant"]["name"] == "deploy"
    assert record["item"] == {"id": granted.login, "version": 3}
