"""Secret canaries go through every success and failure path; every text that comes out is searched for them."""

import base64
import gzip
import io
import json
import logging
import traceback

import httpx
import pytest
from connect_fakes import FILE, ITEM, OTHER, VAULT, Bench, Chunks, alive, answer, fault, item_json, summary_json

from keyturn.core.vault import Field, FieldKind, ItemRef, Scope, VaultError
from keyturn.providers.connect import ConnectError, ConnectVaults, Patch, StaticToken
from keyturn.providers.connect.replies import Reply

SECRET = "c4nary-v4lue-Zx9"
TITLE = "c4nary-t1tle-Qw7"
TOKEN = "c4nary-t0ken-Er5"
CANARIES = (SECRET, TITLE, TOKEN, base64.b64encode(SECRET.encode()).decode().rstrip("="))

WITH_VALUES = item_json(
    title="Database",
    additionalInformation=SECRET,
    fields=[
        {
            "id": "p",
            "label": "password",
            "type": "OTP",
            "value": SECRET,
            "totp": SECRET,
            "passwordDetails": {"history": [SECRET]},
        }
    ],
    files=[{"id": FILE, "name": "f", "size": 3, "content": base64.b64encode(SECRET.encode()).decode()}],
)


def raw(body, status=200, **headers):
    return httpx.Response(status, stream=Chunks([body]), headers=headers)


VALUES = json.dumps(WITH_VALUES).encode()
REPLIES = {
    "good": answer(WITH_VALUES),
    "list of values": answer([WITH_VALUES]),
    "value where an id should be": answer([{"id": f"{SECRET}!", "fields": SECRET}]),
    "value of another type": answer(item_json(fields=[{"id": "p", "value": [SECRET]}])),
    "another item": answer({**WITH_VALUES, "id": OTHER}),
    "cut JSON": raw(VALUES[:-5]),
    "invalid UTF-8": raw(VALUES.replace(b"Database", b"\xff\xfe")),
    "broken off": httpx.Response(200, stream=Chunks([VALUES, httpx.ReadError(SECRET)])),
    "protocol error": httpx.RemoteProtocolError(f"illegal header {SECRET}"),
    "connect error": httpx.ConnectError(SECRET),
    "timeout": httpx.ReadTimeout(SECRET),
    "bad gzip": raw(gzip.compress(VALUES)[:-9], **{"content-encoding": "gzip"}),
    "unknown encoding": raw(VALUES, **{"content-encoding": SECRET}),
    "huge": raw(VALUES * 50),
    "html": raw(f"<html>{SECRET}".encode(), **{"content-type": f"text/html; x={SECRET}"}),
    "no content": raw(b"", 204),
    "redirect": raw(b"", 307, location=f"https://user:{SECRET}@else.test/{SECRET}?{SECRET}"),
    "retry-after": raw(VALUES, 429, **{"retry-after": SECRET}),
    "echoed token": fault(401, f"Invalid bearer token {TOKEN}"),
    "echoed title": fault(403, f"nothing called {TITLE} here"),
    "echoed body": fault(500, f"cannot store {SECRET}, {TITLE}"),
    "html error": raw(SECRET.encode(), 502),
    "values as an error": raw(VALUES, 500),
    "values as not found": raw(VALUES, 404),
    "values as bad request": raw(VALUES, 400),
    "error in gzip": raw(gzip.compress(VALUES)[:-9], 503, **{"content-encoding": "gzip"}),
    "heartbeat": alive(),
}

DRAFT = {"title": TITLE, "fields": [{"value": SECRET}]}
REF = ItemRef(ITEM, VAULT, "Database", "3")
PICTURE = Field(FILE, "f", FieldKind.FILE, size=3)
SCOPE = Scope(VAULT, "Prod", 1, 5000)

CALLS = {
    "vaults": lambda client, _: client.vaults(),
    "items": lambda client, _: client.items(VAULT, title=TITLE),
    "quoted": lambda client, _: client.items(VAULT, title=f'"{TITLE}"'),
    "item": lambda client, _: client.item(VAULT, ITEM),
    "create": lambda client, _: client.create_item(VAULT, DRAFT),
    "patch": lambda client, _: client.patch_item(VAULT, ITEM, [Patch("replace", "/fields/p/value", SECRET)]),
    "content": lambda client, _: client.file_content(VAULT, ITEM, FILE, limit=100, size=3),
    "activity": lambda client, _: client.activity(),
    "heartbeat": lambda client, _: client.heartbeat(),
    "seam: refresh": lambda _, vaults: vaults.refresh(),
    "seam: scopes": lambda _, vaults: vaults.scopes(),
    "seam: items": lambda _, vaults: vaults.items(SCOPE, wanted=None),
    "seam: wanted": lambda _, vaults: vaults.items(SCOPE, wanted=[TITLE, ITEM]),
    "seam: item": lambda _, vaults: vaults.item(VAULT, ITEM),
    "seam: file": lambda _, vaults: vaults.file(REF, PICTURE, limit=100),
}


def chain(error):
    """An exception with all that it leads to: causes, contexts, groups."""
    found, waiting = [], [error]
    while waiting:
        one = waiting.pop()
        if one is None or any(one is other for other in found):
            continue
        found.append(one)
        waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    return found


def kept(error):
    """The bodies that the frames of the traceback still hold: an error must not keep a body alive."""
    frames = []
    step = error.__traceback__
    while step is not None:
        if "keyturn" in step.tb_frame.f_code.co_filename:
            values = step.tb_frame.f_locals.values()
            frames += [value for value in values if isinstance(value, bytes)]
            frames += [value.body for value in values if isinstance(value, Reply)]
        step = step.tb_next
    return frames


@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("call", CALLS)
async def test_no_path_shows_a_canary(call, reply, caplog):
    """For each call and each answer: errors with their chains, reprs and logs hold no value, title or token."""
    caplog.set_level(logging.DEBUG)
    bench = Bench(REPLIES[reply], token=StaticToken(TOKEN), json_limit=20_000)
    vaults = ConnectVaults(bench.client)
    seen = io.StringIO()

    try:
        print(repr(await CALLS[call](bench.client, vaults)), file=seen)
    except (ConnectError, VaultError) as error:
        for one in chain(error):
            print(one, repr(one), one.args, vars(one), getattr(one, "__notes__", ""), file=seen)
        traceback.print_exception(error, file=seen)
        held = kept(error)
        assert not any(canary.encode() in body for body in held for canary in CANARIES)
    print(bench.observed, caplog.text, file=seen)

    out = seen.getvalue()
    assert not [canary for canary in CANARIES if canary in out]


async def test_values_do_arrive(caplog):
    """The canaries above are real: on success the caller gets them, and the logs stay clean."""
    caplog.set_level(logging.DEBUG)
    vaults = ConnectVaults(Bench(answer(WITH_VALUES)).client)

    item = await vaults.item(VAULT, ITEM)

    assert item.fields[0].value == SECRET
    assert SECRET not in caplog.text + repr(item)


async def test_the_libraries_below_log_no_title(caplog):
    """An httpx client would log each URL at info level, filter included."""
    caplog.set_level(logging.INFO)
    await Bench(answer([summary_json()])).client.items(VAULT, title=TITLE)

    assert caplog.text == ""
