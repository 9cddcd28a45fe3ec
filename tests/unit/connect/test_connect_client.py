"""Each endpoint: what is sent, what comes back, which answers are refused."""

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
    item_json,
    summary_json,
    vault_json,
)

from keyturn.base.call_id import current_call_id
from keyturn.providers.connect import BadAnswer, BadRequest, ContentTooLarge, Misshapen, Patch

IN = f"/v1/vaults/{VAULT}/items"
AT = f"{IN}/{ITEM}"


def octets(body, **headers):
    return httpx.Response(200, content=body, headers={"content-type": "application/octet-stream", **headers})


@pytest.mark.parametrize(
    ("call", "reply", "sent"),
    [
        (lambda c: c.vaults(), answer([vault_json()]), "GET /v1/vaults"),
        (lambda c: c.items(VAULT), answer([summary_json()]), f"GET {IN}"),
        (lambda c: c.items(VAULT, title="x+y"), answer([]), f"GET {IN}?filter=title%20eq%20%22x%2By%22"),
        (lambda c: c.create_item(VAULT, {}), answer(item_json()), f"POST {IN}"),
        (lambda c: c.item(VAULT, ITEM), answer(item_json()), f"GET {AT}"),
        (lambda c: c.patch_item(VAULT, ITEM, []), answer(item_json()), f"PATCH {AT}"),
        (lambda c: c.file_content(VAULT, ITEM, FILE, limit=9), octets(b"x"), f"GET {AT}/files/{FILE}/content"),
        (lambda c: c.activity(limit=5, offset=10), answer([]), "GET /v1/activity?limit=5&offset=10"),
        (lambda c: c.heartbeat(), alive(), "GET /heartbeat"),
    ],
)
async def test_each_endpoint_is_requested_as_documented(call, reply, sent):
    """One request, with the documented method, path and query."""
    bench = Bench(reply)

    await call(bench.client)

    assert [f"{r.method} {r.url.raw_path.decode()}" for r in bench.script.requests] == [sent]


async def test_a_read_has_the_headers_that_it_needs():
    """Token, agent, accepted type and encoding; no cookies, no tracing."""
    bench = Bench(answer([]))
    await bench.client.vaults()
    headers = bench.script.requests[0].headers

    assert set(headers) == {"host", "accept", "accept-encoding", "user-agent", "authorization"}
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["accept"] == "application/json"
    assert headers["accept-encoding"] == "gzip"
    assert headers["user-agent"].startswith("keyturn/")


async def test_the_current_id_goes_with_each_request():
    """Connect records the User-Agent, so its log can be joined to our records."""
    bench = Bench(answer([]), answer([]))
    await bench.client.vaults()
    token = current_call_id.set("01JDXW6K3V0Q8ZC4T5YB7N2M9R")
    try:
        await bench.client.vaults()
    finally:
        current_call_id.reset(token)
    plain, marked = (request.headers["user-agent"] for request in bench.script.requests)

    assert marked == f"{plain} (01JDXW6K3V0Q8ZC4T5YB7N2M9R)"


async def test_file_content_is_requested_unencoded():
    """Compression would hide the size of a file until it is decoded."""
    bench = Bench(octets(b"x"))
    await bench.client.file_content(VAULT, ITEM, FILE, limit=9)

    assert bench.script.requests[0].headers["accept-encoding"] == "identity"


async def test_the_base_path_is_kept():
    """Connect behind a prefix of an ingress."""
    bench = Bench(answer([]), host="https://example.test/connect/")
    await bench.client.vaults()

    assert str(bench.script.requests[0].url) == "https://example.test/connect/v1/vaults"


async def test_a_body_names_its_vault():
    """Connect refuses a body whose vault is not that of the path; the caller need not repeat it."""
    bench = Bench(answer(item_json()))
    await bench.client.create_item(VAULT, {"title": "T"})

    assert json.loads(bench.script.requests[0].content) == {"vault": {"id": VAULT}, "title": "T"}
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


async def test_for_a_title_that_no_filter_can_hold_all_items_come():
    """Connect documents no escape for a quote. The caller compares titles itself."""
    items = [summary_json(title='My "Key"'), summary_json(id=OTHER, title="My Key")]
    bench = Bench(answer(items))

    found = await bench.client.items(VAULT, title='my "key"')

    assert [item.id for item in found] == [ITEM, OTHER]
    assert bench.script.targets == [IN]


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
async def test_an_answer_that_is_not_the_item_never_counts_as_an_empty_item(body):
    """Another id, another vault, a summary, another shape: refused, never mapped to nothing."""
    bench = Bench(answer(body))

    with pytest.raises(BadAnswer) as caught:
        await bench.client.item(VAULT, ITEM)

    assert bench.sent == 1
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
async def test_an_item_may_lack_what_is_empty(body):
    """Connect omits what is empty: a document has files and no fields."""
    assert (await Bench(answer(body)).client.item(VAULT, ITEM)).id == ITEM


async def test_a_list_with_anything_else_in_it_is_refused():
    """All items or none: half a list would look like deletions."""
    for bad in ({"title": "no id"}, "text", None, summary_json(vault={"id": OTHER})):
        with pytest.raises(BadAnswer):
            await Bench(answer([summary_json(), bad])).client.items(VAULT)


@pytest.mark.parametrize("body", [b"", b"\x00\xff binary", b"x" * 9])
async def test_a_file_comes_unchanged(body):
    """Empty and binary files up to the limit itself."""
    found = await Bench(octets(body)).client.file_content(VAULT, ITEM, FILE, limit=9, size=len(body))

    assert found == body


async def test_a_file_beyond_the_limit_costs_no_request():
    """The item names the size."""
    bench = Bench(octets(b"x"))

    with pytest.raises(ContentTooLarge, match="10 bytes, more than 9"):
        await bench.client.file_content(VAULT, ITEM, FILE, limit=9, size=10)

    assert bench.sent == 0


async def test_a_file_that_proves_larger_than_the_limit_is_dropped():
    """Without a size, the bytes are counted."""
    bench = Bench(octets(b"x" * 10))

    with pytest.raises(ContentTooLarge):
        await bench.client.file_content(VAULT, ITEM, FILE, limit=9)


@pytest.mark.parametrize("limit", [9, 100])
async def test_a_file_longer_than_its_item_says_is_not_called_too_large(limit):
    """The answer contradicts itself, so it says nothing that only a smaller file would end."""
    bench = Bench(octets(b"x" * 10))

    with pytest.raises(Misshapen, match="more than the 3 bytes that the item says") as caught:
        await bench.client.file_content(VAULT, ITEM, FILE, limit=limit, size=3)

    assert caught.value.__cause__ is caught.value.__context__ is None


async def test_a_file_of_another_size_is_refused():
    """A truncated file without a length looks whole; the item names the size."""
    with pytest.raises(BadAnswer, match="the item says 3 bytes"):
        await Bench(octets(b"ab")).client.file_content(VAULT, ITEM, FILE, limit=9, size=3)


async def test_a_web_page_is_not_a_file():
    """Unless the item names exactly that number of bytes."""
    html = httpx.Response(200, content=b"<html>", headers={"content-type": "text/html; charset=utf-8"})

    with pytest.raises(BadAnswer):
        await Bench(html).client.file_content(VAULT, ITEM, FILE, limit=9)
    assert await Bench(html).client.file_content(VAULT, ITEM, FILE, limit=9, size=6) == b"<html>"


@pytest.mark.parametrize(
    ("range_", "total"), [("1-50/1134", 1134), ("0-0/0", 0), ("", None), ("items 1-5/*", None), ("1-2/x3", None)]
)
async def test_activity_has_a_total(range_, total):
    """Connect's Content-Range has no unit; without a number the total is unknown."""
    page = await Bench(answer([{"requestId": "r"}], **{"content-range": range_})).client.activity()

    assert (page.total, page.requests[0].request_id) == (total, "r")


@pytest.mark.parametrize("body", [b".", b"", b"OK\n"])
async def test_a_short_text_is_a_heartbeat(body):
    """Connect answers one dot; another short text is not an outage."""
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
async def test_a_web_page_is_not_a_heartbeat(reply):
    """A proxy in front of a dead server answers 200 as well. One request, no retry."""
    bench = Bench(reply)

    with pytest.raises(BadAnswer):
        await bench.client.heartbeat()
    assert bench.sent == 1


async def test_an_empty_id_costs_no_request():
    """An empty id would turn the route of one item into that of all."""
    bench = Bench(answer([]))

    with pytest.raises(BadRequest):
        await bench.client.item(VAULT, "")
    assert bench.sent == 0
