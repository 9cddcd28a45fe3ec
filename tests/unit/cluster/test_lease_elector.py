"""The elector in simulated time: never two leaders, and never none for long."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lease_simulation import TERMS, ApiServer, Candidate, Fate, Machine, leaping, run

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
)


@settings(max_examples=100, deadline=None)
@given(
    machines=st.lists(machines, min_size=2, max_size=4),
    chance=st.floats(0, 1, exclude_max=True),
    ends=st.lists(st.one_of(st.none(), st.floats(0, 100)), min_size=4, max_size=4),
)
def test_never_two_lead_whatever_happens_to_machines_and_network(machines, chance, ends):
    """Pauses, clocks that jump or stand still, requests that are late, lost or done without an answer: never two."""

    async def story():
        server = ApiServer()
        everybody = [Candidate(str(n), server, machine, chance=chance) for n, machine in enumerate(machines)]
        stopped = {each.name: end for each, end in zip(everybody, ends, strict=False) if end is not None}
        await run(everybody, until=100, ends=stopped)

    leaping(story())


def two(*, first=None, second=None):
    server = ApiServer()
    return server, Candidate("first", server, first or Machine()), Candidate("second", server, second or Machine())


async def until(happened, *, within):
    """Wait until something has happened, which nobody announces; returns how long that took."""
    started = asyncio.get_running_loop().time()
    async with asyncio.timeout(within):
        while not happened():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)
    return asyncio.get_running_loop().time() - started


async def led_by(candidate, *, within):
    """Wait until a candidate leads; returns how long that took."""
    return await until(lambda: candidate.open, within=within)


def told(first, second, story, *, lasts=120.0, ends=None):
    """Run two candidates, the second a little later, and a story beside them; returns what that returns."""

    async def all_of_it():
        second.machine.pauses.append((0.0, 0.5))
        running = asyncio.ensure_future(run([first, second], until=lasts, ends=ends))
        result = await story
        await running
        return result

    return leaping(all_of_it())


def test_one_leads_for_as_long_as_all_is_well():
    """A Lease that changes hands for nothing restarts everything for nothing."""
    server, first, second = two()

    told(first, second, led_by(first, within=1), lasts=3600)

    assert (first.led, second.led) == (1, 0)
    assert server.spec["leaseTransitions"] == 0
    # One write when it was taken, and one each five seconds.
    assert 700 < server.version < 740


@pytest.mark.parametrize(
    ("wall", "stuck"),
    [([0.0, -5.0, 1e5, -1e5], False), ([0.0], True)],
    ids=["jumps", "stands still"],
)
def test_the_time_of_day_means_nothing(wall, stuck):
    """NTP, a battery or a hypervisor may set a clock by hours, or hold it: the leader stays, and a standby stands by."""
    _server, first, second = two(first=Machine(wall=[*wall], stuck=stuck), second=Machine(wall=[9e4, *wall]))

    told(first, second, led_by(first, within=1), lasts=300)

    assert (first.led, second.led) == (1, 0)


def test_a_leader_that_ends_hands_over_at_the_next_look():
    """The update of a Deployment should cost a second."""
    server, first, second = two()

    async def story():
        await asyncio.sleep(40)
        return await led_by(second, within=5)

    took = told(first, second, story(), ends={"first": 40.0})

    assert took <= 1.21
    assert server.spec["leaseTransitions"] == 1


def test_a_leader_that_dies_is_replaced_when_its_lease_has_run_out():
    """Within the duration and one look, counted from its last renewal."""
    _server, first, second = two(first=Machine(pauses=[(40.0, 1e6)]))

    async def story():
        await asyncio.sleep(40)
        return await led_by(second, within=30)

    took = told(first, second, story())

    assert TERMS.duration - TERMS.renew_every * 1.1 <= took <= TERMS.duration + 1.21


def test_a_leader_that_sleeps_too_long_wakes_up_and_ends():
    """It must not go on, even where nobody else came."""
    server, first, second = two(first=Machine(pauses=[(40.0, 52.0)]), second=Machine(pauses=[(0.0, 1e6)]))

    told(first, second, led_by(first, within=1))

    assert first.lost == ["the Lease keyturn/keyturn was not renewed for too long"]
    # As a new process, which had to take the Lease like any other.
    assert first.led == 2
    assert server.spec["holderIdentity"] == "first-2"


def test_a_nap_within_the_safe_time_costs_nothing():
    """A garbage collection or a busy node is no reason to hand over."""
    _server, first, second = two(first=Machine(pauses=[(40.0, 44.5), (60.0, 64.5)]))

    told(first, second, led_by(first, within=1))

    assert (first.led, first.lost, second.led) == (1, [], 0)


@pytest.mark.parametrize("kind", ["lost", "unanswered", "busy"])
def test_single_failures_of_the_api_server_cost_nothing(kind):
    """Every fourth request fails, and the leader stays."""
    _server, first, second = two(first=Machine(fates=[Fate(), Fate(), Fate(), Fate(kind=kind)]))

    told(first, second, led_by(first, within=3), lasts=600)

    assert (first.led, first.lost, second.led) == (1, [], 0)


def test_an_unreachable_api_server_ends_the_leadership_in_time():
    """Nobody can take the Lease meanwhile either, but the leader cannot know that."""
    _server, first, second = two(first=Machine(fates=[*[Fate()] * 6, *[Fate(kind="lost")] * 500]))

    async def story():
        await led_by(first, within=1)
        await until(lambda: first.lost, within=60)

    told(first, second, story())

    assert first.lost == [
        "the Lease keyturn/keyturn was not renewed for too long: Unavailable: lost on the way there"
    ] or ("lost on the way there" in first.lost[0])
    assert second.led == 1


def test_a_lease_deleted_under_its_holder_stays_its_holders():
    """Somebody's `kubectl delete lease` must not make two leaders: the holder makes it anew, the standby waits."""
    server, first, second = two()

    async def story():
        await asyncio.sleep(41)
        server.spec = None

    told(first, second, story())

    assert (first.led, first.lost, second.led) == (1, [], 0)
    assert server.spec["holderIdentity"] == "first-1"


def test_a_lease_edited_by_somebody_is_renewed_all_the_same():
    """An annotation raises the resourceVersion, which is no reason to end."""
    server, first, second = two()

    async def story():
        for _ in range(10):
            await asyncio.sleep(3)
            server.version += 1

    told(first, second, story())

    assert (first.led, first.lost, second.led) == (1, [], 0)


def test_a_lease_taken_away_by_hand_ends_the_leader():
    """Whoever edits the holder wants the other to lead."""
    server, first, second = two()

    async def story():
        await asyncio.sleep(41)
        server.spec["holderIdentity"] = "somebody"
        server.version += 1

    told(first, second, story(), lasts=70)

    assert first.lost == ["the Lease keyturn/keyturn is held by somebody"]


def test_a_renewal_under_way_when_the_end_comes_does_not_keep_the_lease():
    """The answer with the newest resourceVersion is lost then, and the Lease is given back all the same."""
    server, first, second = two(first=Machine(fates=[Fate(back=0.5)]))

    async def story():
        await led_by(first, within=3)
        written = server.version
        await until(lambda: server.version != written, within=10)
        return asyncio.get_running_loop().time()

    renewed_at = told(first, second, story(), lasts=30)
    server, first, second = two(first=Machine(fates=[Fate(back=0.5)]))

    async def hand_over():
        await asyncio.sleep(renewed_at + 0.2)
        return await led_by(second, within=5)

    assert told(first, second, hand_over(), lasts=30, ends={"first": renewed_at + 0.2}) < 3


def test_of_two_who_reach_for_the_same_lease_one_gets_it():
    """Both saw it run out at the same moment; what the other wrote meanwhile must decide, not who wrote last."""
    server = ApiServer()
    dead = Candidate("dead", server, Machine(pauses=[(20.0, 1e6)]))
    twins = [Candidate(name, server, Machine(pauses=[(0.0, 1.0)], fates=[Fate(there=0.3)])) for name in ("one", "two")]

    leaping(run([dead, *twins], until=120))

    assert sorted(twin.led for twin in twins) == [0, 1]


def test_a_renewal_counts_from_when_it_began():
    """When it was done nobody knows but the API server, and the others may count from there."""
    _, first, second = two(first=Machine(fates=[*[Fate()] * 2, Fate(back=2.5), *[Fate(kind="lost")] * 500]))

    async def story():
        await led_by(first, within=1)
        taken = asyncio.get_running_loop().time()
        await until(lambda: not first.open, within=60)
        return asyncio.get_running_loop().time() - taken

    closed_after = told(first, second, story())

    assert closed_after == pytest.approx(TERMS.renew_every + TERMS.safe_for, abs=0.1)


def test_a_standby_asks_once_a_second_and_less_often_where_it_is_asked_to():
    """That is all a standby costs, and an API server in trouble must not be asked faster than it wants."""
    _, first, second = two(second=Machine())
    told(first, second, led_by(first, within=1), lasts=60)
    assert 55 <= second.machine.asked <= 65

    _, first, second = two(second=Machine(fates=[Fate(kind="busy")]))
    told(first, second, led_by(first, within=1), lasts=60)
    assert 18 <= second.machine.asked <= 21


def test_a_lease_that_cannot_be_given_back_runs_out():
    """An end must not wait for an API server that is away."""
    _, first, second = two()

    async def story():
        await asyncio.sleep(39.9)
        first.machine.fates = [Fate(kind="lost")]
        return await led_by(second, within=30)

    took = told(first, second, story(), ends={"first": 40.0})

    assert TERMS.safe_for < took <= TERMS.duration + 1.5


def test_an_answer_that_comes_too_late_makes_no_leader():
    """The process stood still between asking for the Lease and hearing that it was its own."""
    _, first, second = two(first=Machine(pauses=[(0.005, 12.0)]), second=Machine(pauses=[(0.0, 1e6)]))

    took = told(first, second, led_by(first, within=20), lasts=30)

    assert took > 12
    assert (first.led, first.lost) == (1, [])
