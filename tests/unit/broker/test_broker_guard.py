"""What holds of every request: its deadline, the length of its body, and what its answer carries."""

import asyncio
import logging
from unittest import mock

import httpx
import pytest

from keyturn.broker import guard
from keyturn.broker.guard import Guard, door_of, refusal
from keyturn.broker.limits import LONGEST_BODY
from support.broker_context import broker_metrics
from support.event_loop import until
from support.fake_time import FakeTime

GET = {"type": "http", "method": "GET", "path": "/v1/read", "headers": []}


class Guarded:
    """An application behind the guard, without a socket."""

    def __init__(self, app):
        self.time = FakeTime()
        self.metrics = broker_metrics(self.time)
        self.guard = Guard(app, metrics=self.metrics, time=self.time)
        self.sent = []

    async def send(self, message):
        self.sent.append(message)

    async def ask(self, *messages, hangs=False, **scope):
        """What the guard answers to a request whose body comes in these parts."""
        parts = list(messages or [{"type": "http.request", "body": b"", "more_body": False}])

        async def receive():
            if not parts:
                if hangs:
                    await asyncio.Event().wait()
                return {"type": "http.disconnect"}
            return parts.pop(0)

        await self.guard({**GET, **scope}, receive, self.send)
        return self.sent

    def counted(self, door, code):
        return self.metrics.registry.get_sample_value(
            "keyturn_broker_requests_total", {"door": door, "code": str(code)}
        )


async def answer(scope, receive, send):
    """Reads the body, and answers with its length."""
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


def part(length, *, more=True):
    return {"type": "http.request", "body": b"x" * length, "more_body": more}


async def test_no_answer_may_be_kept():
    """Neither by a proxy nor by a browser."""
    world = Guarded(answer)
    transport = httpx.ASGITransport(world.guard)
    async with httpx.AsyncClient(transport=transport, base_url="http://broker") as client:
        answered = await client.get("/v1/read")

    assert answered.headers["cache-control"] == "no-store"
    assert answered.headers["date"] == "Tue, 01 Jan 2030 00:00:00 GMT"
    assert world.counted("native", 200) == 1


async def test_a_door_may_say_otherwise():
    """What has no value may be kept, such as the client as a file."""

    async def app(scope, receive, send):
        headers = [(b"Cache-Control", b"max-age=60"), (b"Date", b"today")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    sent = await Guarded(app).ask()
    assert sent[0]["headers"] == [(b"cache-control", b"max-age=60"), (b"date", b"today")]


@pytest.mark.parametrize(
    ("path", "door"),
    [
        ("/v1/read", "native"),
        ("/v1/resolve", "native"),
        ("/v1/vaults", "connect"),
        ("/v1/vaults/x/items", "connect"),
        ("/heartbeat", "connect"),
        ("/health", "connect"),
        ("/v1/activity", "connect"),
        ("/v1/vault/items", "vault"),
        ("/keyturn.pyz", None),
        ("/", None),
    ],
)
def test_each_path_is_counted_for_its_door(path, door):
    """The names of vaults in a path never become labels of metrics."""
    assert door_of(path) == door


@pytest.mark.parametrize("sizes", [[LONGEST_BODY], [LONGEST_BODY // 2, LONGEST_BODY // 2]])
async def test_a_body_may_have_a_mebibyte(sizes):
    """In any number of parts."""
    *first, last = sizes
    sent = await Guarded(answer).ask(*map(part, first), part(last, more=False))
    assert sent[1]["body"] == str(LONGEST_BODY).encode()


async def test_a_longer_body_is_refused_and_read_to_its_end():
    """Its sender would not read the answer before."""
    parts = [part(LONGEST_BODY // 2) for _ in range(5)] + [part(1, more=False)]
    world = Guarded(answer)
    sent = await world.ask(*parts)

    assert sent[0]["status"] == 413
    assert (b"connection", b"close") in sent[0]["headers"]
    assert b'"too_large"' in sent[1]["body"]
    assert world.counted("native", 413) == 1


async def test_a_body_that_says_that_it_is_longer_is_not_even_begun():
    """A client that waits to be asked for its body is not asked."""
    app = mock.AsyncMock()
    world = Guarded(app)
    headers = [(b"content-length", b"1048577"), (b"expect", b"100-continue")]
    sent = await world.ask(part(1), headers=headers)

    assert sent[0]["status"] == 413
    app.assert_not_awaited()


async def test_a_body_without_end_is_not_read_for_ever():
    """At some length, the connection is closed."""
    parts = [part(LONGEST_BODY) for _ in range(100)]
    sent = await Guarded(answer).ask(*parts, hangs=True)
    assert sent[0]["status"] == 413


async def test_a_body_that_does_not_come_is_given_up(monkeypatch):
    """Its sender is told so."""
    monkeypatch.setattr(guard, "BODY_WITHIN", 0.01)
    sent = await Guarded(answer).ask(part(1), hangs=True)

    assert sent[0]["status"] == 408
    assert b'"request_timeout"' in sent[1]["body"]


async def test_a_body_that_comes_byte_by_byte_is_given_up(monkeypatch):
    """Whoever sends a byte now and then keeps nothing waiting: the whole body has that time."""
    monkeypatch.setattr(guard, "BODY_WITHIN", 0.1)
    monkeypatch.setattr(guard, "DEADLINE", 2.0)
    world = Guarded(answer)

    async def receive():
        await asyncio.sleep(0.01)
        return part(1)

    await world.guard(GET, receive, world.send)
    assert world.sent[0]["status"] == 408


async def test_nobody_is_waited_for_long_who_announces_too_much(monkeypatch):
    """It needs no token to do that, and would keep a place that others need."""
    monkeypatch.setattr(guard, "DRAINED_WITHIN", 0.01)
    headers = [(b"content-length", str(LONGEST_BODY + 1).encode())]
    async with asyncio.timeout(guard.BODY_WITHIN / 2):
        sent = await Guarded(answer).ask(part(1), hangs=True, headers=headers)
    assert sent[0]["status"] == 413


async def test_a_request_that_takes_too_long_is_answered(monkeypatch):
    """A vault that hangs must not hold a client for ever."""
    monkeypatch.setattr(guard, "DEADLINE", 0.01)

    async def hang(scope, receive, send):
        await asyncio.Event().wait()

    sent = await Guarded(hang).ask()
    assert sent[0]["status"] == 503
    assert b'"unavailable"' in sent[1]["body"]


async def test_half_an_answer_does_not_look_whole(monkeypatch):
    """The connection is closed instead: a file that is cut short must not be taken for the file."""
    monkeypatch.setattr(guard, "DEADLINE", 0.01)

    async def begin(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.Event().wait()

    world = Guarded(begin)
    with pytest.raises(ConnectionAbortedError):
        await world.ask()
    assert len(world.sent) == 1


async def test_a_defect_is_answered_without_a_word_about_it(caplog):
    """The text of an exception may quote a value."""

    async def fail(scope, receive, send):
        raise RuntimeError("canary-value")

    with caplog.at_level(logging.DEBUG):
        sent = await Guarded(fail).ask()

    assert sent[0]["status"] == 500
    assert "canary" not in f"{sent}{caplog.text}"
    assert "answering a request failed with RuntimeError" in caplog.text


async def test_an_application_that_catches_everything_does_not_catch_the_guard():
    """A body that is too long is no defect of a door."""

    async def careless(scope, receive, send):
        try:
            await answer(scope, receive, send)
        except Exception:  # noqa: BLE001 - what some door may do
            await send({"type": "http.response.start", "status": 500, "headers": []})

    sent = await Guarded(careless).ask(part(LONGEST_BODY + 1, more=False))
    assert sent[0]["status"] == 413


async def test_a_client_that_goes_away_ends_only_its_own_request():
    """The task that answers is cancelled with the process at the latest."""
    began = asyncio.Event()

    async def hang(scope, receive, send):
        began.set()
        await asyncio.Event().wait()

    world = Guarded(hang)
    task = asyncio.ensure_future(world.ask())
    await until(began.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.sent == []


async def test_what_is_no_request_is_not_answered():
    """The life cycle of the application is our own matter."""
    app = mock.AsyncMock()
    await Guarded(app).ask(type="lifespan")
    app.assert_not_awaited()


@pytest.mark.parametrize("status", [400, 408, 413, 431, 500, 503])
def test_each_refusal_speaks_to_every_door(status):
    """A Connect client reads `status` and `message`, ours reads `code`."""
    headers, body = refusal(status)
    told = httpx.Response(status, headers=headers, content=body).json()

    assert told["status"] == status
    assert told["message"] == told["title"]
    assert told["code"]
