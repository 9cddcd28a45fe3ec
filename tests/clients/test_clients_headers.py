"""C55 and C84: headers and bodies as each of 1Password's own clients sends them, recorded on the wire."""

import json
import re

import pytest

from support.clients.scenery import BUNDLE, FILES, LOGIN, PRODUCTION

pytestmark = pytest.mark.clients

FORM = {
    "title": "made",
    "category": "LOGIN",
    "fields": [
        {"purpose": "PASSWORD", "label": "password", "generate": True, "recipe": {"length": 20}},
        {"label": "key", "type": "CONCEALED", "value": "canary", "section": "Extra"},
    ],
}

# The headers that a client sends with every request, GET and DELETE included, names in lower case.
EVERY = {
    "python": {
        "user-agent": r"python-httpx/0\.28\.1",
        "accept": r"\*/\*",
        "accept-encoding": r"gzip, deflate",
        "connection": r"keep-alive",
        "content-type": r"application/json",
        "authorization": r"Bearer \S+",
        "host": r"127\.0\.0\.1:\d+",
    },
    "javascript": {
        "user-agent": r"connect-sdk-js/1\.4\.2",
        "accept": r"application/json, text/plain, \*/\*",
        "accept-encoding": r"gzip, compress, deflate, br",
        "content-type": r"application/json",
        "authorization": r"Bearer \S+",
        "host": r"127\.0\.0\.1:\d+",
        "connection": r"keep-alive",
    },
    "go": {
        "user-agent": r"connect-sdk-go/1\.5\.3",
        "accept-encoding": r"gzip",
        "content-type": r"application/json",
        "authorization": r"Bearer \S+",
        "host": r"127\.0\.0\.1:\d+",
        "x-b3-traceid": r"[0-9a-f]+",
        "x-b3-spanid": r"[0-9a-f]+",
        "x-b3-sampled": r"[01]",
    },
}


@pytest.fixture
async def recorded(make, name, recorder):
    """Each client in turn, behind the recorder."""
    return await make(name, url=recorder.url)


async def test_headers_of_every_method(recorded, recorder, emulator, name):
    """GET, POST, PUT and DELETE carry exactly the recorded headers, and those of a body only with a body."""
    await recorded.create(PRODUCTION, FORM)
    await recorded.edit(PRODUCTION, LOGIN, title="renamed")
    await recorded.delete(PRODUCTION, LOGIN)
    assert [sent.line.split()[0] for sent in recorder.sent] == ["POST", "GET", "PUT", "DELETE"]
    patterns = EVERY[name.removesuffix("-async")]
    for sent in recorder.sent:
        headers = {header.lower(): value for header, value in sent.headers.items()}
        assert set(headers) - {"content-length"} == set(patterns), sent.line
        assert all(re.fullmatch(pattern, headers[header]) for header, pattern in patterns.items()), sent.line
        assert ("content-length" in headers) == bool(sent.body), sent.line


@pytest.mark.parametrize("name", ["javascript"])
async def test_header_names_in_lower_case(recorded, recorder):
    """The JavaScript client writes the names of its own headers in lower case, and is understood."""
    await recorded.vaults()
    assert {"user-agent", "authorization"} < set(recorder.sent[0].headers)


async def create_body(recorded, recorder):
    await recorded.create(PRODUCTION, FORM)
    return json.loads(recorder.sent[-1].body)


@pytest.mark.parametrize("name", ["python", "python-async"])
async def test_the_python_client_creates_with_defaults(recorded, recorder, name):
    """The Python client sends `favorite`, `trashed` and `generate` as false, and no id."""
    assert await create_body(recorded, recorder) == {
        "title": "made",
        "vault": {"id": PRODUCTION},
        "category": "LOGIN",
        "favorite": False,
        "trashed": False,
        "sections": [{"id": "section0", "label": "Extra"}],
        "fields": [
            {
                "type": "STRING",
                "purpose": "PASSWORD",
                "label": "password",
                "generate": True,
                "recipe": {"length": 20},
            },
            {
                "type": "CONCEALED",
                "label": "key",
                "value": "canary",
                "generate": False,
                "section": {"id": "section0"},
            },
        ],
    }


@pytest.mark.parametrize("name", ["javascript"])
async def test_the_javascript_client_creates_with_empty_purposes(recorded, recorder, name):
    """The JavaScript client sends empty purposes, sections of its own ids, and empty lists."""
    body = await create_body(recorded, recorder)
    section = body["sections"][0]["id"]
    assert re.fullmatch(r"Section_[0-9a-f]{26}", section)
    assert body == {
        "title": "made",
        "vault": {"id": PRODUCTION},
        "category": "LOGIN",
        "tags": [],
        "urls": [],
        "sections": [{"id": section, "label": "Extra"}],
        "fields": [
            {
                "type": "STRING",
                "purpose": "PASSWORD",
                "label": "password",
                "generate": True,
                "recipe": {"length": 20, "characterSets": [], "excludeCharacters": ""},
            },
            {
                "type": "CONCEALED",
                "purpose": "",
                "label": "key",
                "value": "canary",
                "generate": False,
                "section": {"id": section},
            },
        ],
    }


@pytest.mark.parametrize("name", ["go"])
async def test_the_go_client_creates_with_zero_values(recorded, recorder, name):
    """The Go client sends empty ids and times of the year 1."""
    assert await create_body(recorded, recorder) == {
        "id": "",
        "title": "made",
        "vault": {"id": PRODUCTION},
        "category": "LOGIN",
        "createdAt": "0001-01-01T00:00:00Z",
        "updatedAt": "0001-01-01T00:00:00Z",
        "sections": [{"id": "section0", "label": "Extra"}],
        "fields": [
            {
                "id": "",
                "type": "",
                "purpose": "PASSWORD",
                "label": "password",
                "generate": True,
                "recipe": {"length": 20},
            },
            {"id": "", "type": "CONCEALED", "label": "key", "value": "canary", "section": {"id": "section0"}},
        ],
    }


async def test_what_a_replacement_keeps(recorded, recorder, name):
    """Replacing sends the whole item as the client's model knows it: without the files in Python."""
    await recorded.edit(FILES, BUNDLE, title="renamed")
    body = json.loads(recorder.sent[-1].body)
    assert (body["id"], body["title"], body["vault"]["id"], body["version"]) == (BUNDLE, "renamed", FILES, 1)
    assert ("files" in body) == ("python" not in name)
    assert "additionalInformation" not in body
