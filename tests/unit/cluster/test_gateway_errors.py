"""Each answer that is no success becomes one error without a value."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.cluster.errors import (
    AlreadyExists,
    Cause,
    ClusterError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    classify,
    clean_text,
    from_status,
)

CANARY = "canary-77aa"


def error(status, body=None, *, quotable=False, retry_after=None):
    raw = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    return classify(
        status,
        raw,
        method="PATCH",
        path="/api/v1/namespaces/{namespace}/secrets/{name}",
        quotable=quotable,
        retry_after=retry_after,
    )


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (400, "BadRequest", Invalid),
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (405, "MethodNotAllowed", ClusterError),
        (409, "Conflict", Conflict),
        (409, "AlreadyExists", AlreadyExists),
        (410, "Expired", Gone),
        (410, "Gone", Gone),
        (413, "RequestEntityTooLarge", TooLarge),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", TooManyRequests),
        (500, "InternalError", Unavailable),
        (503, "ServiceUnavailable", Unavailable),
        (504, "Timeout", Unavailable),
        (302, "", ClusterError),
    ],
)
def test_each_status_is_one_error(status, reason, kind):
    """The class decides what to do; status and reason stay readable."""
    found = error(status, {"reason": reason})

    assert type(found) is kind
    assert found.status == status
    assert found.reason == (reason or "ClusterError")
    assert str(found).startswith(f"PATCH /api/v1/namespaces/{{namespace}}/secrets/{{name}}: {status} ")


@pytest.mark.parametrize(
    "body", [b"", b"<html>502 Bad Gateway</html>", b"[]", b'"x"', b"{\xff", b'{"details": [], "reason": 7}']
)
def test_a_body_of_a_proxy_is_ignored(body):
    """Only its status counts, and nothing of the body is passed on."""
    found = error(502, body)

    assert type(found) is Unavailable
    assert found.message == "the API server cannot answer now"


@pytest.mark.parametrize(
    ("header", "details", "seconds"),
    [
        ("17", {}, 17.0),
        ("17", {"retryAfterSeconds": 3}, 17.0),
        (None, {"retryAfterSeconds": 3}, 3.0),
        (None, {}, None),
        ("0", {}, None),
        ("-4", {}, None),
        ("Wed, 21 Oct 2030 07:28:00 GMT", {}, None),
        ("99999999999999", {}, None),
        ("²", {}, None),
        (None, {"retryAfterSeconds": True}, None),
        (None, {"retryAfterSeconds": "4"}, 4.0),
    ],
)
def test_retry_after_is_read_from_header_or_body(header, details, seconds):
    """The header wins; anything but a positive number of seconds counts as absent."""
    assert error(429, {"details": details}, retry_after=header).retry_after == seconds


def invalid(**cause):
    return {"reason": "Invalid", "message": f'Invalid value: "{CANARY}"', "details": {"causes": [cause]}}


def test_a_refused_value_is_never_quoted():
    """Field and reason are passed on; the API server's text and the cause's message are not."""
    found = error(422, invalid(field="data[tls.key]", reason="FieldValueInvalid", message=f'"{CANARY}"'))

    assert found.message == "the API server refuses the object: data[tls.key] (FieldValueInvalid)"
    assert found.causes == (Cause("data[tls.key]", "FieldValueInvalid"),)
    assert CANARY not in repr(found.__dict__)


@pytest.mark.parametrize("field", [f"data[{CANARY} {CANARY}]", f'a"{CANARY}', "x" * 201, 7, None])
def test_a_field_of_an_unknown_form_is_left_out(field):
    """Only a text in the form of a field path is passed on."""
    found = error(422, invalid(field=field, reason="FieldValueInvalid"))

    assert found.causes == (Cause("", "FieldValueInvalid"),)
    assert CANARY not in str(found)


def test_kinds_without_values_may_be_quoted():
    """The API server's own text about a custom resource is passed on, on one line."""
    found = error(422, {"message": 'spec.itemPath: Invalid value:\n "x": must match'}, quotable=True)

    assert found.message == 'spec.itemPath: Invalid value: "x": must match'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            (
                f'secrets "{CANARY}" is forbidden: User "system:serviceaccount:ops:keyturn" cannot patch resource "secrets" '
                f'in API group "" in the namespace "apps": {CANARY}'
            ),
            'User "system:serviceaccount:ops:keyturn" cannot patch resource "secrets" in API group "" in the namespace "apps"',
        ),
        (
            'User "x" cannot list resource "secrets" in API group "" at the cluster scope',
            'User "x" cannot list resource "secrets" in API group "" at the cluster scope',
        ),
        (
            f'secrets "{CANARY}" is forbidden: exceeded quota: small, requested: secrets=1, used: secrets=9, limited: secrets=9',
            "exceeded quota: small, requested: secrets=1, used: secrets=9, limited: secrets=9",
        ),
        (
            f'admission webhook "policy.example.com" denied the request: the password {CANARY} is too short',
            'admission webhook "policy.example.com" denied the request',
        ),
        (
            f"ValidatingAdmissionPolicy 'strict' with binding 'all' denied request: {CANARY}",
            "ValidatingAdmissionPolicy 'strict' with binding 'all' denied request",
        ),
        (f"because of {CANARY}", "refused by RBAC, a quota or an admission policy"),
    ],
    ids=["rbac", "rbac cluster-wide", "quota", "webhook", "policy", "anything else"],
)
def test_known_phrases_of_a_refusal_are_passed_on(text, message):
    """They hold only names, and are cut out of the text; the rest of the text is dropped."""
    assert error(403, {"reason": "Forbidden", "message": text}).message == message


def test_a_schema_error_of_an_apply_is_no_outage():
    """The API server answers it with 500, which would be retried for ever."""
    text = f"failed to create typed patch object (/x; /v1, Kind=Secret): .data.a: expected string, got {CANARY}"
    found = error(500, {"message": text})

    assert type(found) is Invalid
    assert CANARY not in str(found)


def test_another_uid_is_a_conflict():
    """The API server answers 422 if an object was created again under its name; that is a race and no bad input."""
    cause = {"reason": "FieldValueInvalid", "field": "metadata.uid"}
    found = error(422, {"reason": "Invalid", "details": {"causes": [cause, cause]}})

    assert type(found) is Conflict
    assert found.causes == (Cause("metadata.uid", "FieldValueInvalid"),)


def test_a_namespace_being_deleted_is_no_missing_right():
    """Both are 403; only the cause differs."""
    cause = {"reason": "NamespaceTerminating", "field": "metadata.namespace"}

    assert error(403, {"details": {"causes": [cause]}}).namespace_terminating
    assert not error(403).namespace_terminating


def test_the_error_event_of_a_watch_brings_its_own_status():
    """It has no HTTP status."""
    found = from_status(
        {"code": 410, "reason": "Expired"}, status=0, method="GET", path="/api/v1/secrets", quotable=False
    )
    unknown = from_status({}, status=0, method="GET", path="/api/v1/secrets", quotable=False)

    assert type(found) is Gone
    assert type(unknown) is Unavailable


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(
    status=st.integers(300, 599),
    message=json_values,
    details=json_values | st.fixed_dictionaries({"causes": json_values, "retryAfterSeconds": json_values}),
    code=json_values,
)
def test_no_answer_breaks_the_classification(status, message, details, code):
    """Any JSON in any place makes an error with a text of one bounded line."""
    found = error(status, {"message": message, "details": details, "reason": code, "code": code}, quotable=True)

    assert isinstance(found, ClusterError)
    assert len(found.message) <= 500
    assert "\n" not in str(found)


@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from([400, 403, 409, 422, 500]))
def test_text_about_a_secret_is_never_passed_on(before, after, status):
    """A value in the server's text does not reach ours, whatever surrounds it."""
    body = {
        "message": f"{before}{CANARY}{after}",
        "details": {"causes": [{"message": CANARY, "reason": "FieldValueInvalid"}]},
    }

    assert CANARY not in str(error(status, body))


@given(st.text(), st.integers(10, 50))
def test_foreign_text_becomes_one_short_line(text, longest):
    """It is printable and bounded, and unchanged if it was so before."""
    line = clean_text(text, longest)

    assert len(line) <= longest
    assert line.isprintable()
    assert clean_text(line, longest) == line
