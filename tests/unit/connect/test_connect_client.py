"""Each of the fifteen endpoints: what is sent, what comes back, which answers are refused."""

import json

import httpx
import pytest
from connect_fakes import (
    FILE,
    ITEM,
    OTHER,
    TOKEN,
    VAULT,
    Bench,
    alive,
    answer,
    fault,
    item_json,
    summary_json,
    vault_json,
)

from keyturn.providers.connect import BadAnswer, BadRequest, FileTooLarge, Patch, TooLargeToInline

IN = f"/v1/vaults/{VAULT}/items"
AT = f"{IN}/{ITEM}"


def octets(body, **headers):
    return httpx.Response(200, content=body, headers={"content-type": "application/octet-stream", **headers})


@pytest.mark.parametrize(
    ("call", "reply", "sent"),
    [
        (lambda c: c.vaults(), answer([vault_json()]), "GET /v1/vaults"),
        (lambda c: c.vaults(name="A & B"), answer([]), "GET /v1/vaults?filter=name%20eq%20%22A%20%26%20B%22"),
        (lambda c: c.vault(VAULT), answer(vault_json()), f"GET /v1/vaults/{VAULT}"),
        (lambda c: c.items(VAULT), answer([summary_json()]), f"GET {IN}"),
        (lambda c: c.items(VAULT, title="x+y"), answer([]), f"GET {IN}?filter=title%20eq%20%22x%2By%22"),
        (lambda c: c.items(VAULT, tag="prod"), answer([]), f"GET {IN}?filter=tag%20eq%20%22prod%22"),
        (lambda c: c.create_item(VAULT, {}), answer(item_json()), f"POST {IN}"),
        (lambda c: c.item(VAULT, ITEM), answer(item_json()), f"GET {AT}"),
        (lambda c: c.replace_item(VAULT, ITEM, {}), answer(item_json()), f"PUT {AT}"),
        (lambda c: c.patch_item(VAULT, ITEM, []), answer(item_json()), f"PATCH {AT}"),
        (lambda c: c.delete_item(VAULT, ITEM), httpx.Response(204), f"DELETE {AT}"),
        (lambda c: c.files(VAULT, ITEM), answer([]), f"GET {AT}/files"),
        (
            lambda c: c.files(VAULT, ITEM, inline=True),
            answer([]),
            f"GET {AT}/files?inline_files=true&inline_content=true",
        ),
        (lambda c: c.file(VAULT, ITEM, FILE), answer({"id": FILE}), f"GET {AT}/files/{FILE}"),
        (lambda c: c.file_content(VAULT, ITEM, FILE, limit=9), octets(b"x"), f"GET {AT}/files/{FILE}/content"),
        (lambda c: c.activity(limit=5, offset=10), answer([]), "GET /v1/activity?limit=5&offset=10"),
        (lambda c: c.heartbeat(), alive(), "GET /heartbeat"),
        (lambda c: c.health(), answer({"name": "x"}), "GET /health"),
        (lambda c: c.metrics(), httpx.Response(200, text="up 1\n"), "GET /metrics"),
    ],
)
async def test_each_endpoint_is_asked_in_its_own_way(call, reply, sent):
    """One request, with the documented method, path and query."""
    bench = Bench(reply)

    await call(bench.client)

    assert [f"{r.method} {r.url.raw_path.decode()}" for r in bench.script.requests] == [sent]


async def test_a_read_introduces_itself():
    """Token, agent, accepted type and encoding; no cookies, no tracing."""
    bench = Bench(answer([]))
    await bench.client.vaults()
    headers = bench.script.requests[0].headers

    assert set(headers) == {"host", "accept", "accept-encoding", "user-agent", "authorization"}
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["accept"] == "application/json"
    assert headers["accept-encoding"] == "gzip"
    assert headers["user-agent"].startswith("keyturn/")


async def test_file_content_is_asked_for_unencoded():
    """Compression would hide the true size of a file until it is unfolded."""
    bench = Bench(octets(b"x"))
    await bench.client.file_content(VAULT, ITEM, FILE, limit=9)

    assert bench.script.requests[0].headers["accept-encoding"] == "identity"


async def test_the_base_path_stays_in_front():
    """Connect behind a prefix of an ingress."""
    bench = Bench(answer([]), host="https://example.test/connect/")
    await bench.client.vaults()

    assert str(bench.script.requests[0].url) == "https://example.test/connect/v1/vaults"


async def test_bodies_name_their_vault_and_item():
    """Connect refuses a body whose vault is not that of the path; the caller need not repeat it."""
    bench = Bench(answer(item_json()))
    await bench.client.create_item(VAULT, {"title": "T"})
    await bench.client.replace_item(VAULT, ITEM, {"title": "T"})
    sent = [json.loads(request.content) for request in bench.script.requests]

    assert sent == [{"vault": {"id": VAULT}, "title": "T"}, {"vault": {"id": VAULT}, "id": ITEM, "title": "T"}]
    assert bench.script.requests[0].headers["content-type"] == "application/json"


async def test_a_patch_is_a_list_of_steps():
    """A bare object is refused by the server; a removal has no value."""
    bench = Bench(answer(item_json()))
    steps = [Patch("replace", "/fields/password/value", "canary"), Patch("remove", "/tags/1")]
    await bench.client.patch_item(VAULT, ITEM, steps)

    assert json.loads(bench.script.requests[0].content) == [
        {"op": "replace", "path": "/fields/password/value", "value": "canary"},
        {"op": "remove", "path": "/tags/1"},
    ]
    assert "canary" not in repr(steps)


async def test_a_title_that_no_filter_can_hold_is_looked_for_in_the_list():
    """Quotes have no published escape: list, and compare as generously as the server might."""
    items = [summary_json(title='My "Key"'), summary_json(id=OTHER, title="My Key")]
    bench = Bench(answer(items))

    found = await bench.client.items(VAULT, title='my "key"')

    assert [item.id for item in found] == [ITEM]
    assert bench.script.targets == [IN]


async def test_a_tag_and_a_vault_with_quotes_are_looked_for_in_lists_too():
    """The same holds for whatever stands in a filter."""
    items = Bench(answer([summary_json(tags=["a", 'b"c']), summary_json(id=OTHER)]))
    vaults = Bench(answer([vault_json(name="back\\slash"), vault_json(id=OTHER)]))

    assert [item.id for item in await items.client.items(VAULT, tag='B"C')] == [ITEM]
    assert [vault.id for vault in await vaults.client.vaults(name="Back\\Slash")] == [VAULT]


async def test_title_and_tag_together_are_a_mistake_of_the_caller():
    """Connect documents no `and`."""
    with pytest.raises(ValueError, match="title or by a tag"):
        await Bench(answer([])).client.items(VAULT, title="a", tag="b")


@pytest.mark.parametrize(
    "body",
    [
        item_json(id=OTHER),
        item_json(vault={"id": OTHER}),
        summary_json(),
        {"id": ITEM},
        {"title": "no id", "fields": []},
        [item_json()],
        [],
        {},
        None,
        "text",
        {"status": 200, "message": "fine"},
        item_json(fields="canary"),
        item_json(fields=[{"value": ["canary"]}]),
    ],
)
async def test_what_is_not_the_item_is_never_taken_for_an_empty_one(body):
    """Another id, another vault, a summary, another shape: refused after the retries, never mapped to nothing."""
    bench = Bench(answer(body))

    with pytest.raises(BadAnswer) as caught:
        await bench.client.item(VAULT, ITEM)

    assert bench.asked == 3
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        item_json(fields=[]),
        item_json(vault=None),
        {"id": ITEM, "files": [{"id": FILE, "name": "a.txt", "size": 3}]},
    ],
    ids=["no fields", "no vault", "document"],
)
async def test_lean_items_are_items(body):
    """Connect omits what is empty: a document has files and no fields."""
    assert (await Bench(answer(body)).client.item(VAULT, ITEM)).id == ITEM


async def test_a_list_with_anything_else_in_it_is_no_list():
    """All items or none: half a list would look like deletions."""
    for bad in ({"title": "no id"}, "text", None, summary_json(vault={"id": OTHER})):
        with pytest.raises(BadAnswer):
            await Bench(answer([summary_json(), bad])).client.items(VAULT)


async def test_another_vault_or_file_than_asked_for_is_refused():
    """Mixed-up answers have happened to clients that shared state."""
    with pytest.raises(BadAnswer):
        await Bench(answer(vault_json(id=OTHER))).client.vault(VAULT)
    with pytest.raises(BadAnswer):
        await Bench(answer({"id": OTHER})).client.file(VAULT, ITEM, FILE)


@pytest.mark.parametrize("body", [b"", b"\x00\xff binary", b"x" * 9])
async def test_a_file_comes_as_it_is(body):
    """Empty and binary files up to the limit itself."""
    found = await Bench(octets(body)).client.file_content(VAULT, ITEM, FILE, limit=9, size=len(body))

    assert found == body


async def test_a_file_beyond_the_limit_is_not_even_asked_for():
    """The item's own description says the size."""
    bench = Bench(octets(b"x"))

    with pytest.raises(FileTooLarge, match="10 bytes, more than 9"):
        await bench.client.file_content(VAULT, ITEM, FILE, limit=9, size=10)

    assert bench.asked == 0


async def test_a_file_that_turns_out_beyond_the_limit_is_dropped():
    """Without a size, and with a wrong one, the bytes are counted."""
    for size in (None, 3):
        bench = Bench(octets(b"x" * 10))
        with pytest.raises(FileTooLarge):
            await bench.client.file_content(VAULT, ITEM, FILE, limit=9, size=size)
        assert bench.asked == 1


async def test_a_file_of_another_size_is_asked_for_again():
    """A cut file without a length looks whole; the item knows better."""
    assert await Bench(octets(b"ab"), octets(b"abc")).client.file_content(VAULT, ITEM, FILE, limit=9, size=3) == b"abc"

    with pytest.raises(BadAnswer, match="the item says 3 bytes"):
        await Bench(octets(b"ab")).client.file_content(VAULT, ITEM, FILE, limit=9, size=3)


async def test_a_web_page_is_no_file():
    """Unless the item says that it has exactly that many bytes."""
    html = httpx.Response(200, content=b"<html>", headers={"content-type": "text/html; charset=utf-8"})

    with pytest.raises(BadAnswer):
        await Bench(html).client.file_content(VAULT, ITEM, FILE, limit=9)
    assert await Bench(html).client.file_content(VAULT, ITEM, FILE, limit=9, size=6) == b"<html>"


async def test_inlined_content_is_there_and_masked():
    """Base64 text, as the server gave it."""
    file = await Bench(answer({"id": FILE, "content": "Y2FuYXJ5"})).client.file(VAULT, ITEM, FILE, inline=True)

    assert file.content.get_secret_value() == "Y2FuYXJ5"
    assert "Y2FuYXJ5" not in repr(file)


async def test_too_large_to_inline_has_an_error_of_its_own():
    """The caller then asks for the content."""
    with pytest.raises(TooLargeToInline):
        await Bench(fault(413, "File is too large to inline in request.")).client.files(VAULT, ITEM, inline=True)


@pytest.mark.parametrize(
    ("range_", "total"), [("1-50/1134", 1134), ("0-0/0", 0), ("", None), ("items 1-5/*", None), ("1-2/x3", None)]
)
async def test_activity_knows_its_total(range_, total):
    """Connect's Content-Range has no unit; without a number the total is unknown."""
    page = await Bench(answer([{"requestId": "r"}], **{"content-range": range_})).client.activity()

    assert (page.total, page.requests[0].request_id) == (total, "r")


@pytest.mark.parametrize("body", [b".", b"", b"OK\n"])
async def test_a_short_text_is_a_heartbeat(body):
    """Connect says one dot; no future wording of it is an outage."""
    await Bench(httpx.Response(200, content=body)).client.heartbeat()


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(200, text="<!doctype html><p>login"),
        httpx.Response(200, text="welcome", headers={"content-type": "text/HTML"}),
        httpx.Response(204),
        httpx.Response(200, content=b"." * 5000),
    ],
)
async def test_a_web_page_is_no_heartbeat(reply):
    """A proxy in front of a dead server says 200 as well. One request, no retry."""
    bench = Bench(reply)

    with pytest.raises(BadAnswer):
        await bench.client.heartbeat()
    assert bench.asked == 1


async def test_health_and_metrics_are_handed_on():
    """200 of /health says nothing about items; its parts do."""
    parts = [{"service": "sync", "status": "ACTIVE"}, {"service": "1Password", "status": "UNINITIALIZED"}]
    health = await Bench(answer({"name": "n", "version": "1.8.2", "dependencies": parts})).client.health()
    metrics = await Bench(httpx.Response(200, text="go_goroutines 8\n")).client.metrics()

    assert [part.status for part in health.dependencies] == ["ACTIVE", "UNINITIALIZED"]
    assert metrics == "go_goroutines 8\n"
    with pytest.raises(BadAnswer):
        await Bench(httpx.Response(200, content=b"\xff\xfe")).client.metrics()


async def test_an_id_that_is_none_costs_no_request():
    """An empty id would turn the route of one item into that of all."""
    bench = Bench(answer([]))

    with pytest.raises(BadRequest):
        await bench.client.item(VAULT, "")
    assert bench.asked == 0
