"""The elector in simulated time: there are never two leaders, and never none for long."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lease_simulation import TIMINGS, ApiServer, Candidate, Fate, Machine, leaping, run

seconds = st.floats(0, 20)
fates = st.builds(
    Fate,
    there=st.one_of(st.just(0.002), st.floats(0, 8)),
    back=st.one_of(st.just(0.002), st.floats(0, 8)),
    kind=st.sampled_from(["ok", "ok", "ok", "lost", "unanswered", "busy"]),
)
pauses = st.lists(st.tuples(st.floats(0, 90), st.floats(0, 40)).map(lambda pause: (pause[0], sum(pause))), max_size=4)
machines = st.builds(
    Machine,
    offset=st.floats(0, 1e6),
    rate=st.floats(0.95, 1.05),
    wall=st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=5),
    stuck=st.booleans(),
    pauses=pauses,
    fates=st.lists(fates, min_size=1, max_size=12),
    random=st.floats(0, 1, exclude_max=True),
)


@settings(max_examples=100, deadline=None)
@given(
    machines=st.lists(machines, min_size=2, max_size=4),
    ends=st.lists(st.one_of(st.none(), st.floats(0, 100)), min_size=4, max_size=4),
)
def test_two_candidates_never_lead_at_once(machines, ends):
    """Machines pause, clocks jump or stand still, requests arrive late or never, and answers are lost."""

    async def story():
        server = ApiServer()
        candidates = [Candidate(str(n), server, machine) for n, machine in enumerate(machines)]
        stopped = {each.name: end for each, end in zip(candidates, ends, strict=False) if end is not None}
        await run(candidates, until=100, ends=stopped)

    leaping(story())


def two(*, first=None, second=None):
    server = ApiServer()
    return server, Candidate("first", server, first or Machine()), Candidate("second", server, second or Machine())


async def until(happened, *, within):
    """Poll until something has happened; returns how long that took."""
    started = asyncio.get_running_loop().time()
    async with asyncio.timeout(within):
        while not happened():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
    return asyncio.get_running_loop().time() - started


async def led_by(candidate, *, within):
    """Wait until a candidate leads; returns how long that took."""
    return await until(lambda: candidate.open, within=within)


def simulate(first, second, story, *, lasts=120.0, ends=None):
    """Run two candidates, the second a little later, and a story beside them; returns the story's result."""

    async def both():
        second.machine.pauses.append((0.0, 0.5))
        running = asyncio.ensure_future(run([first, second], until=lasts, ends=ends))
        result = await story
        await running
        return result

    return leaping(both())


def test_one_candidate_leads_while_all_requests_succeed():
    """Each change of the leader restarts the operator's work."""
    server, first, second = two()

    simulate(first, second, led_by(first, within=1), lasts=3600)

    assert (first.led, second.led) == (1, 0)
    assert server.spec["leaseTransitions"] == 0
    # One write to take it, and one every five seconds.
    assert 700 < server.version < 740


@pytest.mark.parametrize(
    ("wall", "stuck"),
    [([0.0, -5.0, 1e5, -1e5], False), ([0.0], True)],
    ids=["jumps", "stands still"],
)
def test_the_time_of_day_has_no_effect(wall, stuck):
    """NTP, a battery or a hypervisor may move a clock by hours, or stop it: the leader stays the leader."""
    _server, first, second = two(first=Machine(wall=[*wall], stuck=stuck), second=Machine(wall=[9e4, *wall]))

    simulate(first, second, led_by(first, within=1), lasts=300)

    assert (first.led, second.led) == (1, 0)


def test_a_leader_that_ends_is_replaced_at_the_next_attempt():
    """The update of a Deployment should cost one second."""
    server, first, second = two()

    async def story():
        await asyncio.sleep(40)
        return await led_by(second, within=5)

    took = simulate(first, second, story(), ends={"first": 40.0})

    assert took <= 1.21
    assert server.spec["leaseTransitions"] == 1


def test_a_leader_that_dies_is_replaced_when_its_lease_expires():
    """At most the duration and one retry period after its last renewal."""
    _server, first, second = two(first=Machine(pauses=[(40.0, 1e6)]))

    async def story():
        await asyncio.sleep(40)
        return await led_by(second, within=30)

    took = simulate(first, second, story())

    assert TIMINGS.duration - TIMINGS.renew_period * 1.1 <= took <= TIMINGS.duration + 1.21


def test_a_leader_that_pauses_for_too_long_ends():
    """It must not go on, even if no other candidate took over."""
    server, first, second = two(first=Machine(pauses=[(40.0, 52.0)]), second=Machine(pauses=[(0.0, 1e6)]))

    simulate(first, second, led_by(first, within=1))

    assert first.lost == ["the Lease keyturn/keyturn was not renewed for too long"]
    # The second time as a new process, which had to take the Lease like any other.
    assert first.led == 2
    assert server.spec["holderIdentity"] == "first-2"


def test_a_pause_within_the_renew_deadline_changes_nothing():
    """A busy node is no reason for another leader."""
    _server, first, second = two(first=Machine(pauses=[(40.0, 44.5), (60.0, 64.5)]))

    simulate(first, second, led_by(first, within=1))

    assert (first.led, first.lost, second.led) == (1, [], 0)


@pytest.mark.parametrize("kind", ["lost", "unanswered", "busy"])
def test_single_failed_requests_change_nothing(kind):
    """Every fourth request fails, and the leader stays the leader."""
    _server, first, second = two(first=Machine(fates=[Fate(), Fate(), Fate(), Fate(kind=kind)]))

    simulate(first, second, led_by(first, within=3), lasts=600)

    assert (first.led, first.lost, second.led) == (1, [], 0)


def test_an_unreachable_api_server_ends_the_leadership_in_time():
    """No other candidate can take the Lease meanwhile either, but the leader cannot know that."""
    _server, first, second = two(first=Machine(fates=[*[Fate()] * 6, *[Fate(kind="lost")] * 500]))

    async def story():
        await led_by(first, within=1)
        await until(lambda: first.lost, within=60)

    simulate(first, second, story())

    assert first.lost == [
        "the Lease keyturn/keyturn was not renewed for too long: Unavailable: lost on the way there"
    ] or ("lost on the way there" in first.lost[0])
    assert second.led == 1


def test_a_deleted_lease_stays_with_its_holder():
    """A `kubectl delete lease` must not make two leaders: the holder creates it again, and the standby waits."""
    server, first, second = two()

    async def story():
        await asyncio.sleep(41)
        server.spec = None

    simulate(first, second, story())

    assert (first.led, first.lost, second.led) == (1, [], 0)
    assert server.spec["holderIdentity"] == "first-1"


def test_an_edited_lease_is_renewed():
    """A new annotation raises the resourceVersion, which is no reason to end."""
    server, first, second = two()

    async def story():
        for _ in range(10):
            await asyncio.sleep(3)
            server.version += 1

    simulate(first, second, story())

    assert (first.led, first.lost, second.led) == (1, [], 0)


def test_an_edited_holder_ends_the_leader():
    """An administrator can end a leader by an edit of the Lease."""
    server, first, second = two()

    async def story():
        await asyncio.sleep(41)
        server.spec["holderIdentity"] = "admin"
        server.version += 1

    simulate(first, second, story(), lasts=70)

    assert first.lost == ["the Lease keyturn/keyturn is held by admin"]


def test_a_renewal_in_flight_at_the_end_does_not_keep_the_lease():
    """The answer with the newest resourceVersion is lost then, and the Lease is released nevertheless."""
    server, first, second = two(first=Machine(fates=[Fate(back=0.5)]))

    async def story():
        await led_by(first, within=3)
        written = server.version
        await until(lambda: server.version != written, within=10)
        return asyncio.get_running_loop().time()

    renewed_at = simulate(first, second, story(), lasts=30)
    server, first, second = two(first=Machine(fates=[Fate(back=0.5)]))

    async def hand_over():
        await asyncio.sleep(renewed_at + 0.2)
        return await led_by(second, within=5)

    assert simulate(first, second, hand_over(), lasts=30, ends={"first": renewed_at + 0.2}) < 3


def test_one_of_two_simultaneous_candidates_takes_the_lease():
    """Both observed its expiry at the same moment; the first write wins, not the last."""
    server = ApiServer()
    dead = Candidate("dead", server, Machine(pauses=[(20.0, 1e6)]))
    twins = [Candidate(name, server, Machine(pauses=[(0.0, 1.0)], fates=[Fate(there=0.3)])) for name in ("one", "two")]

    leaping(run([dead, *twins], until=120))

    assert sorted(twin.led for twin in twins) == [0, 1]


def test_a_renewal_counts_from_its_beginning():
    """Other candidates may observe it before its answer arrives."""
    _, first, second = two(first=Machine(fates=[*[Fate()] * 2, Fate(back=2.5), *[Fate(kind="lost")] * 500]))

    async def story():
        await led_by(first, within=1)
        taken = asyncio.get_running_loop().time()
        await until(lambda: not first.open, within=60)
        return asyncio.get_running_loop().time() - taken

    closed_after = simulate(first, second, story())

    assert closed_after == pytest.approx(TIMINGS.renew_period + TIMINGS.renew_deadline, abs=0.1)


def test_a_standby_sends_one_request_a_second_and_honours_retry_after():
    """A standby costs no more than that, and does not add to the load of a busy API server."""
    _, first, second = two(second=Machine())
    simulate(first, second, led_by(first, within=1), lasts=60)
    assert 55 <= second.machine.requests <= 65

    _, first, second = two(second=Machine(fates=[Fate(kind="busy")]))
    simulate(first, second, led_by(first, within=1), lasts=60)
    assert 18 <= second.machine.requests <= 21


def test_a_lease_that_cannot_be_released_expires():
    """An ending process must not wait for an unreachable API server."""
    _, first, second = two()

    async def story():
        await asyncio.sleep(39.9)
        first.machine.fates = [Fate(kind="lost")]
        return await led_by(second, within=30)

    took = simulate(first, second, story(), ends={"first": 40.0})

    assert TIMINGS.renew_deadline < took <= TIMINGS.duration + 1.5


def test_an_answer_that_arrives_too_late_makes_no_leader():
    """The process stood still between its request for the Lease and the answer."""
    _, first, second = two(first=Machine(pauses=[(0.005, 12.0)]), second=Machine(pauses=[(0.0, 1e6)]))

    took = simulate(first, second, led_by(first, within=20), lasts=30)

    assert took > 12
    assert (first.led, first.lost) == (1, [])
