"""Connect answers badly for some items, or in some way, while another object, the bystander, must not notice."""

import time
from collections.abc import Sequence

import psutil
import pytest
from operator_fixtures import Stage, condition_of

from support.operator import OperatorProcess, eventually

pytestmark = pytest.mark.cluster

INTERVAL_S = 2

# For the machine, beside a poll and the second that is promised: other tests run on it, too.
SLACK_S = 2.0


def at(item: str) -> str:
    """The route of one item, for a fault that strikes nothing else."""
    return f"*/items/{item}"


def memory(operator: OperatorProcess) -> int:
    """Resident bytes of the operator's process."""
    return int(psutil.Process(operator.pid).memory_info().rss)


async def rotate_bystander(stage: Stage, operator: OperatorProcess, *, times: int) -> None:
    """Rotate the bystander again and again: each rotation arrives within a poll and a second, and the operator is well."""
    for number in range(times):
        stage.rotate("bystander", f"value {number}")
        began = time.monotonic()
        await stage.holds("bystander", {"password": f"value {number}"})
        # A poll may come a tenth later than its interval says.
        assert time.monotonic() - began < 1.1 * INTERVAL_S + 1.0 + SLACK_S
        assert operator.get("/healthz")[0] == 200
        assert operator.get("/readyz")[0] == 200


async def with_items(stage: Stage, names: Sequence[str]) -> tuple[OperatorProcess, list[str]]:
    """An operator, the bystander, and these items with their objects, all ready; returns the ids of the items."""
    operator = stage.operator(POLLING_INTERVAL=str(INTERVAL_S))
    await stage.provide("bystander")
    ids = [stage.put_item(name) for name in names]
    for name in names:
        await stage.ask(name)
    for name in names:
        await stage.ready(name)
    return operator, ids


async def test_an_item_of_countless_members_is_that_item_s_own_error(stage):
    """It costs neither memory nor time, the object that asks for it says so, and the Secret of an object that had it stays."""
    operator, (huge,) = await with_items(stage, ["huge"])
    rest = memory(operator)
    stage.connect.fault(at(huge), kind="json", body={"id": huge, "fields": [{}] * 1_000_000})
    stage.rotate("huge", "second")
    await stage.ask("late", "vaults/Production/items/huge")

    async def told() -> None:
        status = (await stage.asked("late")).get("status", {})
        assert "more members than any honest answer has" in condition_of({"status": status}, "Ready").get("message", "")

    await eventually(told)
    await rotate_bystander(stage, operator, times=3)

    assert await stage.data("huge") == {"password": b"first"}
    assert memory(operator) - rest < 64 * 1024 * 1024
    stage.connect.clear_faults()
    await stage.holds("huge", {"password": "second"})


async def test_an_item_that_limits_for_ever_stops_nothing_else(stage):
    """A 429 asks for patience where it was sent."""
    operator, (limited,) = await with_items(stage, ["limited"])
    stage.connect.fault(at(limited), status=429, retry_after=1)
    stage.rotate("limited", "second")

    await rotate_bystander(stage, operator, times=5)

    assert await stage.data("limited") == {"password": b"first"}
    stage.connect.clear_faults()
    await stage.holds("limited", {"password": "second"})


async def test_a_server_that_closes_connections_without_a_word_is_no_outage(stage):
    """A proxy with a short keep-alive closes each connection when the next request comes on it."""
    operator, _ = await with_items(stage, [])
    stage.connect.fault("*", kind="once")

    await rotate_bystander(stage, operator, times=4)


async def test_a_dozen_items_that_hang_leave_room_for_others(stage):
    """While they hang for the first time, and while they are tried again."""
    names = [f"hangs-{number:02}" for number in range(12)]
    operator, ids = await with_items(stage, names)
    for item in ids:
        stage.connect.fault(at(item), kind="hang")
    for name in names:
        stage.rotate(name, "second")

    await rotate_bystander(stage, operator, times=10)

    stage.connect.clear_faults()
    for name in names:
        await stage.holds(name, {"password": "second"})
