"""What the client asks the broker, how often, and what it makes of the answers."""

import http.client
import json
import socket
import ssl
from typing import Any, cast

import pytest

from keyturn.client.broker import BrokerClient, ReadValue
from keyturn.client.client_settings import BrokerAddress
from keyturn.client.failures import ClientError, ImplausibleAnswer, Misuse, NotGiven, NotIdentified, NotNow

REFERENCE = "op://v/i/f"


class FakeToken:
    """A token that is another one each time."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1
        return f"token-{self.count}"


class FakeConnection:
    """A connection whose answers were given before; an exception is raised."""

    def __init__(self, answers, asked):
        self.answers, self.asked = answers, asked

    def request(self, method, path, body, headers):
        self.asked.append((method, path, headers["Authorization"], body and json.loads(body)))

    def getresponse(self):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        self.status, self.headers, self.content = answer
        return self

    def read(self, amount):
        return self.content[:amount]

    def close(self):
        pass


class Scene:
    def __init__(self, *answers):
        self.answers, self.asked, self.pauses = list(answers), [], []
        address = BrokerAddress("broker", 443, "/front", None, encrypted=True)
        self.client = BrokerClient(
            address,
            FakeToken(),
            "1.0",
            self.pauses.append,
            lambda _: cast("Any", FakeConnection(self.answers, self.asked)),
        )

    def resolve(self):
        return self.client.resolve([REFERENCE])


def results(**members):
    return 200, {}, json.dumps({"results": [{"ref": REFERENCE, **members}]}).encode()


def refusal(status, code="", **headers):
    return (
        status,
        {name.replace("_", "-"): value for name, value in headers.items()},
        json.dumps({"code": code}).encode(),
    )


GOOD = results(value="p", version=1)


def test_a_value_is_read_below_the_path_of_the_broker():
    """An Ingress may have it under a path of its own."""
    scene = Scene(GOOD)

    assert scene.resolve() == {REFERENCE: ReadValue(b"p", is_text=True)}
    assert scene.asked == [("POST", "/front/v1/resolve", "Bearer token-1", {"refs": [REFERENCE]})]


def test_a_reference_that_stands_twice_is_asked_once():
    """Each read is a record of the audit."""
    scene = Scene(GOOD)

    scene.client.resolve([REFERENCE, REFERENCE])

    assert [body for *_, body in scene.asked] == [{"refs": [REFERENCE]}]


@pytest.mark.parametrize(
    "passing",
    [
        refusal(503, "unavailable"),
        refusal(503, "audit_unavailable"),
        refusal(503, "stale_rights"),
        refusal(429, "too_many_requests"),
        refusal(502),
        refusal(504),
        results(error={"code": "unavailable"}),
        ConnectionRefusedError(111, "Connection refused"),
        http.client.RemoteDisconnected("gone"),
        http.client.IncompleteRead(b"canary"),
        TimeoutError(),
        socket.gaierror(-2, "Name or service not known"),
    ],
)
def test_what_may_pass_is_asked_again_with_a_fresh_token(passing):
    """A replica that ends, or a vault that restarts, must not fail a pipeline."""
    scene = Scene(passing, GOOD)

    assert scene.resolve()[REFERENCE].data == b"p"
    assert [token for _, _, token, _ in scene.asked] == ["Bearer token-1", "Bearer token-2"]
    assert 0.5 <= scene.pauses[0] <= 0.75


def test_after_five_attempts_the_last_reason_is_said():
    """After eight seconds, or twelve: the pauses grow and are spread."""
    scene = Scene(*[refusal(503, "unavailable")] * 5)

    with pytest.raises(NotNow, match="cannot be reached"):
        scene.resolve()

    assert len(scene.asked) == 5
    assert 7.5 <= sum(scene.pauses) <= 11.25


def test_the_broker_says_how_long_to_wait():
    """As long as that is bearable."""
    scene = Scene(refusal(429, Retry_After="7"), GOOD)
    scene.resolve()
    assert 7 <= scene.pauses[0] <= 10.5

    scene = Scene(refusal(429, Retry_After="3600"))
    with pytest.raises(NotNow, match="too many requests"):
        scene.resolve()
    assert scene.pauses == []


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (refusal(401, "not_authenticated"), NotIdentified, "does not accept the token"),
        (refusal(403, "action_not_granted"), NotGiven, "does not allow"),
        (refusal(404, "not_found"), NotGiven, "no grant names it"),
        (refusal(404, "no_connection"), NotGiven, "no connection"),
        (refusal(409, "ambiguous"), NotGiven, "connection=<namespace>/<name>"),
        (refusal(503, "reconnect_required"), NotNow, "needs a new one"),
        (refusal(400, "bad_request"), Misuse, "does not understand"),
        (refusal(404), NotGiven, "KEYTURN_BROKER_URL"),
        (refusal(418, "tea\npot"), ClientError, r'418 ("tea\npot")'),
        ((302, {}, b""), ClientError, "302"),
        ((200, {}, b"<html>canary"), ImplausibleAnswer, "no JSON"),
        ((200, {}, b"[" * 100_000), ImplausibleAnswer, "no JSON"),
        ((200, {}, b'{"results": 1}'), ImplausibleAnswer, "not one result"),
        ((200, {}, b'{"results": [{"ref": "op://v/i/g", "value": "canary"}]}'), ImplausibleAnswer, "other references"),
        (results(value=1), ImplausibleAnswer, "without a value"),
        (results(value="canary", encoding="rot13"), ImplausibleAnswer, "without a value"),
        (results(value="canary!", encoding="base64"), ImplausibleAnswer, "no base64"),
        (results(error={"code": "not_found"}), NotGiven, f"{REFERENCE}: not there"),
        (results(error={"code": "bad_reference", "detail": "why"}), Misuse, '"why"'),
        (results(error="?"), ClientError, REFERENCE),
    ],
)
def test_what_stays_is_said_at_once(answer, kind, said):
    """Asking again would only take longer, and fill the audit."""
    scene = Scene(answer)

    with pytest.raises(ClientError) as failed:
        scene.resolve()

    assert type(failed.value) is kind
    assert said in str(failed.value)
    assert len(scene.asked) == 1
    assert scene.pauses == []


@pytest.mark.parametrize(
    "answer",
    [
        http.client.IncompleteRead(b"canary"),
        http.client.BadStatusLine("canary"),
        (200, {}, b'{"value": "canary"'),
        results(value="canary!", encoding="base64"),
    ],
)
def test_no_error_holds_a_part_of_an_answer(answer):
    """Neither in its text nor in what it came from: a traceback shows both."""
    scene = Scene(*[answer] * 5)

    with pytest.raises(ClientError) as failed:
        scene.resolve()

    error: BaseException | None = failed.value
    while error is not None:
        assert "canary" not in repr(error)
        assert "canary" not in repr(vars(error))
        error = error.__cause__ or error.__context__


def test_a_certificate_that_is_not_accepted_is_no_passing_failure():
    """The token has not been sent, and is not sent again."""
    error = ssl.SSLCertVerificationError()
    error.verify_message = "self-signed certificate"
    scene = Scene(error)

    with pytest.raises(Misuse, match="self-signed certificate; KEYTURN_CA_FILE"):
        scene.resolve()
    assert scene.pauses == []


def test_values_of_files_are_bytes():
    """JSON has none."""
    assert Scene(results(value="AP8=", encoding="base64")).resolve()[REFERENCE].data == b"\x00\xff"


def test_no_repr_shows_a_value():
    """It would be in a traceback."""
    assert "canary" not in repr(ReadValue(b"canary", is_text=True))


def test_the_other_doors():
    """Each of them is one request."""
    scene = Scene(*[(200, {}, b"{}")] * 4)

    scene.client.items(url="", query="")
    scene.client.items(url="https://a.example/x y", query="ä")
    scene.client.sync()
    scene.client.grants()

    assert [(method, path) for method, path, *_ in scene.asked] == [
        ("GET", "/front/v1/vault/items"),
        ("GET", "/front/v1/vault/items?url=https%3A%2F%2Fa.example%2Fx+y&q=%C3%A4"),
        ("POST", "/front/v1/vault/items/sync"),
        ("GET", "/front/v1/grants"),
    ]
