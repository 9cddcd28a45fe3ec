import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from keyturn.base.backoff import LONGEST_RETRY_AFTER
from keyturn.providers.connect import (
    BadAnswer,
    BadRequest,
    BadStatus,
    ConnectVault,
    Missing,
    NotPermitted,
    Redirected,
    Rejected,
    ServerFailed,
    SyncPending,
    Throttled,
    TokenRefused,
    WriteConflict,
)
from keyturn.providers.connect.api_calls import equals, read_call
from keyturn.providers.connect.replies import Reply, failure, read_json
from keyturn.providers.retry_after import retry_after

CALL = read_call("/v1/vaults/{vault}", vault="v")
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


def fail(status, body=b"", **headers):
    return failure(
        CALL,
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=body,
        token="tokenword",
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, Redirected),
        (304, Redirected),
        (400, BadRequest),
        (401, TokenRefused),
        (402, Rejected),
        (403, NotPermitted),
        (406, Rejected),
        (408, SyncPending),
        (409, WriteConflict),
        (413, Rejected),
        (414, Rejected),
        (429, Throttled),
        (431, Rejected),
        (451, Rejected),
        (500, ServerFailed),
        (502, ServerFailed),
        (503, ServerFailed),
        (504, ServerFailed),
        (599, ServerFailed),
        (101, Rejected),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b'[{"status":1}]', b"null", b"\xff\xfe"])
def test_a_failure_is_classified_by_its_status(status, kind, body):
    """Whatever body a proxy sends, the status decides, and the text names only route and status."""
    error = fail(status, body)

    assert type(error) is kind
    assert error.status == status
    assert str(error).startswith(f"GET /v1/vaults/{{vault}}: status {status}")
    assert "html" not in str(error)


def test_connect_s_own_message_is_shown():
    """The body of every documented error is an object with the same status and a message."""
    error = fail(403, b'{"status":403,"message":"vault x is not in scope"}')

    assert str(error) == "GET /v1/vaults/{vault}: status 403: vault x is not in scope"
    assert error.server_message == "vault x is not in scope"


def test_the_token_is_masked_in_a_message():
    """A server may repeat it."""
    assert str(fail(401, b'{"status":401,"message":"bad tokenword"}')).endswith("status 401: bad ***")


def test_a_title_is_masked_in_a_message():
    """Even a title of plain words, which no rule could distinguish from prose."""
    call = read_call("/v1/vaults/{vault}/items", filter=equals("title", "plain words"), vault="v")
    error = failure(call, status=400, headers={}, body=b'{"status":400,"message":"no plain words here"}', token="t")

    assert isinstance(error, BadStatus)
    assert error.server_message == "no *** here"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"status":404,"message":"item x not found"}', Missing),
        (b'{"status":404}', Missing),
        (b"404 page not found", BadAnswer),
        (b"<html>nothing here</html>", BadAnswer),
        (b'{"kind":"Status","status":"Failure","message":"not found","code":404}', BadAnswer),
        (b'{"status":500,"message":"x"}', BadAnswer),
        (b"", BadAnswer),
    ],
)
def test_only_a_404_in_connect_s_own_form_means_missing(body, kind):
    """An ingress without a route answers 404 as well; nothing may be concluded from that."""
    assert type(fail(404, body)) is kind


@pytest.mark.parametrize(
    ("message", "malformed"),
    [("Invalid Item UUID", True), ("invalid vault uuid: x", True), ("Invalid item category", False), ("", False)],
)
def test_a_malformed_id_is_distinguished_from_other_bad_requests(message, malformed):
    """Connect answers 400, not 404, to an id of the wrong form; its texts change, so they are matched loosely."""
    assert fail(400, b'{"status":400,"message":"%s"}' % message.encode()).malformed_id is malformed


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://login.example/x?token=canary#y", "the host login.example;"),
        ("//user:canary@other.example/", "the host other.example;"),
        ("/elsewhere?canary", "another path of the same host;"),
        ("http://[broken", "another path of the same host;"),
        ("", "another path of the same host;"),
    ],
)
def test_a_redirect_names_the_host_it_leads_to_and_nothing_more(location, shown):
    """It is a mistake in the address, which its owner must see; the rest of the location may contain anything."""
    text = str(fail(302, location=location))

    assert shown in text
    assert "canary" not in text


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "86400"}, LONGEST_RETRY_AFTER),
        ({"retry-after": "9" * 18}, LONGEST_RETRY_AFTER),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:27:30 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Thu, 22 Oct 2015 07:28:00 GMT", "date": DATE}, LONGEST_RETRY_AFTER),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}, None),
        ({"retry-after": "Wed, 99 Oct 2015 07:28:30 GMT", "date": DATE}, None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(headers, seconds):
    """Seconds or a date, relative to the server's own clock; at most a minute; nonsense is no number."""
    assert retry_after(headers) == seconds


@given(st.text(), st.text())
def test_any_retry_after_is_a_bounded_number_or_none(text, date):
    """No header makes the client wait for ever, or fail."""
    seconds = retry_after({"retry-after": text, "date": date})

    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not JSON"),
        (b"<html>canary</html>", "not JSON"),
        (b'[{"id":"canary"', "not JSON"),
        (b'"canary"', "wrong shape"),
        (b"null", "wrong shape"),
        (b'{"id":"canary"}', "wrong shape"),
        (b'[["canary"]]', "0 has the wrong shape"),
        (b'[{"id":"ok","name":["canary"]}]', "0.name has the wrong shape"),
        (b'[{"name":"canary"}]', "0.id has the wrong shape"),
        (b'[{"id":"../canary"}]', "0.id has the wrong shape"),
        (b'[{"id":"\xff canary"}]', "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_wrong_shape_is_described_by_place_and_kind_never_by_content(body, problem):
    """The error says where the shape is wrong, and its chain carries no input."""
    with pytest.raises(BadAnswer, match=problem) as caught:
        read_json(TypeAdapter(tuple[ConnectVault, ...]), Reply(CALL, 200, {"content-type": "text/html; canary"}, body))

    assert "canary" not in str(caught.value)
    assert f"{len(body)} bytes of text/html" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("status", [202, 203, 204, 206])
def test_success_without_content_is_no_answer(status):
    """204 on a read must not count as an empty list."""
    with pytest.raises(BadAnswer):
        read_json(TypeAdapter(tuple[ConnectVault, ...]), Reply(CALL, status, {}, b"[]"))
