import json
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.providers.connect import BadRequest
from keyturn.providers.connect.calls import Kind, content, delete, equals, read, write

ROUTE = "/v1/vaults/{vault}/items/{item}"


@given(st.text())
def test_any_title_survives_its_way_into_a_filter(title):
    """The whole filter is percent-encoded; texts that no filter can hold are not put into one."""
    filter_ = equals("title", title)
    if filter_ is None:
        assert '"' in title or "\\" in title or not title.isprintable() or len(title) > 1000
        return

    call = read("/v1/vaults/{vault}/items", filter=filter_, vault="v")

    assert call.target.isascii()
    assert not set(call.target.split("?", 1)[1]) & set(' "+#/?&')
    assert parse_qs(urlsplit(call.target).query) == {"filter": [f'title eq "{title}"']}


@pytest.mark.parametrize("title", ['a "quoted" title', "back\\slash", "new\nline", "\ud800", "t" * 1001])
def test_what_cannot_be_escaped_is_not_filtered_for(title):
    """No escape for a quote is published, so that such titles are listed and compared locally."""
    assert equals("title", title) is None


@pytest.mark.parametrize(
    ("id_", "segment"),
    [("abc", "abc"), ("a/b", "a%2Fb"), ("a?b#c", "a%3Fb%23c"), ("a%2Fb", "a%252Fb"), ("ä", "%C3%A4")],
)
def test_an_id_never_leaves_its_segment(id_, segment):
    """Slashes and the like in an id are encoded."""
    assert delete(ROUTE, vault="v", item=id_).target == f"/v1/vaults/v/items/{segment}"


@pytest.mark.parametrize("id_", ["", ".", "..", "a\nb", "\ud800", "x" * 1001])
def test_an_id_that_could_fold_the_path_is_refused(id_):
    """Dot segments are folded away by clients and proxies, whatever their encoding."""
    with pytest.raises(BadRequest) as caught:
        read(ROUTE, vault="v", item=id_)

    assert caught.value.malformed_id


def test_a_call_shows_neither_target_nor_body():
    """Titles stand in targets, values in bodies: the repr names the route only."""
    filtered = read("/v1/vaults", filter=equals("name", "canary"))
    posted = write("POST", ROUTE, body={"fields": [{"value": "canary"}], "n": 1}, vault="v", item="i")

    assert "canary" not in f"{filtered!r} {posted!r}"
    assert "/v1/vaults" in repr(filtered)


def test_a_write_knows_every_text_it_sends():
    """A server that repeats part of a body in its message must not bring it back."""
    body = {"title": "one", "tags": ["two"], "fields": [{"value": "three", "n": 4, "x": None}]}
    call = write("PUT", ROUTE, body=body, vault="v", item="i")

    assert call.sent == ("one", "two", "three")
    assert json.loads(call.body) == body
    assert call.kind is Kind.WRITE


def test_file_content_is_asked_for_by_ids_and_as_it_is():
    """The path is built from ids, not from anything an answer says."""
    call = content("/v1/vaults/{vault}/items/{item}/files/{file}/content", limit=7, vault="v", item="i", file="f")

    assert call.target == "/v1/vaults/v/items/i/files/f/content"
    assert (call.limit, call.kind, call.accept) == (7, Kind.CONTENT, "application/octet-stream")
