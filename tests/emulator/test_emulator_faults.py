"""C78, C79: requests that go wrong, by rule."""

import asyncio
import email.utils
import gzip
import json
from datetime import datetime

import httpx
import pytest
from pydantic import ValidationError

from connect_emulator.account.ids import Ids
from connect_emulator.faults import FaultRule, Faults
from support.patience import PATIENCE_S

ITEM = "GET /v1/vaults/{vault}/items/{item}"


def add(rig, **rule):
    return rig.emulator.faults.add(FaultRule(**{"count": 1, **rule}))


async def raw(rig, path, *, size=None):
    """What the server sends to a plain GET that wants the connection closed: head, body, and whether it was closed.

    An answer that should not end is read up to `size` bytes of body, and then a moment longer.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", int(rig.emulator.url.rpartition(":")[2]))
    token = rig.emulator.token("all")
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    )
    async with asyncio.timeout(PATIENCE_S):
        head = await reader.readuntil(b"\r\n\r\n")
        body = await (reader.read() if size is None else reader.readexactly(size))
    ended = True
    if size is not None:
        try:
            async with asyncio.timeout(0.1):
                body += await reader.read()
        except TimeoutError:
            ended = False
    writer.close()
    return head.decode(), body, ended


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 429, 500, 502, 503, 504])
async def test_c78_status(rig, status):
    """C78: any status, in Connect's form, with the version header, as often as asked."""
    add(rig, status=status, message="as told", count=2)
    for _ in range(2):
        response = await rig.get("/v1/vaults")
        assert (response.status_code, response.json()) == (status, {"status": status, "message": "as told"})
        assert "1Password-Connect-Version" in response.headers
    assert (await rig.get("/v1/vaults")).status_code == 200


async def test_a_connection_answers_once(rig):
    """As behind a proxy with a short keep-alive: the second request on a connection is lost, whatever it asks."""
    add(rig, kind="once", count=4)
    async with httpx.AsyncClient(base_url=rig.emulator.url) as client:
        for _ in range(2):
            assert (await client.get("/heartbeat")).text == "."
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get("/heartbeat")
        for _ in range(3):
            assert (await client.get("/heartbeat")).text == "."


async def test_c78_delay_before_headers(rig):
    """C78: a good answer may come late."""
    add(rig, kind="pass", delay_s=8)
    waiting = asyncio.create_task(rig.get("/v1/vaults"))
    await rig.clock.sleepers()
    rig.clock.advance(7)
    await rig.get("/heartbeat")
    assert not waiting.done()
    rig.clock.advance(1)
    assert (await waiting).status_code == 200


async def test_c78_slow_body(rig):
    """C78: a body may drip, piece by piece, and is complete in the end."""
    add(rig, kind="drip", drip_bytes=4, drip_s=1)
    waiting = asyncio.create_task(rig.get(rig.file_path("tls.crt") + "/content"))
    for _ in range(3):
        await rig.clock.sleepers()
        assert not waiting.done()
        rig.clock.advance(1)
    response = await waiting
    assert response.content == b"certificate"
    assert response.headers["content-type"] == "application/octet-stream"


async def test_c78_truncated_body(rig):
    """C78: a body may end before its length; the head says the whole length."""
    add(rig, kind="truncate", count=2)
    with pytest.raises(httpx.RemoteProtocolError):
        await rig.get("/v1/vaults")
    head, body, ended = await raw(rig, rig.file_path() + "/content")
    assert "Content-Length: 256" in head
    assert "1Password-Connect-Version" in head
    assert (len(body), ended) == (128, True)


async def test_c78_stalled_body(rig):
    """C78: a body may stop in the middle, with the connection open."""
    add(rig, kind="stall")
    head, body, ended = await raw(rig, rig.file_path() + "/content", size=128)
    assert "Content-Length: 256" in head
    assert (len(body), ended) == (128, False)


@pytest.mark.parametrize("framing", ["chunked", "close"])
async def test_c78_other_framings(rig, framing):
    """C78: behind proxies a body may come in chunks, or end with the connection, in one piece or dripping."""
    path = rig.file_path() + "/content"
    add(rig, kind="pass", framing=framing)
    add(rig, kind="drip", framing=framing, drip_bytes=100, drip_s=0)
    for _ in range(2):
        response = await rig.get(path)
        assert response.content == bytes(range(256))
        assert "content-length" not in response.headers
        assert ("transfer-encoding" in response.headers) is (framing == "chunked")


async def test_c78_truncated_without_a_length(rig):
    """C78: a cut in chunks is noticed by the client; one that the connection's end marks is not."""
    add(rig, kind="truncate", framing="chunked")
    with pytest.raises(httpx.RemoteProtocolError):
        await rig.get(rig.file_path() + "/content")
    add(rig, kind="truncate", framing="close")
    response = await rig.get(rig.file_path() + "/content")
    assert (response.status_code, len(response.content)) == (200, 128)


async def test_c78_reset(rig):
    """C78: a connection may end with a TCP reset instead of an answer."""
    add(rig, kind="reset", count=2)
    with pytest.raises(httpx.ReadError):
        await rig.get("/v1/vaults")
    with pytest.raises(ConnectionResetError):
        await raw(rig, "/v1/vaults")
    assert rig.emulator.requests.records()[-1].status == -1


@pytest.mark.parametrize(("error", "ended"), [(5, False), (-5, True)])
async def test_c78_wrong_content_length(rig, error, ended):
    """C78: a Content-Length may be too large, and the rest never comes, or too small."""
    good = (await rig.get(rig.item_path())).content
    add(rig, kind="wrong_length", length_error=error)
    head, body, has_ended = await raw(rig, rig.item_path(), size=None if ended else len(good))
    assert f"Content-Length: {len(good) + error}" in head
    assert (body, has_ended) == (good, ended)


@pytest.mark.parametrize("status", [None, 502])
async def test_c78_html(rig, status):
    """C78: a proxy's HTML page may come with 200 or with an error."""
    add(rig, kind="html", status=status)
    response = await rig.get("/v1/vaults")
    assert response.status_code == (status or 200)
    assert response.headers["content-type"].startswith("text/html")
    assert response.text.startswith("<!DOCTYPE html>")


async def test_c78_gzip(rig):
    """C78: a body may come compressed, and unpack to much more than its length."""
    add(rig, kind="gzip", pad_bytes=10_000_000)
    head, body, _ = await raw(rig, rig.item_path())
    assert "Content-Encoding: gzip" in head
    assert len(body) < 20_000
    assert len(gzip.decompress(body)) > 10_000_000
    add(rig, kind="gzip")
    assert (await rig.get(rig.item_path())).json()["title"] == "database"


async def test_c78_invalid_utf8(rig):
    """C78: JSON may hold bytes that are no UTF-8."""
    add(rig, kind="invalid_utf8")
    response = await rig.get(rig.item_path())
    assert response.status_code == 200
    with pytest.raises(UnicodeDecodeError):
        response.content.decode()


async def test_c78_invalid_json(rig):
    """C78: JSON may be cut in the middle while its length is right."""
    add(rig, kind="invalid_json")
    response = await rig.get(rig.item_path())
    assert response.headers["content-type"] == "application/json"
    with pytest.raises(json.JSONDecodeError):
        response.json()


@pytest.mark.parametrize("body", [[], {}, None, "text", 5, [[]], {"fields": "x"}, [{"id": None}]])
async def test_c78_json_of_another_shape(rig, body):
    """C78: JSON may be right and mean nothing."""
    add(rig, kind="json", body=body)
    response = await rig.get(rig.item_path())
    assert (response.status_code, response.json()) == (200, body)


async def test_c78_empty(rig):
    """C78: a 200 may have no body at all."""
    add(rig, kind="empty")
    response = await rig.get(rig.item_path())
    assert (response.status_code, response.content) == (200, b"")
    assert "content-type" not in response.headers


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_c78_redirect(rig, status):
    """C78: a request may be sent elsewhere, even to another host."""
    add(rig, kind="redirect", status=status, location="https://elsewhere.example/v1/vaults")
    response = await rig.get("/v1/vaults")
    assert (response.status_code, response.headers["location"]) == (status, "https://elsewhere.example/v1/vaults")


async def test_c78_retry_after(rig):
    """C78: a 429 may name the pause in seconds or as a date by the emulator's clock."""
    add(rig, status=429, retry_after=7)
    assert (await rig.get("/v1/vaults")).headers["retry-after"] == "7"
    add(rig, status=429, retry_after=90, retry_after_date=True)
    date = email.utils.parsedate_to_datetime((await rig.get("/v1/vaults")).headers["retry-after"])
    assert isinstance(date, datetime)
    assert date.timestamp() == rig.clock.now() + 90


async def test_c78_hang(rig):
    """C78: an answer may never come; the server notices that the client went away."""
    add(rig, kind="hang")
    with pytest.raises(httpx.ReadTimeout):
        await rig.get("/v1/vaults", timeout=httpx.Timeout(PATIENCE_S, read=0.1))
    assert await rig.emulator.requests.wait(1, timeout_s=PATIENCE_S, status=-1) == 1


async def test_c78_extra_headers(rig):
    """C78: rules may add headers to good and to bad answers."""
    add(rig, kind="pass", headers={"X-Proxy": "yes"})
    add(rig, kind="status", headers={"X-Proxy": "no"})
    assert [(await rig.get("/v1/vaults")).headers["x-proxy"] for _ in range(2)] == ["yes", "no"]


@pytest.mark.parametrize(
    ("execute", "titles"),
    [(True, ["database", "login", "ambiguous"]), (False, ["database", "login"]), (None, ["database", "login"])],
)
async def test_c78_created_but_504(rig, execute, titles):
    """C78: behind a gateway a write may take effect although its answer was an error."""
    add(rig, route="POST *", status=504, execute=execute)
    body = {"vault": {"id": rig.vault()}, "title": "ambiguous", "category": "LOGIN"}
    assert (await rig("POST", rig.items_path(), json=body)).status_code == 504
    assert [item["title"] for item in (await rig.get(rig.items_path())).json()] == titles


@pytest.mark.parametrize(
    ("route", "struck"),
    [
        ("*", {"vaults", "items", "item", "content", "heartbeat"}),
        (ITEM, {"item"}),
        ("GET /v1/vaults/*", {"items", "item", "content"}),
        ("/v1/vaults/{vault}/items/{item}*", {"item", "content"}),
        ("*/content", {"content"}),
        ("GET /heartbeat", {"heartbeat"}),
        ("POST *", set()),
        ("{path}", {"item"}),
    ],
)
async def test_c78_rules_are_per_route(rig, route, struck):
    """C78: a rule matches routes or paths, with or without a method, with wild cards."""
    add(rig, route=route.replace("{path}", rig.item_path()) if route == "{path}" else route, status=418, count=None)
    paths = {
        "vaults": "/v1/vaults",
        "items": rig.items_path(),
        "item": rig.item_path(),
        "content": rig.file_path() + "/content",
        "heartbeat": "/heartbeat",
    }
    assert {name for name, path in paths.items() if (await rig.get(path)).status_code == 418} == struck


@pytest.mark.parametrize("status", [401, 403])
async def test_c79_transient_refusals(rig, status):
    """C79: the first requests of a valid token may be refused; those before and after are not."""
    message = f"Authorization: token does not have access to vault {rig.vault()}"
    add(rig, route=ITEM, status=status, message=message, count=3, after=1)
    statuses = [(await rig.get(rig.item_path())).status_code for _ in range(6)]
    assert statuses == [200, status, status, status, 200, 200]


async def test_c79_rules_may_concern_one_token(rig):
    """C79: a rule may strike one token only."""
    add(rig, token="reader", status=403, count=None)
    assert (await rig.get(rig.vault_path(), token="reader")).status_code == 403
    assert (await rig.get(rig.vault_path())).status_code == 200


def strikes(faults, count):
    return [
        bool(faults.strike(method="GET", template="/v1/vaults", path="/v1/vaults", token=None)) for _ in range(count)
    ]


def test_rules_are_used_in_order():
    """The first rule that is left decides; a used up rule is forgotten."""
    faults = Faults(Ids(0).random)
    faults.add(FaultRule(status=501, count=1))
    last = faults.add(FaultRule(status=502))
    found = [faults.strike(method="GET", template="x", path="x", token=None).status for _ in range(3)]
    assert found == [501, 502, 502]
    assert [number for number, _, left in faults.listed() if left is None] == [last]
    assert faults.remove(last)
    assert not faults.remove(last)
    assert not faults


def test_rules_by_chance_follow_the_seed():
    """A rule of a probability strikes about that often, and the same way under the same seed."""
    runs = []
    for seed in (1, 1, 2):
        faults = Faults(Ids(seed).random)
        faults.add(FaultRule(probability=0.3))
        runs.append(strikes(faults, 1000))
    assert runs[0] == runs[1] != runs[2]
    assert 230 < sum(runs[0]) < 370


@pytest.mark.parametrize(
    "rule", [{"kind": "explode"}, {"status": 99}, {"count": 0}, {"probability": 2}, {"delay_s": -1}, {"nonsense": 1}]
)
def test_bad_rules_are_refused(rule):
    """A rule with an impossible value is refused."""
    with pytest.raises(ValidationError):
        FaultRule(**rule)
