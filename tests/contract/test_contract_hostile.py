"""Whatever a server answers, one error of the seam or a sound result comes out: no other exception, no value, no stall."""

import copy
import json
import random
from typing import Any

import pytest
from contract_rules import ASK, check_error, check_result, failure_of, settle
from contract_world import Step
from contract_worlds import WORLDS

from keyturn.core.vault import NotInVault

MOST = 250
"""Changed answers that are tried at each step."""

VALUES = [
    None,
    True,
    -1,
    0,
    2**63,
    10**30,
    1e308,
    "",
    "canary \x00 \x1b[31m\n",
    "canary \ud800",
    "\N{RIGHT-TO-LEFT OVERRIDE}canary",
    "x" * 200_000,
    "0000-00-00T00:00:00Z",
    "9999-12-31T23:59:59.999999999999+99:99",
    [],
    {},
    [None],
    [[]],
    [{}],
    {"id": None},
    {"id": "canary"},
]


def paths(found, path=()):
    """The places in a JSON value."""
    yield path
    inner = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for name, value in inner:
        yield from paths(value, (*path, name))


def changed(found, path, change):
    """A copy with another value at a place; `change` gets what holds it, and the name in there."""
    holder = {"root": copy.deepcopy(found)}
    place, name = holder, "root"
    for each in path:
        place, name = place[name], each
    change(place, name)
    return holder["root"]


def replaced(value):
    def change(place, name):
        place[name] = value

    return change


def removed(place, name):
    if isinstance(place, list) or name != "root":
        del place[name]
    else:
        place[name] = ""


def doubled(place, name):
    if isinstance(place, list):
        place.append(copy.deepcopy(place[name]))
    else:
        place[name] = [place[name]] * 2


def nested(place, name):
    for _ in range(300):
        place[name] = [place[name]]


def many(place, name):
    place[name] = [place[name]] * 3000


CHANGES = [*map(replaced, VALUES), removed, doubled, nested, many]

STEPS = [pytest.param(world, step, id=f"{world.provider.name}-{step}") for world in WORLDS for step in world.changes]


@pytest.mark.parametrize(("world_class", "step"), STEPS)
async def test_an_answer_with_anything_in_any_place_of_it_does_no_harm(world_class, step):
    """Servers are other people's, and so is what stands between."""
    async with world_class.running() as world:
        place = await settle(world)
        cases = []

        def plan(honest):
            cases.extend((path, change) for path in paths(honest) for change in CHANGES)
            return honest

        await world.tamper(step, plan)
        world.heal()
        for path, change in random.Random(7).sample(cases, min(MOST, len(cases))):
            await world.tamper(step, lambda honest, p=path, c=change: changed(honest, p, c))
            await check_harmless(world, place, step, path)

        vaults = world.open()
        assert await ASK[step](vaults, place)
        await vaults.close()


async def check_harmless(world, place, step, path):
    """Ask once, and look at what comes out."""
    vaults = world.open()
    found: list[Any] = []

    async def ask():
        found.append(await answer(vaults, place, step))

    error = await failure_of(ask())
    world.heal()
    await vaults.close()
    check_result(found)
    if error is not None:
        check_error(error, world)
    # A vault without its items would empty Secrets.
    assert step in {Step.ITEM, Step.FILE} or type(error) is not NotInVault, path


async def answer(vaults, place, step):
    """What comes out of a step."""
    if step is Step.ACCOUNT:
        await vaults.refresh()
        return await vaults.scopes()
    if step is Step.LISTING:
        return await vaults.items(place.scope, wanted=None)
    if step is Step.ITEM:
        return await vaults.item(place.scope.id, place.ref.id)
    return await vaults.file(place.ref, place.file, limit=1000)


@pytest.mark.parametrize(("world_class", "step"), STEPS)
async def test_an_answer_about_something_else_is_not_taken_for_the_right_one(world_class, step):
    """A cache between us and the server mixes answers up: no value may get into the wrong Secret."""
    async with world_class.running() as world:
        place = await settle(world)

        def other(honest):
            text = json.dumps(honest)
            for each in (place.ref.id, place.scope.id):
                text = text.replace(each, each[:-1] + ("b" if each[-1] == "a" else "a"))
            return json.loads(text)

        await world.tamper(step, other)
        vaults = world.open()
        error = await failure_of(answer(vaults, place, step))
        right = error is None and await ASK[step](vaults, place)
        await vaults.close()

        # A server without this vault, or without this item in its list, may be right.
        assert not right
        if step is Step.ITEM:
            assert error is not None
