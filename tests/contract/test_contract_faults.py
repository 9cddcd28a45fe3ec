"""Whatever goes wrong at a server is the one error of the seam that it means, and is over when it is over."""

import asyncio
from functools import partial

import pytest
from contract_rules import ASK, check_error, check_fault, check_limit, failure_of, pairs, settle
from contract_world import Fault, Step
from contract_worlds import WORLDS

from keyturn.core.vault import CredentialRefused, VaultUnavailable
from support.patience import PATIENCE_S

NAMES = [world.provider.name for world in WORLDS]
PLAYED = [
    pytest.param(world, step, fault, id=f"{world.provider.name}-{step}-{fault}")
    for world in WORLDS
    for step, faults in world.plays.items()
    for fault in faults
]


@pytest.mark.parametrize(("world_class", "step", "fault"), PLAYED)
async def test_a_fault_is_the_error_that_it_means_and_passes(world_class, step, fault):
    """Health, status and backoff follow from the class alone, for all providers alike."""
    async with world_class.running() as world:
        await check_fault(world, await settle(world), step, fault)


OWN = [
    pytest.param(world, check, id=f"{world.provider.name}-{check.__name__}")
    for world in WORLDS
    for check in (*world.own_checks, check_limit)
]


@pytest.mark.parametrize(("world_class", "check"), OWN)
async def test_a_fault_of_one_provider_is_the_error_that_it_means(world_class, check):
    """What the other servers cannot play."""
    async with world_class.running() as world:
        place = await settle(world)
        await (check(world, place) if check is check_limit else check(world))


@pytest.mark.parametrize("world_class", WORLDS, ids=NAMES)
async def test_every_status_of_the_contract_is_played(world_class):
    """A world that cannot play a fault would pass by silence."""
    statuses = {
        Fault.UNAUTHORIZED,
        Fault.FORBIDDEN,
        Fault.ABSENT,
        Fault.CONFLICT,
        Fault.LIMITED,
        Fault.BROKEN,
        Fault.BUSY,
    }
    for step, faults in world_class.plays.items():
        assert statuses <= set(faults), step
    assert {Step.ACCOUNT, Step.FILE} <= world_class.plays.keys()


MUTANTS = [
    pytest.param(world, table, one, other, id=f"{world.provider.name}-{table.name}-{_name}")
    for world in WORLDS
    for table in world.tables
    for one, other in pairs(table.meanings)
    if table.meanings[one] != table.meanings[other]
    for _name in [f"{getattr(one, '__name__', one)}-{getattr(other, '__name__', other)}"]
]


@pytest.mark.parametrize(("world_class", "table", "one", "other"), MUTANTS)
async def test_two_rows_of_a_table_of_errors_cannot_be_confused(world_class, table, one, other, monkeypatch):
    """A table is as good as the tests that hold its rows apart: with two rows exchanged, the contract is broken."""
    async with world_class.running() as world:
        place = await settle(world)
        table.swap(monkeypatch, one, other)

        assert await is_broken(world, place)


async def is_broken(world, place):
    """Whether any check of the contract fails. The slow ones, which show nothing about tables, are left out."""
    checks = [partial(check, world) for check in world.own_checks]
    checks.append(partial(check_limit, world, place))
    for step, faults in world.plays.items():
        statuses = [fault for fault in faults if fault[0].isdigit()]
        checks += [partial(check_fault, world, place, step, fault) for fault in statuses]
    for check in checks:
        try:
            await check()
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("world_class", WORLDS, ids=NAMES)
async def test_a_refused_credential_is_refused_for_everything(world_class):
    """And a client with a good one works."""
    async with world_class.running() as world:
        place = await settle(world)
        world.accept(credential=False)
        vaults = world.open()
        for step in world_class.plays:
            error = await failure_of(ASK[step](vaults, place))
            assert type(error) is CredentialRefused
            check_error(error, world)
        await vaults.close()

        world.accept(credential=True)
        vaults = world.open()
        for step in Step:
            assert await ASK[step](vaults, place)
        await vaults.close()


@pytest.mark.parametrize("world_class", WORLDS, ids=NAMES)
async def test_a_closed_client_asks_nothing(world_class):
    """Disconnected is disconnected: also for whoever still holds the object."""
    async with world_class.running() as world:
        place = await settle(world)
        vaults = world.open()
        await ASK[Step.ACCOUNT](vaults, place)
        await vaults.close()
        await vaults.close()
        before = world.requests

        for step in Step:
            error = await failure_of(ASK[step](vaults, place))
            assert type(error) is VaultUnavailable
            check_error(error, world)
        assert world.requests == before
        assert world.credential not in repr(vars(vaults))


async def until_asked(world, before):
    """Wait until the server has one more request."""
    async with asyncio.timeout(PATIENCE_S):
        while world.requests == before:  # noqa: ASYNC110 - not all servers have an event for it
            await asyncio.sleep(0)


CANCELLED = [
    pytest.param(world, step, id=f"{world.provider.name}-{step}")
    for world in WORLDS
    for step, faults in world.plays.items()
    if Fault.HANG in faults
]


@pytest.mark.parametrize(("world_class", "step"), CANCELLED)
async def test_a_cancelled_call_ends_at_once_and_harms_no_later_one(world_class, step):
    """A Connection that goes while its server hangs must not be waited for."""
    async with world_class.running() as world:
        place = await settle(world)
        vaults = world.open()
        world.fail(step, Fault.HANG)
        for _ in range(12):
            before = world.requests
            call = asyncio.ensure_future(ASK[step](vaults, place))
            await until_asked(world, before)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        world.heal()

        assert await ASK[step](vaults, place)
        await vaults.close()
