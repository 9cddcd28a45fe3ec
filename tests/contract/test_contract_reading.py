"""What is in an account comes out of it, whichever provider it is at."""

import asyncio

import pytest
from contract_rules import failure_of, values_of
from contract_world import NewItem
from contract_worlds import WORLDS

from keyturn.core.vault import FieldKind, FileTooLarge, NotInVault, Scope
from support.event_loop import turns

BYTES = bytes(range(256)) * 3
VALUES = {
    "password": "canary-password",
    "a text": "line\nline\r\n\ttab",
    "letters": "Gr\N{LATIN SMALL LETTER U WITH DIAERESIS}\N{LATIN SMALL LETTER SHARP S}e \N{KEY} \N{HEBREW LETTER ALEF}",
    "quotes": "\"'\\{{}}${x}%41",
    "blanks": "  inner  and outer  ",
    "long": "x" * 50_000,
}


@pytest.fixture(params=WORLDS, ids=[world.provider.name for world in WORLDS])
async def world(request):
    async with request.param.running() as running:
        yield running


@pytest.fixture
async def vaults(world):
    opened = world.open()
    yield opened
    await opened.close()


async def scope_of(vaults, vault):
    await vaults.refresh()
    return next(scope for scope in await vaults.scopes() if scope.id == vault)


async def test_values_and_files_come_out_as_they_went_in(world, vaults):
    """Byte for byte, in any language."""
    vault = world.add_vault("Production")
    item_id = world.add(vault, NewItem("database", VALUES, files={"blob": BYTES, "tls.crt": b"certificate"}))
    await scope_of(vaults, vault)

    item = await vaults.item(vault, item_id)

    assert {label: value for label, value in values_of(item).items() if label in VALUES} == VALUES
    files = {field.label: field for field in item.fields if field.kind is FieldKind.FILE}
    assert files.keys() == {"blob", "tls.crt"}
    assert all(field.value is None for field in files.values())
    assert await vaults.file(item.ref, files["blob"], limit=len(BYTES)) == BYTES
    assert await vaults.file(item.ref, files["tls.crt"], limit=len(BYTES)) == b"certificate"
    error = await failure_of(vaults.file(item.ref, files["blob"], limit=len(BYTES) - 1))
    assert type(error) is FileTooLarge


async def test_ids_are_of_the_grammar_and_titles_are_as_written(world, vaults):
    """Paths are resolved by both."""
    vault = world.add_vault("Production & more")
    titles = ["database", "Database", "it's \N{KEY} /x/", "a+b & c#d %41?", 'say "hi"']
    ids = {title: world.add(vault, NewItem(title)) for title in titles}
    scope = await scope_of(vaults, vault)
    refs = await vaults.items(scope, wanted=None)

    assert scope.title == "Production & more"
    assert {ref.title: ref.id for ref in refs} == ids
    assert all(world.provider.is_id(each) for each in (vault, *ids.values()))
    assert {ref.scope for ref in refs} == {vault}


async def test_a_wanted_item_is_found_by_title_and_by_id(world, vaults):
    """With a list or one by one, whatever is cheaper."""
    vault = world.add_vault("Production")
    ids = {title: world.add(vault, NewItem(title)) for title in ("database", "web", "api")}
    scope = await scope_of(vaults, vault)
    everything = {ref.id: ref for ref in await vaults.items(scope, wanted=None)}

    for wanted in (["database"], [ids["web"]], ["DATABASE", ids["api"]], ["absent"]):
        found = {ref.id: ref for ref in await vaults.items(scope, wanted=wanted)}
        meant = {ids.get(each.lower(), each) for each in wanted} & everything.keys()
        assert meant <= found.keys()
        assert found == {each: everything[each] for each in found}


async def test_a_change_shows_in_the_revision_and_in_the_vault(world, vaults):
    """A poll that sees no change fetches nothing."""
    vault, other = world.add_vault("Production"), world.add_vault("Staging")
    changed, kept = world.add(vault, NewItem("changed")), world.add(vault, NewItem("kept"))
    world.add(other, NewItem("elsewhere"))

    async def look():
        await vaults.refresh()
        scopes = {scope.id: scope for scope in await vaults.scopes()}
        return scopes, {ref.id: ref.revision for ref in await vaults.items(scopes[vault], wanted=None)}

    scopes, revisions = await look()
    again, same = await look()
    world.set_password(vault, changed, "canary-new")
    after, moved = await look()

    assert (again, same) == (scopes, revisions)
    assert moved[kept] == revisions[kept]
    assert moved[changed] != revisions[changed]
    assert after[other] == scopes[other]
    assert after[vault].version is None or after[vault].version != scopes[vault].version
    assert values_of(await vaults.item(vault, changed))["password"] == "canary-new"


async def test_what_is_away_is_not_found(world, vaults):
    """Deleted, archived or in the trash, or never there: by its id, too."""
    vault = world.add_vault("Production")
    ids = {title: world.add(vault, NewItem(title)) for title in ("stays", "away", "gone")}
    await scope_of(vaults, vault)
    world.put_away(vault, ids["away"])
    world.delete(vault, ids["gone"])
    scope = await scope_of(vaults, vault)

    listed = await vaults.items(scope, wanted=None)
    assert [ref.title for ref in listed if not ref.state] == ["stays"]
    for item in (ids["away"], ids["gone"], ids["stays"][::-1], "not an id", ""):
        error = await failure_of(vaults.item(vault, item))
        assert type(error) is NotInVault, item
        assert "canary" not in str(error)
    nowhere = Scope(vault[::-1], "Nowhere")
    assert type(await failure_of(vaults.items(nowhere, wanted=None))) is NotInVault
    assert type(await failure_of(vaults.item(nowhere.id, ids["stays"]))) is NotInVault


async def test_an_item_is_not_found_in_another_vault(world, vaults):
    """A grant for one vault must not reach into the next one."""
    vault, other = world.add_vault("Production"), world.add_vault("Staging")
    item = world.add(vault, NewItem("database"))
    world.add(other, NewItem("database"))
    await scope_of(vaults, vault)

    assert type(await failure_of(vaults.item(other, item))) is NotInVault


async def test_an_empty_vault_is_empty(world, vaults):
    """No item is no error."""
    scope = await scope_of(vaults, world.add_vault("Empty"))

    assert list(await vaults.items(scope, wanted=None)) == []
    assert not scope.size


async def test_an_idle_poll_costs_the_same_however_many_items_there_are(world, vaults):
    """At most two requests, however many vaults."""
    costs = []
    for number in range(3):
        vault = world.add_vault(f"vault {number}")
        for each in range(number * 5):
            world.add(vault, NewItem(f"item {each}"))
        await scope_of(vaults, vault)
        before = world.requests
        await scope_of(vaults, vault)
        costs.append(world.requests - before)

    assert len(set(costs)) == 1
    assert costs[0] <= 2


async def test_many_readers_get_each_their_own(world, vaults):
    """At the same time, over the same client."""
    vault = world.add_vault("Production")
    ids = [
        world.add(vault, NewItem(f"item {n}", {"password": f"canary-{n}"}, {"f": f"canary-file-{n}".encode()}))
        for n in range(20)
    ]
    await scope_of(vaults, vault)

    async def read(item_id):
        item = await vaults.item(vault, item_id)
        [file] = [field for field in item.fields if field.kind is FieldKind.FILE]
        await turns(1)
        return values_of(item)["password"], await vaults.file(item.ref, file, limit=1000)

    found = await asyncio.gather(*map(read, ids))

    assert found == [(f"canary-{n}", f"canary-file-{n}".encode()) for n in range(20)]


async def test_no_value_and_no_credential_is_in_a_repr(world, vaults):
    """What a debugger or a traceback prints."""
    vault = world.add_vault("Production")
    item_id = world.add(vault, NewItem("database", files={"f": b"canary-file"}))
    scope = await scope_of(vaults, vault)
    item = await vaults.item(vault, item_id)

    for each in (vaults, scope, item, item.ref, item.fields, vars(vaults)):
        assert "canary" not in repr(each)
        assert world.credential not in repr(each)
    assert world.credential not in vaults.address
