"""Connect's activity through the seam, from an emulator that gets requests meanwhile."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from connect_emulator.http.activity import Entry
from connect_emulator.knobs import Knobs
from connect_emulator.server import ConnectEmulator
from keyturn.base.call_id import current_call_id
from keyturn.base.time import Time
from keyturn.control.activity.paging import new_entries
from keyturn.control.connections.chosen_vaults import ChosenVaults
from keyturn.core.activity import activity_log_of
from keyturn.core.vault import CredentialRefused, VaultUnavailable
from keyturn.providers.connect import ConnectClient, ConnectSettings, ConnectVaults, StaticToken
from keyturn.providers.connect.registration import CONNECT
from support.emulator import DESCRIPTION


@asynccontextmanager
async def running(**knobs):
    async with ConnectEmulator.start(DESCRIPTION, knobs=Knobs(lag_s=0.0, **knobs)) as emulator:
        settings = ConnectSettings(host=emulator.url)
        client = ConnectClient(settings, token=StaticToken(emulator.token("all")), time=Time())
        try:
            yield emulator, ConnectVaults(client)
        finally:
            await client.close()


def remember(emulator, count, *, first=0, **said):
    """Put entries into the emulator's log, as if so many requests had been made; returns their ids."""
    token = emulator.authority.token("reader")
    made = Entry(
        request_id="", at=emulator.authority.token("all").issued_at, action="READ", denied=False, token=token,
        user_agent="op/2.31", ip="127.0.0.1", kind="ITEM", vault_id="v", item_id="i", item_version=3,
    )  # fmt: skip
    ids = [f"r{number}" for number in range(first, first + count)]
    for each in ids:
        emulator.activity.record(replace(made, request_id=each, **said))
    return ids


def ids(found):
    return [entry.request_id for entry in found.entries]


async def test_an_entry_says_who_asked_for_what(request):
    """With which token, from where, by which program, and for which version."""
    del request
    async with running() as (emulator, vaults):
        vault_id = emulator.cloud.vault("Production").id
        item_id = emulator.cloud.item("Production", "database").id
        before = current_call_id.set("operator:test")
        try:
            await vaults.item(vault_id, item_id)
        finally:
            current_call_id.reset(before)
        log = vaults.activity_log()
        (entry,) = await log.page(limit=1, offset=0)

        assert (entry.vault, entry.item, entry.item_version) == (vault_id, item_id, 1)
        assert (entry.action, entry.result, entry.resource) == ("READ", "SUCCESS", "ITEM")
        assert entry.user_agent.endswith(" (operator:test)")
        assert entry.ip == "127.0.0.1"
        assert entry.at is not None
        assert entry.token == log.token_id == emulator.authority.token("all").jti
        assert (entry.server, entry.account) == (emulator.authority.server_id, emulator.authority.account)


async def test_ten_thousand_entries_are_read_while_requests_arrive():
    """Each entry once, in order, from the oldest to those that came in last."""
    async with running() as (emulator, vaults):
        made = remember(emulator, 10_000)
        going = True

        async def ask():
            while going:
                made.extend(remember(emulator, 3, first=len(made)))
                await asyncio.sleep(0.002)

        asking = asyncio.ensure_future(ask())
        found = await new_entries(vaults.activity_log(), {"r999"})
        going = False
        await asking

        assert ids(found) == made[1000 : 1000 + len(found.entries)]
        assert len(found.entries) >= 9000
        assert found.reached


async def test_the_whole_log_is_read_if_nothing_of_it_is_known():
    """All ten thousand that the server keeps."""
    async with running() as (emulator, vaults):
        made = remember(emulator, 10_050)
        found = await new_entries(vaults.activity_log(), set())

        assert ids(found) == made[50:]
        assert (found.reached, found.complete) == (False, True)


@pytest.mark.parametrize("knobs", [{"activity_page": 50}, {"activity_of_activity": True}])
async def test_what_no_document_says_changes_nothing(knobs):
    """A bound of the page; an entry for each page that is read."""
    async with running(**knobs) as (emulator, vaults):
        made = remember(emulator, 400)
        found = await new_entries(vaults.activity_log(), {"r99"})

        assert [each for each in ids(found) if each in made] == made[100:]
        assert found.reached


async def test_a_lost_volume_is_noticed():
    """The entry that was exported last is not there any more."""
    async with running() as (emulator, vaults):
        remember(emulator, 20)
        emulator.restart(keep=False)
        await vaults.scopes()
        found = await new_entries(vaults.activity_log(), {"r19"})

        assert len(found.entries) == 1
        assert (found.reached, found.complete) == (False, True)


async def test_a_limited_connection_has_the_log_of_the_whole_server():
    """What other clients do is what a reader wants to know."""
    async with running() as (emulator, vaults):
        chosen = ChosenVaults(vaults, ["Staging"], CONNECT)
        made = remember(emulator, 2)
        log = activity_log_of(chosen)

        assert log is not None
        assert [entry.request_id for entry in await log.page(limit=5, offset=0)] == made[::-1]


async def test_errors_are_those_of_the_seam():
    """Whoever exports knows nothing of Connect."""
    async with running() as (emulator, vaults):
        log = vaults.activity_log()
        emulator.authority.revoke("all")
        with pytest.raises(CredentialRefused):
            await log.page(limit=1, offset=0)
        await vaults.close()
        assert log.token_id == ""
        with pytest.raises(VaultUnavailable):
            await log.page(limit=1, offset=0)
