"""C84: what each of 1Password's own clients asks for, as the emulator's request log shows it: method, path and query."""

from contextlib import suppress

import pytest

from support.clients.scenery import BUNDLE, DATABASE, FILES, LIKE_AN_ID, LOGIN, NOWHERE, PRODUCTION, TWINS, file
from support.clients.speaking import Refused

pytestmark = pytest.mark.clients

V = f"/v1/vaults/{PRODUCTION}"
F = f"/v1/vaults/{FILES}/items/{BUNDLE}/files"
NEW = {"title": "x", "category": "LOGIN", "fields": []}

# Each operation and, for each client, the requests it consists of. The two Python clients are the same.
TABLE = {
    "list vaults": (
        lambda client: client.vaults(),
        {"python": ["GET /v1/vaults"], "javascript": ["GET /v1/vaults/"], "go": ["GET /v1/vaults"]},
    ),
    "vault by id": (lambda client: client.vault(PRODUCTION), f"GET {V}"),
    "vault by name": (
        lambda client: client.vault_by_name("with spaces in it"),
        {
            "python": ["GET /v1/vaults?filter=name%20eq%20%22with%20spaces%20in%20it%22"],
            "javascript": ["GET /v1/vaults/?filter=title%20eq%20%22with%20spaces%20in%20it%22"],
            "go": ["GET /v1/vaults?filter=title+eq+%22with+spaces+in+it%22"],
        },
    ),
    "vault by an odd name": (
        lambda client: client.vault_by_name("a+b/c&d 東"),
        {
            "python": ["GET /v1/vaults?filter=name%20eq%20%22a+b/c&d%20%E6%9D%B1%22"],
            "javascript": ["GET /v1/vaults/?filter=title%20eq%20%22a+b/c&d%20%E6%9D%B1%22"],
            "go": ["GET /v1/vaults?filter=title+eq+%22a%2Bb%2Fc%26d+%E6%9D%B1%22"],
        },
    ),
    "vault by a name with a hash": (
        lambda client: client.vault_by_name("a#b"),
        {
            "python": ["GET /v1/vaults?filter=name%20eq%20%22a"],
            "javascript": ["GET /v1/vaults/?filter=title%20eq%20%22a"],
            "go": ["GET /v1/vaults?filter=title+eq+%22a%23b%22"],
        },
    ),
    "list items": (lambda client: client.items(PRODUCTION), f"GET {V}/items"),
    "item by id": (lambda client: client.item(PRODUCTION, LOGIN), f"GET {V}/items/{LOGIN}"),
    "item by title": (
        lambda client: client.item_by_title(PRODUCTION, "database"),
        {
            "python": [f"GET {V}/items?filter=title%20eq%20%22database%22", f"GET {V}/items/{DATABASE}"],
            "javascript": [f"GET {V}/items/?filter=title%20eq%20%22database%22", f"GET {V}/items/{DATABASE}"],
            "go": [f"GET {V}/items?filter=title+eq+%22database%22", f"GET {V}/items/{DATABASE}"],
        },
    ),
    "item by a title that two have": (
        lambda client: client.item_by_title(PRODUCTION, "twin"),
        {
            "python": [f"GET {V}/items?filter=title%20eq%20%22twin%22"],
            "javascript": [f"GET {V}/items/?filter=title%20eq%20%22twin%22"],
            # One GET per match, even though two of them are no answer.
            "go": [f"GET {V}/items?filter=title+eq+%22twin%22", *(f"GET {V}/items/{twin}" for twin in TWINS)],
        },
    ),
    "item by either, an id": (
        lambda client: client.item_by_either(PRODUCTION, LOGIN),
        f"GET {V}/items/{LOGIN}",
    ),
    "item by either, an id that is not there": (
        lambda client: client.item_by_either(PRODUCTION, NOWHERE),
        {
            "python": [f"GET {V}/items/{NOWHERE}", f"GET {V}/items?filter=title%20eq%20%22{NOWHERE}%22"],
            "javascript": [f"GET {V}/items/{NOWHERE}"],
            "go": [f"GET {V}/items/{NOWHERE}", f"GET {V}/items?filter=title+eq+%22{NOWHERE}%22"],
        },
    ),
    "list files": (
        lambda client: client.files(FILES, BUNDLE),
        {"python": [f"GET {F}"], "javascript": [f"GET {F}/"], "go": [f"GET {F}"]},
    ),
    "file by id": (lambda client: client.file(FILES, BUNDLE, file("text")), f"GET {F}/{file('text')}"),
    "content": (
        lambda client: client.content(FILES, BUNDLE, file("text")),
        {
            "python": [f"GET {F}/{file('text')}/content"],
            "javascript": [f"GET {F}/{file('text')}/content"],
            # It goes where the metadata says, so it reads that first.
            "go": [f"GET {F}/{file('text')}", f"GET {F}/{file('text')}/content"],
        },
    ),
    "create": (
        lambda client: client.create(PRODUCTION, NEW),
        {"python": [f"POST {V}/items"], "javascript": [f"POST {V}/items/"], "go": [f"POST {V}/items"]},
    ),
    "replace": (
        lambda client: client.edit(PRODUCTION, LOGIN, title="renamed"),
        [f"GET {V}/items/{LOGIN}", f"PUT {V}/items/{LOGIN}"],
    ),
    "delete": (lambda client: client.delete(PRODUCTION, LOGIN), f"DELETE {V}/items/{LOGIN}"),
}


def expected(operation: str, name: str) -> list[str]:
    """The requests of an operation by one client."""
    requests = TABLE[operation][1]
    if isinstance(requests, dict):
        return requests[name.removesuffix("-async")]
    return [requests] if isinstance(requests, str) else list(requests)


@pytest.mark.parametrize("operation", TABLE)
async def test_the_request_log_equals_the_table(client, name, log, operation):
    """Each operation is exactly the recorded requests, in their order."""
    with suppress(Refused):  # what is asked counts here, not what comes of it
        await TABLE[operation][0](client)
    assert await log.lines() == expected(operation, name)


@pytest.mark.parametrize("name", ["python", "python-async", "go"])
@pytest.mark.parametrize(("token", "status"), [("all", 404), ("writer", 403)])
async def test_what_makes_a_client_turn_to_the_title(make, log, name, token, status):
    """The Go client asks for the title whatever is wrong with the id, the Python client only after a 404."""
    client = await make(name, token=token)
    with pytest.raises(Refused):
        await client.item_by_either(PRODUCTION, NOWHERE)
    turned = name == "go" or status == 404
    assert [record.status for record in await log.records()] == [status, 200 if status == 404 else 403][: 1 + turned]


@pytest.mark.parametrize(
    ("name", "agent"),
    [
        ("python", "python-httpx/0.28.1"),
        ("python-async", "python-httpx/0.28.1"),
        ("javascript", "connect-sdk-js/1.4.2"),
        ("go", "connect-sdk-go/1.5.3"),
    ],
)
async def test_the_log_knows_agent_token_and_status(make, name, agent, log):
    """The log shows each client's User-Agent, the name of its token, and what it was answered."""
    client = await make(name, token="reader")
    await client.vault(PRODUCTION)
    with pytest.raises(Refused):
        await client.item(PRODUCTION, LIKE_AN_ID)
    seen = await log.records()
    assert [(record.user_agent, record.token, record.status) for record in seen] == [
        (agent, "reader", 200),
        (agent, "reader", 404),
    ]
