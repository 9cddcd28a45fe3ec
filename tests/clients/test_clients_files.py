"""C81 to C83: attached files as each of 1Password's own clients takes them."""

import random
from base64 import b64encode

import pytest

from connect_emulator.account.description import FileSpec
from support.clients.scenery import BUNDLE, FILE_CONTENTS, FILES, LOGIN, NOWHERE, PRODUCTION, digest, file, identifier
from support.clients.speaking import Refused

pytestmark = pytest.mark.clients

_BIG = identifier("bigfile")


def form(kind: str) -> dict:
    """The metadata of one of the bundle's files."""
    name, content = FILE_CONTENTS[kind]
    path = f"/v1/vaults/{FILES}/items/{BUNDLE}/files/{file(kind)}/content"
    return {"id": file(kind), "name": name, "size": len(content), "content_path": path}


async def test_the_list_has_every_file(client):
    """The list shows id, name, size and path of each file, two of one name included."""
    listed = {found["id"]: found for found in await client.files(FILES, BUNDLE)}
    assert listed == {file(kind): form(kind) for kind in FILE_CONTENTS}


async def test_an_item_without_files(client):
    """An item without files has an empty list of them, not an error."""
    assert await client.files(PRODUCTION, LOGIN) == []


@pytest.mark.parametrize("kind", FILE_CONTENTS)
async def test_a_file_by_id(client, kind):
    """A file by id shows what the list shows of it."""
    assert await client.file(FILES, BUNDLE, file(kind)) == form(kind)


@pytest.mark.parametrize("kind", FILE_CONTENTS)
async def test_content_is_identical(client, kind):
    """Text, binary and no content at all arrive byte by byte."""
    assert await client.content(FILES, BUNDLE, file(kind)) == digest(FILE_CONTENTS[kind][1])


async def test_ten_mebibytes_are_identical(client, emulator):
    """A large file arrives byte by byte."""
    content = random.Random(0).randbytes(10 * 1024 * 1024)
    spec = FileSpec(name="big", id=_BIG, base64=b64encode(content).decode())
    emulator.cloud.attach("Files", "bundle", spec)
    assert (await client.file(FILES, BUNDLE, _BIG))["size"] == len(content)
    assert await client.content(FILES, BUNDLE, _BIG) == digest(content)


async def test_the_item_names_its_files_where_the_client_knows_of_them(client, name):
    """The item itself lists its files; the Python client's model has no place for them."""
    item = await client.item(FILES, BUNDLE)
    listed = {found["id"]: found["name"] for found in item.get("files", ())}
    assert listed == ({} if "python" in name else {file(kind): known for kind, (known, _) in FILE_CONTENTS.items()})


async def test_an_unknown_file(client):
    """An unknown file is a 404 that names it."""
    with pytest.raises(Refused) as refused:
        await client.file(FILES, BUNDLE, NOWHERE)
    assert (refused.value.status, refused.value.message) == (404, f"file {NOWHERE} not found")


async def test_files_of_an_unknown_item(client):
    """The files of an unknown item are a 404 that names the item."""
    with pytest.raises(Refused) as refused:
        await client.files(FILES, NOWHERE)
    assert (refused.value.status, refused.value.message) == (404, f"item {NOWHERE} not found")
