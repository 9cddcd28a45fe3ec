import base64

import pytest
from operator_fixtures import VAULT, annotations_of, condition_of

from keyturn.core import names
from support.operator import eventually

pytestmark = pytest.mark.cluster

BINARY = bytes(range(256)) * 300
MEBIBYTE = 1024 * 1024


def file(name: str, content: bytes) -> dict[str, str]:
    return {"name": name, "base64": base64.b64encode(content).decode()}


async def test_files_come_and_go_byte_by_byte(stage):
    """An attached file becomes a key with its exact bytes; added, replaced and removed files follow."""
    stage.operator()
    await stage.provide("login", files=[file("key store.p12", BINARY)])
    await stage.holds("login", {"password": "first", "key-store.p12": BINARY})

    stage.connect.attach(VAULT, "login", name="ca.crt", content=b"\x00\xff\n")
    await stage.holds("login", {"password": "first", "key-store.p12": BINARY, "ca.crt": b"\x00\xff\n"})
    stage.connect.attach(VAULT, "login", name="ca.crt", content=BINARY[::-1])
    await stage.holds("login", {"password": "first", "key-store.p12": BINARY, "ca.crt": BINARY[::-1]})
    stage.connect.detach(VAULT, "login", name="key store.p12")
    secret = await stage.holds("login", {"password": "first", "ca.crt": BINARY[::-1]})

    assert annotations_of(secret)[names.REVISION] == "4"


async def test_a_field_wins_over_a_file_of_its_key(stage):
    """Where a field and a file want the same key, the field has it."""
    stage.operator()

    await stage.provide("login", {"cert.pem": "field"}, files=[file("cert.pem", b"file")])

    assert await stage.data("login") == {"cert.pem": b"field"}


async def test_empty_values_stay_away_unless_they_are_asked_for(stage):
    """An empty field and an empty file make keys only with --allow-empty-values; turning that on rewrites the Secret."""
    first = stage.operator()
    await stage.provide("login", {"password": "first", "none": ""}, files=[file("void", b"")])
    before = await stage.data("login")
    first.terminate()

    stage.operator("--allow-empty-values")

    # Every item has a field for notes.
    await stage.holds("login", {"password": "first", "none": "", "void": b"", "notesPlain": ""})
    assert before == {"password": b"first"}


async def test_an_item_of_a_mebibyte_fits(stage):
    """An item of exactly the size that a Secret may have is written."""
    stage.operator()
    content = bytes(MEBIBYTE - len("first"))

    await stage.provide("login", files=[file("big", content)])

    assert await stage.data("login") == {"password": b"first", "big": content}


async def test_an_item_beyond_a_mebibyte_is_refused_and_the_secret_kept(stage):
    """An item that outgrows a Secret is reported as SecretTooLarge, the Secret keeps what it held, and all ends with the cause."""
    operator = stage.operator()
    await stage.provide("login", files=[file("big", b"small")])
    before = (await stage.secret("login"))["metadata"]["resourceVersion"]

    stage.connect.attach(VAULT, "login", name="big", content=bytes(MEBIBYTE))
    failed = await stage.says("login", "SecretTooLarge", ready="False")
    await operator.polls(1)

    assert condition_of(failed, "Stalled")["status"] == "True"
    assert (await stage.secret("login"))["metadata"]["resourceVersion"] == before
    stage.connect.attach(VAULT, "login", name="big", content=b"small again")
    await stage.holds("login", {"password": "first", "big": b"small again"})
    await stage.ready("login")


async def test_a_new_item_beyond_a_mebibyte_makes_no_secret(stage):
    """An item that never fitted makes no Secret at all."""
    stage.operator()
    stage.put_item("login", files=[file("big", bytes(MEBIBYTE + 1))])
    await stage.ask("login")

    await stage.says("login", "SecretTooLarge", ready="False")

    await stage.has_no_secret("login")


async def test_a_file_that_cannot_be_read_for_a_while_keeps_the_secret(stage):
    """While a file's bytes cannot be had nothing of a changed item is written; later all of it is."""
    stage.operator()
    await stage.provide("login", files=[file("ca.crt", b"old")])
    stage.connect.fault("GET /v1/vaults/{vault}/items/{item}/files/{file}/content", status=500)
    since = stage.connect.last_request()

    stage.connect.edit(VAULT, "login", fields=[{"label": "password", "value": "second"}])
    stage.connect.wait_requests(2, route="*/content", since=since)
    kept = await stage.data("login")
    stage.connect.clear_faults()

    assert kept == {"password": b"first", "ca.crt": b"old"}

    async def whole() -> None:
        assert await stage.data("login") == {"password": b"second", "ca.crt": b"old"}

    await eventually(whole)
