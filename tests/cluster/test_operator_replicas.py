import asyncio
import signal
import time

import pytest
from operator_fixtures import GET_ITEM, Stage

from keyturn.cluster.resources import LEASES, ONEPASSWORD_ITEMS, SECRETS
from support.operator import OperatorProcess, eventually, run_to_end
from support.partition import Partition
from support.patience import PATIENCE_S

pytestmark = pytest.mark.cluster

DURATION = 6
PLENTY = 30
"""Seconds of a Lease that no pause of a busy machine costs its holder."""


def replica(stage: Stage, name: str, *, duration: int, **variables) -> OperatorProcess:
    """One of several operators of a stage, with a Lease of so many seconds."""
    flags = "--leader-elect", f"--leader-election-namespace={stage.namespace}"
    usual = {"POD_NAME": name, "KEYTURN_LEASE_DURATION": str(duration), "AUTO_RESTART": "true"}
    return stage.operator(*flags, **{**usual, **variables})


async def leads(operator: OperatorProcess) -> float:
    """Wait until an operator leads and does its work; returns how long it took until it led."""
    started = time.monotonic()

    async def check():
        assert operator.metric("keyturn_leader") == 1

    await eventually(check)
    led = time.monotonic() - started

    async def works():
        assert operator.get("/readyz") == (200, "ok")

    await eventually(works)
    return led


async def pair(stage: Stage, *, duration: int = DURATION, **variables) -> tuple[OperatorProcess, OperatorProcess]:
    """A leader that works, with these variables, and a standby."""
    first = replica(stage, "first", duration=duration, **variables)
    await leads(first)
    return first, replica(stage, "second", duration=duration)


async def lease_of(stage: Stage):
    return (await stage.cluster.get(LEASES, stage.namespace, "keyturn"))["spec"]


async def everything(stage: Stage) -> dict[str, str]:
    """Resource versions of all that an operator may write."""
    found = {}
    for kind in (SECRETS, ONEPASSWORD_ITEMS):
        for each in await stage.cluster.list(kind, stage.namespace):
            found[f"{kind.kind} {each['metadata']['name']}"] = each["metadata"]["resourceVersion"]
    return found


def said_at(operator: OperatorProcess, words: str) -> str:
    """The time of the only line of an operator's log that says this."""
    [line] = [line for line in operator.logged().splitlines() if words in line]
    return line.split()[0]


async def ended(operator: OperatorProcess) -> int:
    """Wait until an operator has ended by itself; returns its exit code."""
    return await asyncio.to_thread(operator.wait, PATIENCE_S)


async def test_one_works_while_the_other_stands_by_and_asks_for_nothing_but_the_lease(stage):
    """A standby is ready, but costs Connect nothing, the API server one GET a second, and writes nothing."""
    first, second = await pair(stage, duration=PLENTY)
    await stage.provide("login")
    await first.polls(2)

    assert second.get("/readyz") == (200, "ok: standby, ready to take over")
    assert second.get("/healthz") == (200, "ok")
    assert (first.metric("keyturn_leader"), second.metric("keyturn_leader")) == (1, 0)
    assert second.metric("keyturn_connect_requests_total") == 0
    assert second.api_writes() == {}
    looks = second.metric("keyturn_apiserver_requests_total", verb="get", resource=LEASES.label)
    assert looks >= 1
    assert second.metric("keyturn_apiserver_requests_total") == looks
    lease = await lease_of(stage)
    assert lease["holderIdentity"].startswith("first_")
    assert lease["leaseDurationSeconds"] == PLENTY


async def test_two_installations_in_one_namespace_work_side_by_side(stage):
    """Each has a Lease of its own, so that neither keeps the other from its work."""
    await leads(replica(stage, "first", duration=PLENTY))
    await leads(replica(stage, "other", duration=PLENTY, KEYTURN_LEASE_NAME="other"))

    holders = [
        (await stage.cluster.get(LEASES, stage.namespace, name))["spec"]["holderIdentity"].split("_")[0]
        for name in ("keyturn", "other")
    ]
    assert holders == ["first", "other"]


async def test_a_leader_that_is_asked_to_end_hands_over_in_about_a_second(stage):
    """SIGTERM stops the work, gives the Lease back, and the standby works on almost at once."""
    first, second = await pair(stage, duration=PLENTY)
    await stage.provide("login")

    first.send(signal.SIGTERM)
    took = await leads(second)

    # A second on a quiet machine. A Lease that nobody gave back runs out after twice that at the earliest.
    assert took < PLENTY / 3
    assert await ended(first) == 0
    assert (await lease_of(stage))["leaseTransitions"] == 1
    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second"})
    assert (await stage.event("login", "Updated"))["reportingInstance"] == "second"


async def test_a_standby_that_is_asked_to_end_does_so_at_once(stage):
    """Nobody notices when a standby goes."""
    first, second = await pair(stage, duration=PLENTY)
    before = await lease_of(stage)

    assert second.terminate() == 0

    assert first.metric("keyturn_leader") == 1
    assert (await lease_of(stage))["holderIdentity"] == before["holderIdentity"]
    assert "Traceback" not in second.logged()


async def test_the_lease_of_a_killed_leader_is_taken_when_it_has_run_out(stage):
    """SIGKILL costs the duration of the Lease and one look, and the standby goes on where the leader ended."""
    first, second = await pair(stage)
    await stage.provide("login")
    versions = await everything(stage)

    first.kill()
    took = await leads(second)
    await second.polls(1)

    # Not at once either: for all the standby knew, the leader was alive.
    assert took > DURATION / 2
    assert await everything(stage) == versions
    assert second.api_writes().keys() <= {f"patch {LEASES.label}"}


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "asked to end"])
@pytest.mark.parametrize("moment", ["fetched", "written"])
async def test_a_rotation_begun_by_one_leader_is_finished_by_the_next(stage, moment, end):
    """A leader that ends in the midst of a rotation costs no restart, and the next makes none twice."""
    first, second = await pair(stage)
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    since = stage.connect.last_request()

    stage.rotate("login", "second")
    stage.connect.wait_requests(1, route=GET_ITEM, since=since)
    if moment == "written":
        await stage.holds("login", {"password": "second"})
    first.send(end)
    await leads(second)

    await stage.holds("login", {"password": "second"})
    await stage.settled("web", restarts=1)
    await stage.paid("login")
    await second.polls(1)
    assert await stage.restarts("web") == 1


async def test_a_leader_that_was_stopped_and_wakes_up_writes_nothing(stage):
    """A process that slept through its Lease holds a value that is old by now: it must end without having written it."""
    first, second = await pair(stage)
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    since = stage.connect.last_request()
    stage.connect.fault(GET_ITEM, kind="pass", delay_s=1.0, count=1)
    stage.rotate("login", "old")
    stage.connect.wait_requests(1, route=GET_ITEM, since=since)
    first.send(signal.SIGSTOP)

    await leads(second)
    stage.rotate("login", "new")
    await stage.holds("login", {"password": "new"})
    await stage.paid("login")
    await stage.ready("login", itemVersion="3")
    versions, restarts = await everything(stage), await stage.restarts("web")
    first.send(signal.SIGCONT)
    code = await ended(first)
    await second.polls(1)

    assert code == 1
    assert "no longer leading, so this process ends" in first.logged()
    # It did try: the value that it had fetched before its sleep was still on its way.
    assert "secrets/{name}: NotLeading" in first.logged()
    assert await everything(stage) == versions
    assert await stage.restarts("web") == restarts
    assert (await lease_of(stage))["holderIdentity"].startswith("second_")


@pytest.mark.parametrize("silently", [True, False], ids=["silent", "refused"])
async def test_a_leader_that_cannot_reach_the_api_server_ends_before_another_leads(stage, silently):
    """Cut off from the API server alone, a leader ends by itself before its Lease runs out, and another takes over."""
    with Partition(stage.kubeconfig, folder=stage.folder) as door:
        first, second = await pair(stage, KUBECONFIG=door.kubeconfig)
        await stage.provide("login")

        door.shut(silently=silently)
        code = await ended(first)
        await leads(second)

    assert code == 1
    assert said_at(first, "no longer leading") < said_at(second, "leading: second_")
    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second"})


def test_a_lease_without_a_place_is_told_in_one_line(stage):
    """Outside a pod nobody knows the operator's own namespace: a guess might elect two leaders in two places."""
    ended = run_to_end(stage.variables(), "--leader-elect", "--health-probe-bind-address=0", "--metrics-bind-address=0")

    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "set --leader-election-namespace or POD_NAMESPACE" in ended.stderr
