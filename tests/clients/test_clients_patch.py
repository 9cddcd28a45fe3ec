"""C66 and C67 through the two clients that can PATCH: Python by its general request, JavaScript by its adapter."""

import pytest

from support.clients.scenery import LOGIN, OTP_URI, PRODUCTION
from support.clients.speaking import Refused, field, values

pytestmark = pytest.mark.clients

ITEM = f"v1/vaults/{PRODUCTION}/items/{LOGIN}"
BEFORE = {
    "username": "ada",
    "password": "canary-login",
    "api key": "canary-key",
    "one-time password": OTP_URI,
}


@pytest.fixture(params=["python", "python-async", "javascript"])
def name(request):
    """Each client that can PATCH."""
    return request.param


@pytest.fixture
def patch(client, name):
    """PATCH the login with operations; returns the answer (`Refused` on an error of the server)."""

    async def with_python(operations):
        response = await client.raw("build_request", "PATCH", f"/{ITEM}", operations)
        if not response.is_success:
            raise Refused(response.status_code, response.json()["message"])
        return response.json()

    async def with_javascript(operations):
        return await client.patch(ITEM, operations)

    return with_javascript if name == "javascript" else with_python


@pytest.mark.parametrize(
    ("operation", "changed"),
    [
        ({"op": "replace", "path": "/title", "value": "renamed"}, {"title": "renamed"}),
        ({"op": "add", "path": "/favorite", "value": False}, {"favorite": False}),
        ({"op": "replace", "path": "/tags", "value": ["one", "two"]}, {"tags": ["one", "two"]}),
        ({"op": "remove", "path": "/tags/1"}, {"tags": ["app"]}),
        ({"op": "remove", "path": "/tags"}, {"tags": []}),
    ],
)
async def test_attributes(client, patch, operation, changed):
    """An attribute is added, replaced or removed, and nothing else changes."""
    before = await client.item(PRODUCTION, LOGIN)
    await patch([operation])
    after = await client.item(PRODUCTION, LOGIN)
    assert after["version"] == before["version"] + 1
    assert values(after) == BEFORE
    assert {part: after.get(part) or type(value)() for part, value in changed.items()} == changed
    assert after["urls"] == before["urls"]


@pytest.mark.parametrize(
    ("operations", "changed"),
    [
        ([{"op": "replace", "path": "/fields/password/value", "value": "canary-new"}], {"password": "canary-new"}),
        ([{"op": "remove", "path": "/fields/username/value"}], {"username": None}),
        (
            [
                {"op": "remove", "path": "/fields/username/value"},
                {"op": "add", "path": "/fields/username/value", "value": "bob"},
            ],
            {"username": "bob"},
        ),
        ([{"op": "remove", "path": "/fields/TOTP_1"}], {"one-time password": None}),
        ([{"op": "add", "path": "/fields", "value": {"label": "more", "type": "string", "value": "1"}}], {"more": "1"}),
        (
            [{"op": "replace", "path": "/fields/TOTP_1", "value": {"label": "other", "type": "STRING", "value": "2"}}],
            {"one-time password": None, "other": "2"},
        ),
        (
            [{"op": "replace", "path": "/fields/TOTP_1/label", "value": "code"}],
            {"one-time password": None, "code": OTP_URI},
        ),
    ],
)
async def test_fields_go_by_their_ids(client, patch, operations, changed):
    """Fields are added, and replaced or removed by id, whole or one attribute of them."""
    answered = await patch(operations)
    after = await client.item(PRODUCTION, LOGIN)
    assert values(after) == {label: value for label, value in {**BEFORE, **changed}.items() if value is not None}
    assert answered["version"] == 3
    assert after["version"] == 4


async def test_the_whole_item(client, patch):
    """Replacing `/` is the same as PUT."""
    await patch(
        [
            {
                "op": "replace",
                "path": "/",
                "value": {
                    "title": "all new",
                    "category": "LOGIN",
                    "vault": {"id": PRODUCTION},
                    "fields": [{"purpose": "PASSWORD", "value": "canary-new"}],
                },
            }
        ]
    )
    after = await client.item(PRODUCTION, LOGIN)
    assert after["title"] == "all new"
    assert values(after) == {"password": "canary-new"}


async def test_a_generated_password(client, patch):
    """A patch can have the server generate a value."""
    await patch([{"op": "remove", "path": "/fields/password/value"}])
    await patch([{"op": "add", "path": "/fields/password/generate", "value": True}])
    assert len(field(await client.item(PRODUCTION, LOGIN), "password")["value"]) == 32


@pytest.mark.parametrize(
    "operations",
    [
        {"op": "replace", "path": "/title", "value": "renamed"},
        [{"op": "test", "path": "/title", "value": "login"}],
        [{"op": "move", "path": "/title", "from": "/tags"}],
        [{"op": "replace", "path": "title", "value": "renamed"}],
        [{"op": "replace", "path": "/fields/nowhere/value", "value": "x"}],
        [{"op": "replace", "path": "/title", "value": "renamed"}, {"op": "remove", "path": "/fields/nowhere"}],
    ],
    ids=["no array", "test", "move", "no slash", "unknown field", "half good"],
)
async def test_what_is_refused_changes_nothing(client, patch, operations):
    """A patch that is wrong anywhere is a 400, and nothing of it is done."""
    before = await client.item(PRODUCTION, LOGIN)
    with pytest.raises(Refused) as refused:
        await patch(operations)
    assert refused.value.status == 400
    assert await client.item(PRODUCTION, LOGIN) == before


@pytest.mark.parametrize("name", ["javascript"])
async def test_no_operations_are_no_change(client, patch):
    """An empty array is answered with the item as it is, without a new version."""
    answered = await patch([])
    assert answered["version"] == 3
    assert (await client.item(PRODUCTION, LOGIN))["version"] == 3


@pytest.mark.parametrize(("token", "status"), [("reader", 403), ("writer", 403)])
@pytest.mark.parametrize("name", ["javascript"])
async def test_a_patch_needs_to_read_and_to_write(make, name, token, status):
    """A token that only reads or only writes cannot patch."""
    client = await make(name, token=token)
    with pytest.raises(Refused) as refused:
        await client.patch(ITEM, [{"op": "replace", "path": "/title", "value": "renamed"}])
    assert refused.value.status == status
