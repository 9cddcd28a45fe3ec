"""The whole way of a call: scripts of answers in, requests and pauses out. Only the network and time are played."""

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

from keyturn.providers.connect import (
    BadAnswer,
    BadToken,
    CircuitOpen,
    CircuitState,
    ConfigError,
    Conflict,
    ConnectError,
    Denied,
    Interrupted,
    Missing,
    Oversized,
    Redirected,
    ServerFailed,
    Throttled,
    TimedOut,
    TokenRefused,
    Unreachable,
)

GOOD = [vault_json()]


def good():
    return answer(GOOD)


@pytest.mark.parametrize(
    ("steps", "slept"),
    [
        ([], []),
        ([httpx.ConnectError("refused")], [0.1]),
        ([httpx.ReadTimeout("slow"), httpx.ReadError("reset")], [0.1, 0.2]),
        ([httpx.RemoteProtocolError("cut"), fault(502), fault(503)], [0.1, 0.2, 0.4]),
        ([fault(401, "Invalid bearer token")], [1.5]),
        ([fault(403), fault(403), fault(403)], [0.1, 0.5, 2.5]),
        ([fault(408), fault(408), fault(408)], [0, 0, 0]),
        ([fault(429, **{"retry-after": "3"})], [3]),
        ([fault(429)], [1]),
        ([page(), page()], [0.1, 0.2]),
        ([httpx.Response(204), httpx.Response(200, content=b"")], [0.1, 0.2]),
        ([answer({"vaults": []}), answer(None)], [0.1, 0.2]),
        ([page(404)], [0.1]),
        ([fault(500), fault(403), page(), fault(401), httpx.ConnectError("x")], [0.1, 0.1, 0.1, 1.5, 0.2]),
    ],
    ids=lambda value: None,
)
async def test_a_read_gets_through_passing_trouble(steps, slept):
    """Whatever a cold start, a blinking proxy or a restart does to a read, it is asked again as the table says."""
    bench = Bench(*steps, good())

    found = await bench.client.vaults()

    assert [vault.name for vault in found] == ["Prod"]
    assert bench.asked == len(steps) + 1
    assert bench.time.slept == pytest.approx(slept)


@pytest.mark.parametrize(
    ("step", "kind", "asked"),
    [
        (httpx.ConnectError("refused"), Unreachable, 4),
        (httpx.ReadTimeout("slow"), TimedOut, 4),
        (fault(500), ServerFailed, 4),
        (fault(401), TokenRefused, 2),
        (fault(403), Denied, 4),
        (fault(404), Missing, 1),
        (fault(400), ConnectError, 1),
        (page(), BadAnswer, 3),
        (httpx.Response(302, headers={"location": "http://else"}), Redirected, 1),
    ],
    ids=["refused", "slow", "500", "401", "403", "404", "400", "page", "302"],
)
async def test_a_read_gives_up_after_its_tries(step, kind, asked):
    """The last failure is what the caller hears, with method, route and status in its text."""
    bench = Bench(step)

    with pytest.raises(kind, match=r"^GET /v1/vaults: ") as caught:
        await bench.client.vaults()

    assert bench.asked == asked
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_a_write_is_not_repeated_once_it_may_have_arrived():
    """A gateway's 504 may hide a created item: creating again would make two."""
    for step in (fault(504), httpx.ReadTimeout("slow"), fault(500), fault(408), fault(409), page()):
        bench = Bench(step)

        with pytest.raises(ConnectError):
            await bench.client.create_item(VAULT, {"title": "x"})

        assert bench.asked == 1


async def test_a_write_that_never_left_is_repeated():
    """Where no connection was made, nothing can have happened; a refusal is no work either."""
    bench = Bench(httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), fault(401), answer(item_json()))

    item = await bench.client.create_item(VAULT, {"title": "x"})

    assert item.id == ITEM


async def test_a_conflict_is_the_caller_s_to_solve():
    """409: read again, apply again; the client repeats nothing."""
    with pytest.raises(Conflict):
        await Bench(fault(409)).client.replace_item(VAULT, ITEM, {})


@pytest.mark.parametrize("step", [fault(500), fault(503), httpx.ReadTimeout("slow")])
async def test_deleting_what_is_gone_after_a_doubtful_try_has_worked(step):
    """The conflict that hides behind 500 may have been ours: 404 afterwards is success."""
    await Bench(step, fault(404, "item not found")).client.delete_item(VAULT, ITEM)


@pytest.mark.parametrize("steps", [[], [httpx.ConnectError("refused")], [fault(403)]])
async def test_deleting_what_never_was_is_an_error(steps):
    """A 404 without a doubtful try before it says that somebody else was there first."""
    with pytest.raises(Missing):
        await Bench(*steps, fault(404, "item not found")).client.delete_item(VAULT, ITEM)


async def test_a_delete_survives_four_conflicts():
    """Five tries, then the error."""
    await Bench(*[fault(500)] * 4, httpx.Response(204)).client.delete_item(VAULT, ITEM)

    with pytest.raises(ServerFailed):
        await Bench(*[fault(500)] * 5, httpx.Response(204)).client.delete_item(VAULT, ITEM)


class Tokens:
    """A token source that has another token when asked again."""

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


def authorizations(bench):
    return [request.headers.get("authorization") for request in bench.script.requests]


async def test_a_refused_token_is_looked_up_again_before_the_one_retry():
    """A token is rotated while we run: the next request carries the new one."""
    bench = Bench(fault(401), good(), token=Tokens("old", "new"))

    await bench.client.vaults()

    assert authorizations(bench) == ["Bearer old", "Bearer new"]


async def test_a_token_that_is_gone_after_a_refusal_is_a_clear_error():
    """The old token is refused and the file holds nothing usable: say that, and ask no more."""
    bench = Bench(fault(401), good(), token=Tokens("old", None))

    with pytest.raises(BadToken, match="the file is empty"):
        await bench.client.vaults()

    assert bench.asked == 1


async def test_health_routes_carry_no_token():
    """Who only asks whether the server lives proves nothing, and reveals nothing."""
    bench = Bench(alive())
    await bench.client.heartbeat()

    assert authorizations(bench) == [None]


async def test_pauses_end_with_the_deadline():
    """A pause that would end after the call's deadline is not begun: the caller hears the reason now."""
    bench = Bench(fault(429, **{"retry-after": "3"}), deadline=8.0)

    with pytest.raises(Throttled) as caught:
        await bench.client.vaults()

    assert caught.value.retry_after == 3
    assert bench.time.slept == [3, 3]


async def test_a_long_patience_is_handed_to_the_caller():
    """Five minutes are not waited for inside of a call; whoever asks meanwhile is told without a request."""
    bench = Bench(fault(429, **{"retry-after": "900"}), good())

    for expected in (300, 299):
        with pytest.raises(Throttled) as caught:
            await bench.client.vaults()
        assert caught.value.retry_after == expected
        bench.time.advance(1)
    assert bench.asked == 1
    with pytest.raises(Throttled):
        await bench.client.heartbeat()

    bench.time.advance(298)
    await bench.client.vaults()

    assert bench.asked == 2


async def test_patience_asked_of_one_call_is_everybody_s():
    """429 narrows the whole client, not just the call that met it."""
    bench = Bench(fault(429, **{"retry-after": "2"}), good())

    await bench.client.vaults()

    assert bench.client.state().width == 5
    assert bench.asked == 2


async def test_trust_comes_back_with_success():
    """Good answers widen the client again, one by one."""
    bench = Bench(fault(429), good())
    for _ in range(5):
        await bench.client.vaults()

    assert bench.client.state().width == 6


async def test_a_refusal_shows_that_the_host_lives():
    """404 and 403 are answers: failures before them are forgotten."""
    bench = Bench(*[httpx.ConnectError("x")] * 4, fault(404), *[httpx.ConnectError("x")] * 4, good())
    for kind in (Unreachable, Missing, Unreachable):
        with pytest.raises(kind):
            await bench.client.vaults()

    await bench.client.vaults()


async def test_who_waited_for_a_place_looks_again_before_asking():
    """Calls that queued before a 429 came do not run into the server one after another."""

    async def refuse(_request):
        await asyncio.sleep(0)
        return fault(429, **{"retry-after": "200"})

    bench = Bench(refuse, connections=1)

    found = await asyncio.gather(*(bench.client.vaults() for _ in range(20)), return_exceptions=True)

    assert {type(one) for one in found} == {Throttled}
    assert bench.asked == 1


async def test_enough_failures_in_a_row_open_the_circuit():
    """Five, then nobody asks: calls fail at once, with the reason and the time of the next try."""
    bench = Bench(httpx.ConnectError("refused"))
    for _ in range(2):
        with pytest.raises(Unreachable):
            await bench.client.vaults()
    asked = bench.asked

    with pytest.raises(CircuitOpen, match="failed 5 times in a row; the next try comes in 30 s"):
        await bench.client.item(VAULT, ITEM)

    assert bench.asked == asked == 5
    assert bench.client.state().circuit is CircuitState.OPEN


async def opened(*steps, failures=5):
    """A bench whose circuit is open."""
    bench = Bench(*[httpx.ConnectError("refused")] * failures, *steps)
    for _ in range(2):
        with pytest.raises(Unreachable):
            await bench.client.vaults()
    return bench


async def test_after_a_while_one_probe_decides():
    """Half-open: a heartbeat goes first; it lives, so the call goes on."""
    bench = await opened(alive(), good())
    bench.time.advance(30)

    await bench.client.vaults()

    assert bench.script.targets[-2:] == ["/heartbeat", "/v1/vaults"]
    assert bench.client.state().circuit is CircuitState.CLOSED


@pytest.mark.parametrize("step", [httpx.ConnectError("still"), fault(503), page()], ids=["refused", "503", "page"])
async def test_a_failed_probe_opens_the_circuit_for_another_while(step):
    """Nothing but the one heartbeat was sent, and a web page is no heartbeat."""
    bench = await opened(step)
    bench.time.advance(30)

    with pytest.raises(CircuitOpen, match="30 s"):
        await bench.client.vaults()

    assert bench.script.targets[5:] == ["/heartbeat"]


async def test_while_one_probes_all_others_fail_at_once():
    """Half-open lets one through, not a crowd."""
    reached, released = asyncio.Event(), asyncio.Event()

    async def slow(_request):
        reached.set()
        await released.wait()
        return alive()

    bench = await opened(slow, good())
    bench.time.advance(30)
    first = asyncio.create_task(bench.client.vaults())
    await reached.wait()

    with pytest.raises(CircuitOpen):
        await bench.client.vaults()
    released.set()
    await first

    assert bench.script.targets[5:] == ["/heartbeat", "/v1/vaults"]


async def test_a_cancelled_probe_leaves_the_next_one_possible():
    """Whoever probes may be cancelled; the circuit must not stay open for that."""
    reached = asyncio.Event()

    async def hang(_request):
        reached.set()
        await asyncio.Event().wait()

    bench = await opened(hang, alive(), good())
    bench.time.advance(30)
    first = asyncio.create_task(bench.client.vaults())
    await reached.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first

    await bench.client.vaults()


async def test_a_heartbeat_passes_an_open_circuit_and_closes_it():
    """The poller's own heartbeat ends an outage before its time is up."""
    bench = await opened(alive(), good())

    await bench.client.heartbeat()
    await bench.client.vaults()

    assert bench.script.targets[5:] == ["/heartbeat", "/v1/vaults"]


async def test_answers_of_an_unsynced_file_do_not_open_the_circuit():
    """Five times 500 for one file is that file's trouble; everybody else goes on."""
    bench = Bench(*[fault(500)] * 5, good())
    with pytest.raises(ServerFailed):
        await bench.client.file_content(VAULT, ITEM, "f", limit=10)

    await bench.client.vaults()

    assert bench.time.slept == [1, 1, 1, 1]
    assert bench.client.state().circuit is CircuitState.CLOSED


async def test_the_deadline_ends_a_call_that_hangs():
    """However the server hangs, the call is over at its deadline, and is not repeated."""

    async def hang(_request):
        await asyncio.Event().wait()

    bench = Bench(hang, deadline=0.01)

    with pytest.raises(TimedOut, match="deadline") as caught:
        await bench.client.vaults()

    assert caught.value.phase == "deadline"
    assert bench.asked == 1
    assert bench.client.state().failures == 1


async def test_waiting_for_a_place_ends_with_the_deadline_too():
    """A crowded client is not an ill host: nothing was sent, and nothing counts against it."""
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
    assert bench.client.state().failures == 0


async def test_a_cancelled_call_gives_its_place_back():
    """Cancelled while waiting for an answer: the next call finds the client as if nothing had been."""
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

    assert bench.client.state().failures == 0


async def test_a_body_beyond_the_cap_is_refused_while_it_comes():
    """Neither a long body nor a bomb is ever held; asking again would bring the same."""
    chunks = Chunks([b"x" * 1000] * 50)
    bench = Bench(httpx.Response(200, stream=chunks), json_limit=10_000)

    with pytest.raises(Oversized, match="more than 10000 bytes"):
        await bench.client.vaults()

    assert chunks.given == 11
    assert bench.asked == 1


async def test_a_length_beyond_the_cap_is_believed_at_once():
    """What announces itself as too long is not begun."""
    chunks = Chunks([b"x"])
    bench = Bench(httpx.Response(200, headers={"content-length": "10001"}, stream=chunks), json_limit=10_000)

    with pytest.raises(Oversized):
        await bench.client.vaults()

    assert chunks.given == 0


@pytest.mark.parametrize("body", [[b"x" * 200_000], [b"half", httpx.ReadError("reset")]], ids=["huge", "broken"])
async def test_a_failing_answer_keeps_its_status_whatever_its_body(body):
    """The status is the news; an unreadable explanation is none."""
    bench = Bench(httpx.Response(403, stream=Chunks(body)))

    with pytest.raises(Denied, match=r"status 403$"):
        await bench.client.vaults()


async def test_an_interrupted_body_is_asked_for_again():
    """Half an answer is none."""
    bench = Bench(httpx.Response(200, stream=Chunks([b'[{"id"', httpx.RemoteProtocolError("cut")])), good())

    assert len(await bench.client.vaults()) == 1


async def test_the_observer_hears_of_every_request():
    """Route templates and statuses or error classes: a bounded set of labels, with durations."""

    async def slow(_request):
        await bench.time.sleep(0.25)
        return good()

    bench = Bench(httpx.ConnectError("x"), fault(503), page(), slow)
    await bench.client.vaults()

    assert [route for route, _, _ in bench.observed] == ["GET /v1/vaults"] * 4
    assert [outcome for _, outcome, _ in bench.observed] == ["unreachable", "503", "badanswer", "200"]
    assert bench.observed[-1][2] == pytest.approx(0.25)


async def test_an_observer_that_fails_harms_nobody():
    """A mistake in a metric must not keep a Secret from its value."""
    bench = Bench(good())
    bench.client._sender._observer = lambda *_request: 1 / 0

    assert len(await bench.client.vaults()) == 1


async def test_the_state_tells_when_the_last_success_was():
    """Readiness wants to know how long nothing good came."""
    bench = Bench(fault(404), good())
    with pytest.raises(Missing):
        await bench.client.item(VAULT, ITEM)
    assert bench.client.state().last_success is None

    bench.time.advance(5)
    await bench.client.vaults()

    assert bench.client.state().last_success == bench.time.monotonic()


def reachable(start, text):
    """Whether an object leads to another that equals the text, by any number of references."""
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


async def test_a_closed_client_asks_nobody():
    """The token is forgotten: calls say so instead of using it."""
    bench = Bench(good())
    await bench.client.close()

    for call in (bench.client.vaults, bench.client.heartbeat):
        with pytest.raises(ConfigError, match="closed"):
            await call()
    assert bench.asked == 0
    assert not reachable(bench.client, TOKEN)


async def test_pauses_are_logged_at_debug_without_titles(caplog):
    """Whoever looks for the reason of a slow call finds it; a title is nobody's business."""
    caplog.set_level(logging.DEBUG)
    await Bench(fault(503), answer([])).client.items(VAULT, title="canary")

    assert "GET /v1/vaults/{vault}/items: status 503" in caplog.text
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
        lambda client: client.delete_item(VAULT, ITEM),
        lambda client: client.create_item(VAULT, {}),
        lambda client: client.file_content(VAULT, ITEM, "f", limit=5),
        lambda client: client.heartbeat(),
        lambda client: client.metrics(),
    ]
)


async def failure_of(call):
    try:
        await call
    except ConnectError as error:
        return error
    return None


@given(steps, st.lists(calls, min_size=1, max_size=4), st.floats(0, 1, exclude_max=True))
def test_any_answers_end_in_a_result_or_one_clean_error(found, asked, jitter):
    """Whatever the server does: bounded requests, pauses within the deadline, our own errors, and no chain behind them."""

    async def play():
        bench = Bench(*[make() for make in found], jitter=jitter)
        for call in asked:
            before, began = bench.asked, bench.time.monotonic()
            error = await failure_of(call(bench.client))
            assert error is None or (error.__cause__ is None and error.__context__ is None)
            assert bench.asked - before <= 7
            assert bench.time.monotonic() - began <= 120

    asyncio.run(play())


async def test_a_pause_of_nothing_still_lets_others_run():
    """408 is asked again at once, but not in a loop that holds the event loop: three times at most."""
    bench = Bench(fault(408))

    with pytest.raises(ConnectError):
        await bench.client.vaults()

    assert bench.asked == 4


async def test_trouble_that_opens_the_circuit_keeps_its_own_words():
    """The call that meets the fifth failure reports that one, not that the circuit is open."""
    bench = Bench(*[httpx.ConnectError("x")] * 4, fault(503))
    with pytest.raises(Unreachable):
        await bench.client.vaults()

    with pytest.raises(ServerFailed):
        await bench.client.vaults()

    assert bench.asked == 5


async def test_what_the_system_says_without_a_library_is_an_interruption():
    """An error of the operating system that nobody wrapped is no reason for a traceback."""
    bench = Bench(ConnectionResetError(104, "c4nary"), good())
    await bench.client.vaults()

    assert [outcome for _, outcome, _ in bench.observed] == ["interrupted", "200"]


async def test_interruptions_are_told_apart_from_refusals():
    """A reset in the middle may have been carried out; the error's class says so."""
    bench = Bench(httpx.WriteError("reset"))

    with pytest.raises(Interrupted) as caught:
        await bench.client.vaults()

    assert not caught.value.unsent
