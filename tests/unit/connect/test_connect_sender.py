"""The whole way of a call: scripts of answers in, requests out. Only the network and time are fake."""

import asyncio
import gc
import logging
import types

import httpx
import pytest
from connect_fakes import (
    ITEM,
    TOKEN,
    VAULT,
    Bench,
    Chunks,
    alive,
    answer,
    fault,
    item_json,
    page,
    vault_json,
)
from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.backoff import LONGEST_RETRY_AFTER
from keyturn.providers.connect import (
    BadAnswer,
    BadToken,
    ConfigError,
    ConnectError,
    Interrupted,
    Missing,
    NotPermitted,
    Oversized,
    Redirected,
    ServerFailed,
    SyncPending,
    Throttled,
    TimedOut,
    TokenRefused,
    Unreachable,
    WriteConflict,
)

GOOD = [vault_json()]


def good():
    return answer(GOOD)


CLOSED = [httpx.RemoteProtocolError("Server disconnected"), httpx.ReadError("reset"), httpx.WriteError("reset")]


@pytest.mark.parametrize("step", [*CLOSED, ConnectionResetError(104, "reset")], ids=lambda step: type(step).__name__)
async def test_a_read_on_a_kept_connection_that_was_closed_is_sent_again_at_once(step):
    """Servers and proxies close idle connections when they like; that is not a failure of the server."""
    bench = Bench(step, good())

    found = await bench.client.vaults()

    assert [vault.name for vault in found] == ["Prod"]
    assert bench.sent == 2
    assert bench.time.slept == []


@pytest.mark.parametrize(
    ("step", "kind", "sent"),
    [
        (httpx.ConnectError("refused"), Unreachable, 1),
        (httpx.ConnectTimeout("slow"), TimedOut, 1),
        (httpx.ReadTimeout("slow"), TimedOut, 1),
        (httpx.ReadError("reset"), Interrupted, 2),
        (fault(500), ServerFailed, 2),
        (fault(502), ServerFailed, 1),
        (fault(401), TokenRefused, 1),
        (fault(403), NotPermitted, 2),
        (fault(404), Missing, 1),
        (fault(400), ConnectError, 1),
        (fault(408), SyncPending, 2),
        (fault(429, **{"retry-after": "60"}), Throttled, 1),
        (page(), BadAnswer, 1),
        (page(404), BadAnswer, 1),
        (httpx.Response(204), BadAnswer, 1),
        (answer({"vaults": []}), BadAnswer, 1),
        (httpx.Response(302, headers={"location": "http://else"}), Redirected, 1),
    ],
    ids=lambda value: None,
)
async def test_what_a_read_still_fails_of_goes_up_without_a_pause(step, kind, sent):
    """The health of the connection decides what is sent again, and when. The text names method, route and status."""
    bench = Bench(step, step, good())

    with pytest.raises(kind, match=r"^GET /v1/vaults: ") as caught:
        await bench.client.vaults()

    assert bench.sent == sent
    assert bench.time.slept == []
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "step",
    [*CLOSED, fault(504), httpx.ReadTimeout("slow"), httpx.ConnectError("refused"), fault(408), fault(409), page()],
)
async def test_a_write_is_never_sent_again(step):
    """A gateway's 504 may hide a created item: creating it again would make two."""
    bench = Bench(step)

    with pytest.raises(ConnectError):
        await bench.client.create_item(VAULT, {"title": "x"})

    assert bench.sent == 1


async def test_a_write_with_a_token_that_was_just_replaced_is_sent_again():
    """401 is a refusal before any work."""
    bench = Bench(fault(401), answer(item_json()), token=Tokens("old", "new"))

    item = await bench.client.create_item(VAULT, {"title": "x"})

    assert item.id == ITEM
    assert authorizations(bench) == ["Bearer old", "Bearer new"]


async def test_a_conflict_is_the_caller_s_to_solve():
    """After 409 the caller reads again and applies again."""
    with pytest.raises(WriteConflict):
        await Bench(fault(409)).client.patch_item(VAULT, ITEM, [])


class Tokens:
    """A token source that has another token when it is renewed."""

    def __init__(self, *tokens):
        self.tokens = list(tokens)

    def current(self):
        return self.tokens[0]

    def renew(self):
        if len(self.tokens) > 1:
            self.tokens.pop(0)
            if self.tokens[0] is None:
                raise BadToken("the file is empty")
            return True
        return False

    def stamp(self):
        """It never changes by itself."""


def authorizations(bench):
    return [request.headers.get("authorization") for request in bench.script.requests]


async def test_a_refused_token_is_renewed_before_the_one_retry():
    """A token may be replaced at any time: the next request carries the new one."""
    bench = Bench(fault(401), good(), token=Tokens("old", "new"))

    await bench.client.vaults()

    assert authorizations(bench) == ["Bearer old", "Bearer new"]


async def test_a_token_that_is_gone_after_a_refusal_is_a_clear_error():
    """The old token is refused and the file has no usable one: no second request."""
    bench = Bench(fault(401), good(), token=Tokens("old", None))

    with pytest.raises(BadToken, match="the file is empty"):
        await bench.client.vaults()

    assert bench.sent == 1


async def test_the_same_token_is_not_sent_again_after_a_refusal():
    """A refused credential is never retried by the client."""
    bench = Bench(fault(401), good(), token=Tokens("only"))

    with pytest.raises(TokenRefused):
        await bench.client.vaults()

    assert bench.sent == 1


async def test_a_heartbeat_carries_no_token():
    """It only checks that the server answers, and reveals nothing."""
    bench = Bench(alive())
    await bench.client.heartbeat()

    assert authorizations(bench) == [None]


@pytest.mark.parametrize("step", CLOSED)
async def test_a_heartbeat_on_a_kept_connection_that_was_closed_is_sent_again(step):
    """That a server closes connections does not mean that it is down."""
    bench = Bench(step, alive())

    await bench.client.heartbeat()

    assert bench.sent == 2


@pytest.mark.parametrize("step", [fault(500), fault(503), page()])
async def test_a_heartbeat_that_fails_is_exactly_one_request(step):
    """Its caller has a rhythm of its own."""
    bench = Bench(step, alive())

    with pytest.raises(ConnectError):
        await bench.client.heartbeat()

    assert bench.sent == 1


async def test_a_short_pause_that_the_server_asks_for_is_waited_out():
    """The call is sent once more when it is over, and its caller notices nothing; a heartbeat does not wait."""
    bench = Bench(fault(429, **{"retry-after": "3"}), good())

    await bench.client.vaults()

    assert (bench.sent, bench.time.slept) == (2, [3.0])


async def test_a_long_pause_goes_up_and_is_kept_without_requests():
    """The caller learns its length, capped; until it is over every call fails at once."""
    bench = Bench(fault(429, **{"retry-after": "900"}), good())

    for expected in (LONGEST_RETRY_AFTER, LONGEST_RETRY_AFTER - 1):
        with pytest.raises(Throttled) as caught:
            await bench.client.vaults()
        assert caught.value.retry_after == expected
        bench.time.advance(1)
    with pytest.raises(Throttled, match="not sent: the server asked for no requests for another"):
        await bench.client.heartbeat()
    assert bench.sent == 1

    bench.time.advance(LONGEST_RETRY_AFTER - 2)
    await bench.client.vaults()

    assert bench.sent == 2


async def test_a_heartbeat_does_not_wait_for_the_end_of_a_pause():
    """Its caller has a rhythm of its own."""
    bench = Bench(fault(429, **{"retry-after": "3"}))

    for _ in range(2):
        with pytest.raises(Throttled):
            await bench.client.heartbeat()

    assert (bench.sent, bench.time.slept) == (1, [])


async def test_a_429_without_a_number_pauses_for_a_second():
    """Something must pass, or the burst that caused it would go on."""
    bench = Bench(fault(429), good())

    await bench.client.vaults()

    assert bench.time.slept == [1.0]


async def test_a_429_halves_what_is_under_way_at_once():
    """For the whole client, not only for the call that met it."""
    under_way, most, hold = 0, 0, asyncio.Event()

    async def slow(_request):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await hold.wait()
        under_way -= 1
        return good()

    bench = Bench(fault(429, **{"retry-after": "100"}), slow, connections=10)
    with pytest.raises(Throttled):
        await bench.client.vaults()
    bench.time.advance(100)
    tasks = [asyncio.create_task(bench.client.vaults()) for _ in range(20)]
    for _ in range(50):
        await asyncio.sleep(0)
    hold.set()
    await asyncio.gather(*tasks)

    assert most == 5


async def test_a_call_that_waited_for_its_turn_checks_for_a_pause_again():
    """Calls that were queued before a 429 came are not sent one after another."""

    async def refuse(_request):
        await asyncio.sleep(0)
        return fault(429, **{"retry-after": "200"})

    bench = Bench(refuse, connections=1)

    found = await asyncio.gather(*(bench.client.vaults() for _ in range(20)), return_exceptions=True)

    assert {type(one) for one in found} == {Throttled}
    assert bench.sent == 1


OTHERS = ["other1other2other3other412", "other1other2other3other413", "other1other2other3other414"]


def limiting(*limited, seconds="1"):
    """A server that answers 429 for some items, for ever."""

    def step(request):
        if request.url.path.endswith("/heartbeat"):
            return alive()
        if "/items/" not in request.url.path:
            return good()
        item = request.url.path.rpartition("/")[2]
        return fault(429, **{"retry-after": seconds}) if item in limited else answer(item_json(id=item))

    return step


async def test_an_item_that_limits_for_ever_stops_nothing_else():
    """Neither heartbeats, nor lists, nor other items wait for it, and it is not asked before its time."""
    bench = Bench(limiting(ITEM))
    for _ in range(5):
        with pytest.raises(Throttled) as caught:
            await bench.client.item(VAULT, ITEM)
        assert not caught.value.whole
        before = bench.sent
        with pytest.raises(Throttled, match="not sent: the server asked for no such requests for another"):
            await bench.client.item(VAULT, ITEM)
        assert bench.sent == before
        slept = list(bench.time.slept)
        await bench.client.heartbeat()
        await bench.client.vaults()
        await bench.client.item(VAULT, OTHERS[0])
        assert bench.time.slept == slept
        bench.time.advance(1)

    assert bench.time.slept == [1.0]


async def test_an_item_that_limits_for_long_is_not_waited_for():
    """The caller has other things to do, and learns how long to leave the item alone."""
    bench = Bench(limiting(ITEM, seconds="20"))

    with pytest.raises(Throttled) as caught:
        await bench.client.item(VAULT, ITEM)

    assert (bench.sent, bench.time.slept, caught.value.retry_after) == (1, [], 20.0)


async def test_several_items_that_limit_are_the_server_s_wish():
    """With no success in between: then it is its rate that is exceeded, whatever is asked for."""
    bench = Bench(limiting(*OTHERS, seconds="50"))
    found = []
    for item in OTHERS:
        with pytest.raises(Throttled) as caught:
            await bench.client.item(VAULT, item)
        found.append(caught.value.whole)

    assert found == [False, False, True]
    with pytest.raises(Throttled, match="not sent"):
        await bench.client.heartbeat()


async def test_items_that_limit_between_successes_are_their_own_affair():
    """The server answers everything else."""
    bench = Bench(limiting(*OTHERS, seconds="50"))
    for item in OTHERS:
        with pytest.raises(Throttled) as caught:
            await bench.client.item(VAULT, item)
        assert not caught.value.whole
        await bench.client.vaults()


async def test_items_that_hang_leave_room_for_others():
    """Twelve of them, at first and for ever after: another item is fetched at once, and few of those that hang are tried."""
    hanging = [f"hangs{number:021}" for number in range(12)]
    under_way = 0

    async def step(request):
        nonlocal under_way
        item = request.url.path.rpartition("/")[2]
        if item in hanging:
            under_way += 1
            await hold.wait()
            under_way -= 1
            raise httpx.ReadTimeout("slow")
        return answer(item_json(id=item))

    bench = Bench(step, connections=10)
    most = []
    for _ in range(3):
        hold = asyncio.Event()
        tasks = [asyncio.create_task(bench.client.item(VAULT, item)) for item in hanging]
        for _ in range(50):
            await asyncio.sleep(0)
        bench.time.advance(1)
        await bench.client.item(VAULT, ITEM)
        for _ in range(50):
            await asyncio.sleep(0)
        most.append(under_way)
        hold.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(each) for each in found} == {TimedOut}

    assert most == [12, 2, 2]


@pytest.mark.parametrize("step", [httpx.ConnectError("refused"), fault(503)], ids=["refused", "503"])
async def test_the_client_remembers_no_failure(step):
    """The health of the connection is the only circuit breaker: each call that it lets through is sent."""
    bench = Bench(*[step] * 20, good())
    for _ in range(20):
        with pytest.raises(ConnectError):
            await bench.client.vaults()

    await bench.client.vaults()

    assert bench.sent == 21


async def test_the_deadline_ends_a_call_that_hangs():
    """However the server hangs, the call ends at its deadline, and is not repeated."""

    async def hang(_request):
        await asyncio.Event().wait()

    bench = Bench(hang, deadline=0.01)

    with pytest.raises(TimedOut, match="deadline") as caught:
        await bench.client.vaults()

    assert caught.value.phase == "deadline"
    assert bench.sent == 1


async def test_waiting_for_a_permit_ends_with_the_deadline_too():
    """Nothing was sent."""
    release = asyncio.Event()

    async def hold(_request):
        await release.wait()
        return good()

    bench = Bench(hold, connections=1, deadline=0.02, file_deadline=5.0)
    holder = asyncio.create_task(bench.client.file_content(VAULT, ITEM, "f", limit=1000))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    with pytest.raises(TimedOut) as caught:
        await bench.client.vaults()
    release.set()
    await holder

    assert caught.value.phase == "pool"


async def test_a_cancelled_call_releases_its_permit():
    """It was cancelled while it waited for an answer; the next call works."""
    reached = asyncio.Event()

    async def hang(_request):
        reached.set()
        await asyncio.Event().wait()

    bench = Bench(hang, good(), connections=1)
    task = asyncio.create_task(bench.client.vaults())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await bench.client.vaults()


async def test_a_body_beyond_the_cap_is_refused_while_it_comes():
    """Neither a long body nor a compressed bomb is ever held in memory."""
    chunks = Chunks([b"x" * 1000] * 50)
    bench = Bench(httpx.Response(200, stream=chunks), json_limit=10_000)

    with pytest.raises(Oversized, match="more than 10000 bytes"):
        await bench.client.vaults()

    assert chunks.given == 11
    assert bench.sent == 1


async def test_a_length_beyond_the_cap_is_refused_at_once():
    """The body is not read."""
    chunks = Chunks([b"x"])
    bench = Bench(httpx.Response(200, headers={"content-length": "10001"}, stream=chunks), json_limit=10_000)

    with pytest.raises(Oversized):
        await bench.client.vaults()

    assert chunks.given == 0


@pytest.mark.parametrize("body", [[b"x" * 200_000], [b"half", httpx.ReadError("reset")]], ids=["huge", "broken"])
async def test_a_failing_answer_keeps_its_status_whatever_its_body(body):
    """The status decides; an unreadable explanation is left out."""
    bench = Bench(httpx.Response(403, stream=Chunks(body)))

    with pytest.raises(NotPermitted, match=r"status 403$"):
        await bench.client.vaults()


async def test_half_an_answer_is_an_interruption():
    """The answer had begun, so the connection was not closed before it: no retry."""
    bench = Bench(httpx.Response(200, stream=Chunks([b'[{"id"', httpx.RemoteProtocolError("cut")])), good())

    with pytest.raises(Interrupted):
        await bench.client.vaults()

    assert bench.sent == 1


async def test_every_request_is_observed():
    """With route template and status or kind of failure, a bounded set of labels, and with its duration."""

    async def slow(_request):
        bench.time.advance(0.25)
        return good()

    bench = Bench(httpx.ConnectError("x"), fault(503), page(), httpx.ReadError("x"), slow)
    for _ in range(3):
        with pytest.raises(ConnectError):
            await bench.client.vaults()
    await bench.client.vaults()

    assert [route for route, _, _ in bench.observed] == ["GET /v1/vaults"] * 5
    assert [outcome for _, outcome, _ in bench.observed] == ["unreachable", "503", "badanswer", "interrupted", "200"]
    assert bench.observed[-1][2] == pytest.approx(0.25)


async def test_a_file_that_is_too_large_keeps_its_label_in_metrics():
    """Alerts and dashboards know it."""
    bench = Bench(httpx.Response(200, content=b"x" * 10))
    with pytest.raises(ConnectError):
        await bench.client.file_content(VAULT, ITEM, "f", limit=9)

    assert [outcome for _, outcome, _ in bench.observed] == ["filetoolarge"]


async def test_an_observer_that_fails_does_no_harm():
    """A mistake in a metric must not keep a Secret from its value."""
    bench = Bench(good())

    def fails(_route: str, _outcome: str, _seconds: float, /) -> None:
        raise ZeroDivisionError

    bench.client._sender._observer = fails

    assert len(await bench.client.vaults()) == 1


def reachable(start, text):
    """Whether an object leads to another that equals the text, through any number of references."""
    seen, waiting = set(), [start]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type | types.ModuleType | types.FunctionType | types.FrameType):
            continue
        seen.add(id(one))
        if isinstance(one, str) and one == text:
            return True
        waiting += gc.get_referents(one)
    return False


def test_the_search_for_the_token_works():
    """Before it is closed, a client does hold its token."""
    assert reachable(Bench(good()).client, TOKEN)


async def test_a_closed_client_sends_nothing():
    """The token is forgotten, and each call fails with an error that says so."""
    bench = Bench(good())
    await bench.client.close()

    for call in (bench.client.vaults, bench.client.heartbeat):
        with pytest.raises(ConfigError, match="closed"):
            await call()
    assert bench.sent == 0
    assert not reachable(bench.client, TOKEN)


async def test_a_retry_is_logged_at_debug_without_titles(caplog):
    """The log explains a second request, and shows no title."""
    caplog.set_level(logging.DEBUG)
    await Bench(httpx.ReadError("reset"), answer([])).client.items(VAULT, title="canary")

    assert "GET /v1/vaults/{vault}/items: the connection broke (ReadError); sent once more" in caplog.text
    assert "canary" not in caplog.text


steps = st.lists(
    st.sampled_from(
        [
            lambda: httpx.ConnectError("x"),
            lambda: httpx.ReadTimeout("x"),
            lambda: httpx.RemoteProtocolError("x"),
            lambda: httpx.PoolTimeout("x"),
            page,
            lambda: page(404),
            alive,
            lambda: answer(None),
            lambda: answer(item_json()),
            lambda: httpx.Response(204),
            lambda: httpx.Response(307, headers={"location": "http://else"}),
            *[lambda code=code: fault(code) for code in (400, 401, 403, 404, 408, 409, 413, 429, 431, 500, 502, 503)],
            lambda: fault(429, **{"retry-after": "20"}),
        ]
    ),
    min_size=1,
    max_size=12,
)
calls = st.sampled_from(
    [
        lambda client: client.vaults(),
        lambda client: client.item(VAULT, ITEM),
        lambda client: client.create_item(VAULT, {}),
        lambda client: client.file_content(VAULT, ITEM, "f", limit=5),
        lambda client: client.heartbeat(),
        lambda client: client.activity(),
    ]
)


async def failure_of(call):
    try:
        await call
    except ConnectError as error:
        return error
    return None


@given(steps, st.lists(calls, min_size=1, max_size=4))
def test_any_answers_end_in_a_result_or_one_clean_error(found, asked):
    """Whatever the server does: two requests at most, within the deadline, our own errors, and no chain behind them."""

    async def play():
        bench = Bench(*[make() for make in found])
        for call in asked:
            before, began = bench.sent, bench.time.monotonic()
            error = await failure_of(call(bench.client))
            assert error is None or (error.__cause__ is None and error.__context__ is None)
            assert bench.sent - before <= 2
            # The deadline of a file's content, which is the longest.
            assert bench.time.monotonic() - began < 120

    asyncio.run(play())


async def test_an_error_of_the_system_without_a_library_is_an_interruption():
    """No traceback, and nothing of its text."""
    bench = Bench(ConnectionResetError(104, "c4nary"))

    with pytest.raises(Interrupted) as caught:
        await bench.client.vaults()

    assert "c4nary" not in str(caught.value)
    assert caught.value.may_have_been_applied
