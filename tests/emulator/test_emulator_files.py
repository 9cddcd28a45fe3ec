"""C45 to C53: attached files."""

import base64

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connect_emulator.http.attachments import disposition
from support.emulator import NOWHERE

TOKENS = [{"name": "all", "vaults": {"*": "rw"}}]
TOO_LARGE = (
    "File is too large to inline in request. Use the "
    "/v1/vaults/{vaultUUID}/items/{itemUUID}/files/{fileUUID}/content endpoint instead."
)


def with_files(*files):
    return {"vaults": [{"name": "Production", "items": [{"title": "t", "files": list(files)}]}], "tokens": TOKENS}


async def test_c45_list_detail_and_content_agree(rig):
    """C45: the item, the file list, each file and its bytes agree on name, id and size."""
    item, listed = await rig.item(), (await rig.get(rig.item_path() + "/files")).json()
    assert item["files"] == listed
    for form in listed:
        assert (await rig.get(f"{rig.item_path()}/files/{form['id']}")).json() == form
        content = await rig.get(form["content_path"])
        assert content.headers["content-disposition"] == f'attachment; filename="{form["name"]}"'
        assert len(content.content) == form["size"]


async def test_c45_no_files_is_an_empty_list(rig):
    """C45: an item without files has an empty list of them."""
    assert (await rig.get(rig.item_path("login") + "/files")).json() == []


async def test_c45_a_file_may_have_a_section(launch):
    """C45: a file field names its section."""
    rig = await launch(with_files({"name": "a", "content": "", "section": "Certificates"}))
    item = await rig.item("t")
    assert item["files"][0]["section"] == {"id": item["sections"][0]["id"]}


@pytest.mark.parametrize(
    ("style", "member", "slash"),
    [("slash", "content_path", "/"), ("no_slash", "content_path", ""), ("camel", "contentPath", "/")],
)
async def test_c46_content_path(launch, style, member, slash):
    """C46: the path starts with a slash and has an underscore in its name; both can be had otherwise."""
    rig = await launch(content_path=style)
    form = (await rig.item())["files"][0]
    assert form[member] == f"{slash}{rig.file_path('tls.crt')[1:]}/content"
    assert (await rig.get("/" + form[member].lstrip("/"))).content == b"certificate"


CONTENTS = {
    "binary": bytes(range(256)) * 4,
    "empty": b"",
    "10 MiB": bytes(range(251)) * (10 * 2**20 // 251),
    "gzip": b"\x1f\x8b\x08",
    "crlf": b"\r\n\r\n0\r\n",
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
async def test_c47_bytes_are_identical(launch, content):
    """C47: bytes come as they are, as an octet-stream with the right length and the name in quotes."""
    rig = await launch(with_files({"name": 'my "file".bin', "base64": base64.b64encode(content).decode()}))
    response = await rig.get(rig.file_path('my "file".bin', "t") + "/content")
    assert response.content == content
    assert response.headers["content-length"] == str(len(content))
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"] == 'attachment; filename="my \\"file\\".bin"'
    assert "content-encoding" not in response.headers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tls.crt", 'attachment; filename="tls.crt"'),
        ("a b", 'attachment; filename="a b"'),
        ("back\\slash", 'attachment; filename="back\\\\slash"'),
        ("ä.txt", "attachment; filename*=utf-8''%C3%A4.txt"),
        ("two\r\nlines", "attachment; filename*=utf-8''two%0D%0Alines"),
    ],
)
def test_c47_disposition_cannot_be_broken(name, expected):
    """C47: no name breaks out of the header."""
    assert disposition(name) == expected


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=4096))
async def test_c47_any_bytes(rig, content):
    """C47: whatever the bytes, content and inline form give them back."""
    rig.cloud.attach("Production", "login", rig.file_spec(name="f", base64=base64.b64encode(content).decode()))
    path = rig.file_path("f", "login")
    assert (await rig.get(path + "/content")).content == content
    inlined = (await rig.get(path, params={"inline_files": "true"})).json()
    assert base64.b64decode(inlined["content"]) == content
    assert inlined["size"] == len(content)


@pytest.mark.parametrize("parameter", ["inline_files", "inline_content"])
async def test_c48_inline_content(rig, parameter):
    """C48: either parameter adds the bytes as base64, in list and detail; without it there are none."""
    listed = (await rig.get(rig.item_path() + "/files", params={parameter: "true"})).json()
    assert [base64.b64decode(form["content"]) for form in listed] == [b"certificate", bytes(range(256))]
    detail = (await rig.get(rig.file_path(), params={parameter: "true"})).json()
    assert base64.b64decode(detail["content"]) == bytes(range(256))
    for query in ("", f"?{parameter}=false", f"?{parameter}="):
        assert "content" not in (await rig.get(rig.file_path() + query)).json()


@pytest.mark.parametrize(
    ("size", "inclusive", "status"),
    [(99, True, 200), (100, True, 200), (100, False, 413), (99, False, 200), (101, True, 413)],
)
async def test_c49_inline_limit(launch, size, inclusive, status):
    """C49: above the limit inlining is 413 with the documented text; whether the limit itself fits is a knob."""
    files = [{"name": "small", "content": "x"}, {"name": "big", "size": size}]
    rig = await launch(with_files(*files), max_inline_file_bytes=100, inline_limit_inclusive=inclusive)
    for path in (rig.file_path("big", "t"), rig.item_path("t") + "/files"):
        response = await rig.get(path, params={"inline_files": "true"})
        assert response.status_code == status
        if status == 413:
            assert response.json() == {"status": 413, "message": TOO_LARGE}
    assert (await rig.get(rig.file_path("big", "t") + "/content")).content == bytes(size)
    assert (await rig.get(rig.file_path("small", "t"), params={"inline_files": "true"})).status_code == 200


@pytest.mark.parametrize("rest", ["", "/content"])
async def test_c50_unknown_file_is_404(rig, rest):
    """C50: an unknown file, or one of another item, is 404 with its id."""
    foreign = rig.file_path().rpartition("/")[2]
    for path, file in ((rig.item_path(), NOWHERE), (rig.item_path("login"), foreign)):
        response = await rig.get(f"{path}/files/{file}{rest}")
        assert (response.status_code, response.json()["message"]) == (404, f"file {file} not found")


async def test_c50_malformed_file_id_is_a_knob(launch):
    """C50: whether a file id of another shape is 404 or 400 is unknown."""
    rig = await launch()
    assert (await rig.get(f"{rig.item_path()}/files/short")).status_code == 404
    rig.emulator.live.turn({"malformed_file_id_status": 400})
    assert (await rig.get(f"{rig.item_path()}/files/short/content")).status_code == 400
    assert (await rig.get(f"{rig.item_path()}/files/{NOWHERE}")).status_code == 404


async def test_c51_unsynced_file(launch):
    """C51: bytes that are not there yet are 500 for some calls, per file, while the metadata is there."""
    rig = await launch(unsynced_file_calls=2)
    assert (await rig.get(rig.file_path())).status_code == 200
    answers = [await rig.get(rig.file_path() + "/content") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [500, 500, 200]
    assert answers[0].json() == {"status": 500, "message": "Something went wrong"}
    assert (await rig.get(rig.file_path("tls.crt") + "/content")).status_code == 500


async def test_c51_newer_servers_may_say_it_otherwise(launch):
    """C51: status and text of the unsynced file are knobs, since 1.8 changed them without saying to what."""
    rig = await launch(unsynced_file_calls=1, unsynced_file_status=503, unsynced_file_message="file not synced yet")
    response = await rig.get(rig.file_path() + "/content")
    assert (response.status_code, response.json()["message"]) == (503, "file not synced yet")


async def test_c52_one_file_of_two_items(launch):
    """C52: a file that two items share works through both; before 1.8 it did so only through the first."""
    shared = {"id": "f" * 26, "name": "shared", "content": "both"}
    items = [{"title": "one", "files": [shared]}, {"title": "two", "files": [shared]}]
    rig = await launch({"vaults": [{"name": "Production", "items": items}], "tokens": TOKENS})
    paths = [rig.file_path("shared", title) + "/content" for title in ("one", "two")]
    assert [(await rig.get(path)).content for path in paths] == [b"both", b"both"]
    rig.emulator.live.turn({"copied_files_broken": True})
    assert [(await rig.get(path)).status_code for path in paths] == [200, 500]


async def test_c53_two_files_of_one_name(launch):
    """C53: names are not unique; each file has its own id and bytes."""
    rig = await launch(with_files({"name": "same", "content": "one"}, {"name": "same", "content": "two"}))
    files = (await rig.item("t"))["files"]
    assert [file["name"] for file in files] == ["same", "same"]
    assert [(await rig.get(file["content_path"])).content for file in files] == [b"one", b"two"]


async def test_a_replaced_file_has_a_new_id(rig):
    """An upload in place of a file gives a new id, a new item version, and 404 for the old id."""
    old = rig.file_path()
    rig.cloud.attach("Production", "database", rig.file_spec(name="blob", content="new"))
    assert (await rig.get(old + "/content")).status_code == 404
    assert (await rig.get(rig.file_path() + "/content")).content == b"new"
    item = await rig.item()
    assert (item["version"], [file["name"] for file in item["files"]]) == (2, ["tls.crt", "blob"])
    rig.cloud.detach("Production", "database", "blob")
    assert [file["name"] for file in (await rig.item())["files"]] == ["tls.crt"]
