"""C80: the same seed and clock give the same server; and the clock itself."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_emulator.account.ids import Ids, derive, is_id
from connect_emulator.clock import Clock
from support.emulator import DESCRIPTION


async def story(rig):
    """All that an emulator answers in a small life, with random values, ids and choices in it."""
    body = {
        "vault": {"id": rig.vault()},
        "title": "new",
        "category": "LOGIN",
        "fields": [{"purpose": "PASSWORD", "generate": True}, {"label": "x"}],
    }
    answers = [await rig("POST", rig.items_path(), json=body)]
    rig.cloud.rotate("Production", "login")
    rig.cloud.create("Empty", rig.item_spec(title="made", fields=[{"label": "custom", "section": "S"}]))
    rig.clock.advance(1)
    rig.emulator.faults.add(rig.fault(probability=0.5, count=3))
    answers += [await rig.get(rig.item_path("login")) for _ in range(10)]
    answers += [
        await rig.get(path)
        for path in ("/v1/vaults", rig.items_path(), rig.items_path("Empty"), rig.item_path("made", "Empty"))
    ]
    answers += [await rig.get(path) for path in (rig.item_path() + "/files", "/v1/activity", "/health")]
    return [(answer.status_code, answer.content, answer.headers) for answer in answers]


async def test_c80_the_same_seed_gives_the_same_answers(launch):
    """C80: two emulators of one seed answer alike to the byte, headers and dates included; another seed gives other ids and values."""
    first, second, other = [await story(await launch(seed=seed)) for seed in (7, 7, 8)]
    assert first == second
    assert first != other


async def test_c80_ids_depend_on_nothing_else(launch):
    """C80: adding to the description changes no id that was there before."""
    larger = json.loads(json.dumps(DESCRIPTION))
    larger["vaults"].insert(0, {"name": "First", "items": [{"title": "login"}]})
    larger["vaults"][1]["items"].insert(0, {"title": "zero", "fields": [{"label": "api key"}]})
    larger["vaults"][1]["items"][2]["fields"].insert(0, {"label": "other"})
    small, large = await launch(), await launch(larger)
    assert small.vault() == large.vault()
    for title in ("database", "login"):
        ours, theirs = small.cloud.item("Production", title), large.cloud.item("Production", title)
        assert ours.id == theirs.id
        assert {field.id for field in ours.content.fields} <= {field.id for field in theirs.content.fields}
        assert ours.content.files == theirs.content.files


async def test_c80_given_ids_are_kept(launch):
    """C80: ids of the description are used as they are."""
    item = {
        "title": "t",
        "id": "i" * 26,
        "fields": [{"id": "mine", "label": "x"}],
        "files": [{"name": "f", "id": "f" * 26, "content": ""}],
        "created_at": 86400,
        "updated_at": 172800,
    }
    rig = await launch(
        {
            "vaults": [{"name": "v", "id": "v" * 26, "items": [item], "content_version": 9, "attribute_version": 4}],
            "tokens": [{"name": "all", "vaults": {"v" * 26: "r"}}],
        }
    )
    read = (await rig.get(f"/v1/vaults/{'v' * 26}/items/{'i' * 26}")).json()
    assert (read["fields"][-1]["id"], read["files"][0]["id"]) == ("mine", "f" * 26)
    assert (read["createdAt"], read["updatedAt"]) == ("1970-01-02T00:00:00Z", "1970-01-03T00:00:00Z")
    vault = (await rig.get("/v1/vaults")).json()[0]
    assert (vault["contentVersion"], vault["attributeVersion"]) == (9, 4)


@given(seed=st.integers(), name=st.text())
def test_ids_have_the_documented_shape(seed, name):
    """Whatever the name, an id is 26 lower-case characters, the same each time, and the next of that name is another."""
    assert is_id(derive(seed, name))
    first, second = Ids(seed), Ids(seed)
    made = [first.named("kind", name) for _ in range(3)]
    assert made == [second.named("kind", name) for _ in range(3)]
    assert len(set(made)) == 3
    assert all(map(is_id, made))
    assert first.fresh() == second.fresh()


async def test_a_manual_clock_moves_by_hand():
    """Sleepers of a manual clock wake when it has moved far enough, in whatever steps."""
    clock = Clock.manual(100.0)
    naps = [asyncio.create_task(clock.sleep(seconds)) for seconds in (1, 2)]
    await clock.sleepers(2)
    clock.advance(1.5)
    await naps[0]
    assert not naps[1].done()
    clock.advance(0.5)
    await naps[1]
    assert (clock.now(), clock.sleeping) == (102.0, 0)
    await clock.sleep(0)
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)


async def test_a_manual_clock_leaves_early_sleepers_alone():
    """A sleeper that is not due sleeps on through any number of moves, and a new sleeper is counted although another was just woken."""
    clock = Clock.manual()
    nap = asyncio.create_task(clock.sleep(3))
    for _ in range(3):
        await clock.sleepers()
        assert not nap.done()
        clock.advance(1)
    assert clock.sleeping == 0
    await nap


async def test_a_running_clock_runs_and_can_be_pushed():
    """The usual clock shows the time and wakes sleepers by itself or when it is moved forward."""
    clock = Clock()
    before = clock.now()
    await clock.sleep(0.01)
    assert clock.now() >= before + 0.01
    nap = asyncio.create_task(clock.sleep(3600))
    await clock.sleepers()
    clock.advance(3600)
    await nap


async def test_a_cancelled_sleeper_leaves_no_trace():
    """A sleeper that is cancelled is forgotten."""
    clock = Clock.manual()
    nap = asyncio.create_task(clock.sleep(1))
    await clock.sleepers()
    nap.cancel()
    with pytest.raises(asyncio.CancelledError):
        await nap
    assert clock.sleeping == 0
