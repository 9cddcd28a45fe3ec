import json
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.providers.connect import BadRequest
from keyturn.providers.connect.api_calls import Kind, content_call, equals, read_call, write_call

ROUTE = "/v1/vaults/{vault}/items/{item}"


@given(st.text())
def test_any_title_in_a_filter_is_unchanged(title):
    """The whole filter is percent-encoded; a text that no filter can hold has none."""
    filter_ = equals("title", title)
    if filter_ is None:
        assert '"' in title or "\\" in title or not title.isprintable() or len(title) > 1000
        return

    call = read_call("/v1/vaults/{vault}/items", filter=filter_, vault="v")

    assert call.target.isascii()
    assert not set(call.target.split("?", 1)[1]) & set(' "+#/?&')
    assert parse_qs(urlsplit(call.target).query) == {"filter": [f'title eq "{title}"']}


@pytest.mark.parametrize("title", ['a "quoted" title', "back\\slash", "new\nline", "\ud800", "t" * 1001])
def test_a_title_that_cannot_be_escaped_has_no_filter(title):
    """Connect documents no escape for a quote, so the caller lists all items and compares titles itself."""
    assert equals("title", title) is None


@pytest.mark.parametrize(
    ("id_", "segment"),
    [("abc", "abc"), ("a/b", "a%2Fb"), ("a?b#c", "a%3Fb%23c"), ("a%2Fb", "a%252Fb"), ("ä", "%C3%A4")],
)
def test_an_id_never_leaves_its_segment(id_, segment):
    """Slashes and the like in an id are encoded."""
    assert read_call(ROUTE, vault="v", item=id_).target == f"/v1/vaults/v/items/{segment}"


@pytest.mark.parametrize("id_", ["", ".", "..", "a\nb", "\ud800", "x" * 1001])
def test_an_id_that_could_change_the_path_is_refused(id_):
    """Clients and proxies remove dot segments, whatever their encoding."""
    with pytest.raises(BadRequest) as caught:
        read_call(ROUTE, vault="v", item=id_)

    assert caught.value.malformed_id


def test_a_call_shows_neither_target_nor_body():
    """Targets contain titles and bodies contain values: the repr names only the route."""
    filtered = read_call("/v1/vaults", filter=equals("name", "canary"))
    posted = write_call("POST", ROUTE, body={"fields": [{"value": "canary"}], "n": 1}, vault="v", item="i")

    assert "canary" not in f"{filtered!r} {posted!r}"
    assert "/v1/vaults" in repr(filtered)


def test_a_write_masks_every_text_of_its_body():
    """A server may repeat part of a body in its message."""
    body = {"title": "one", "tags": ["two"], "fields": [{"value": "three", "n": 4, "x": None}]}
    call = write_call("PATCH", ROUTE, body=body, vault="v", item="i")

    assert call.redact == ("one", "two", "three")
    assert call.body is not None
    assert json.loads(call.body) == body
    assert call.kind is Kind.WRITE


def test_file_content_is_requested_by_ids_and_unencoded():
    """The path is built from ids, not from an answer."""
    call = content_call("/v1/vaults/{vault}/items/{item}/files/{file}/content", limit=7, vault="v", item="i", file="f")

    assert call.target == "/v1/vaults/v/items/i/files/f/content"
    assert (call.limit, call.kind, call.accept) == (7, Kind.CONTENT, "application/octet-stream")
