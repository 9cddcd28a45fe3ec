"""The client and the provider against the emulator: every endpoint, every fault it can play, its undocumented behaviours."""

import asyncio
import base64
from contextlib import asynccontextmanager

import pytest

from connect_emulator.faults import FaultRule
from connect_emulator.knobs import Knobs
from connect_emulator.server import ConnectEmulator
from keyturn.base.time import Time
from keyturn.core import vault
from keyturn.core.vault import FieldKind
from keyturn.providers.connect import (
    ConnectClient,
    ConnectError,
    ConnectSettings,
    ConnectVaults,
    NotPermitted,
    Patch,
    StaticToken,
    TokenFile,
)
from support.fake_time import FakeTime

LOOKALIKE = "abcdefghijklmnopqrstuvwxyz"
TITLES = [
    "database",
    "Database",
    "a+b & c#d %41?",
    "it's \u00e4\U0001f511 /x/",
    'say "hi"',
    "back\\slash",
    LOOKALIKE,
    "  blanks  ",
]
BLOB = bytes(range(256)) * 4
DESCRIPTION = {
    "vaults": [
        {
            "name": "Production",
            "items": [
                {
                    "title": "database",
                    "category": "DATABASE",
                    "tags": ["app"],
                    "urls": [{"href": "https://db.example", "label": "website", "primary": True}],
                    "fields": [
                        {
                            "label": "password",
                            "type": "CONCEALED",
                            "value": "canary-database",
                            "history": ["canary-old"],
                        },
                        {"label": "api key", "section": "Extra", "type": "CONCEALED", "value": "canary-key"},
                        {"label": "code", "type": "OTP", "value": "otpauth://totp/x?secret=JBSWY3DPEHPK3PXP"},
                    ],
                    "files": [
                        {"name": "tls.crt", "content": "certificate"},
                        {"name": "blob", "base64": base64.b64encode(BLOB).decode()},
                        {"name": "empty", "size": 0},
                        {"name": "large", "size": 300_000},
                    ],
                },
                *({"title": title, "category": "LOGIN"} for title in TITLES[1:]),
                {"title": "shelf", "category": "DOCUMENT", "files": [{"name": "doc.pdf", "content": "pdf"}]},
                {"title": "attic", "state": "ARCHIVED"},
            ],
        },
        {"name": "Staging", "items": []},
    ],
    "tokens": [
        {"name": "all", "vaults": {"*": "rw"}},
        {"name": "reader", "vaults": {"Production": "r"}},
        {"name": "writer", "vaults": {"Production": "w"}},
    ],
}


class Rig:
    """A running emulator with a client and a provider."""

    def __init__(self, emulator, client, time):
        self.emulator = emulator
        self.time = time
        self.client = client
        self.vaults = ConnectVaults(client)
        self.vault = emulator.cloud.vault("Production").id
        self.scope = vault.Scope(self.vault, "Production")

    def item(self, title="database"):
        return self.emulator.cloud.item("Production", title).id

    def fault(self, kind, **members):
        self.emulator.faults.add(FaultRule(kind=kind, **members))

    def received(self):
        """The number of requests so far."""
        return sum(self.emulator.requests.counts.values())


@asynccontextmanager
async def running(*, token="all", source=None, knobs=None, **settings):  # noqa: S107 - the name of a token
    async with ConnectEmulator.start(DESCRIPTION, knobs=Knobs(**{"lag_s": 0.0, **(knobs or {})})) as emulator:
        time = FakeTime()
        client = ConnectClient(
            ConnectSettings(host=emulator.url + "/", **settings),
            token=source or StaticToken(emulator.token(token)),
            time=time,
        )
        try:
            yield Rig(emulator, client, time)
        finally:
            await client.close()


async def failure_of(attempt):
    try:
        await attempt
    except vault.VaultError as error:
        return error
    return None


@pytest.fixture
async def rig():
    async with running() as started:
        yield started


async def test_every_endpoint_answers(rig):
    """Each once, with what the emulator holds; the request log shows exactly the documented routes."""
    client, box, item = rig.client, rig.vault, rig.item()
    await client.heartbeat()
    assert [one.name for one in await client.vaults()] == ["Production", "Staging"]
    assert {one.title for one in await client.items(box)} == {*TITLES, "shelf"}
    found = await client.item(box, item)
    assert found.category == "DATABASE"
    files = {one.name: one for one in found.files}
    assert files.keys() == {"tls.crt", "blob", "empty", "large"}
    assert await client.file_content(box, item, files["blob"].id, limit=1024, size=1024) == BLOB
    made = await client.create_item(box, {"title": "new", "category": "LOGIN", "fields": []})
    steps = [Patch("replace", "/title", "newest"), Patch("add", "/tags", ["t"])]
    assert (await client.patch_item(box, made.id, steps)).title == "newest"
    page = await client.activity(limit=3)
    assert len(page.requests) == 3
    assert page.total > 5

    routes = {record.form()["method"] + " " + record.form()["route"] for record in rig.emulator.requests.records()}
    assert len(routes) == 8


async def test_an_idle_poll_costs_two_requests(rig):
    """Heartbeat and vaults, whatever the number of items."""
    before = rig.received()
    await rig.vaults.refresh()
    scopes = await rig.vaults.scopes()

    assert rig.received() - before == 2
    assert [(scope.title, scope.size) for scope in scopes] == [("Production", len(TITLES) + 1), ("Staging", 0)]


async def test_an_item_comes_through_the_seam(rig):
    """Fields in order with sections, then files; no old password and no changing code anywhere."""
    item = await rig.vaults.item(rig.vault, rig.item())
    by_label = {one.label: one for one in item.fields}

    assert by_label["password"].value == "canary-database"
    assert (by_label["api key"].value, by_label["api key"].section) == ("canary-key", "Extra")
    assert by_label["code"].value.startswith("otpauth://")
    assert [one.label for one in item.fields if one.kind is FieldKind.FILE] == ["tls.crt", "blob", "empty", "large"]
    assert item.ref.urls[0].href == "https://db.example"
    assert "canary-old" not in str([one.value for one in item.fields])
    for one in item.fields:
        if one.kind is FieldKind.FILE and one.label != "large":
            assert len(await rig.vaults.file(item.ref, one, limit=2000)) == one.size
    with pytest.raises(vault.FileTooLarge):
        await rig.vaults.file(item.ref, by_label["large"], limit=2000)


async def test_a_document_without_fields_is_an_item(rig):
    """The official operator panicked on those."""
    item = await rig.vaults.item(rig.vault, rig.item("shelf"))

    assert [one.label for one in item.fields if one.kind is FieldKind.FILE] == ["doc.pdf"]


@pytest.mark.parametrize("title", TITLES)
async def test_any_wanted_title_is_found(rig, title):
    """Special characters, quotes, letter case, and a title that looks like an id."""
    found = await rig.vaults.items(rig.scope, wanted=[title])

    assert rig.item(title) in {ref.id for ref in found if ref.title == title}


async def test_single_requests_and_a_list_agree(rig):
    """Whichever the caller chooses, the same references come."""
    listed = {ref.id: ref for ref in await rig.vaults.items(rig.scope, wanted=None)}
    wanted = [*TITLES[:4], rig.item("shelf"), LOOKALIKE, "nothing like it", "z" * 26]
    asked = {ref.id: ref for ref in await rig.vaults.items(rig.scope, wanted=wanted)}

    assert asked == {id_: listed[id_] for id_ in asked}
    assert {ref.title for ref in asked.values()} == {*TITLES[:4], "shelf", LOOKALIKE}


async def test_an_unknown_item_is_not_found(rig):
    """Unknown, malformed, archived and deleted."""
    rig.emulator.cloud.delete("Production", "shelf")
    for id_ in ("z" * 26, "not-an-id", rig.item("attic")):
        with pytest.raises(vault.NotInVault):
            await rig.vaults.item(rig.vault, id_)
    with pytest.raises(vault.NotInVault):
        await rig.vaults.items(vault.Scope("NOT A VAULT", ""), wanted=None)
    assert {"attic", "shelf"}.isdisjoint(ref.title for ref in await rig.vaults.items(rig.scope, wanted=None))


async def test_missing_grants_are_access_denied():
    """A vault outside of the token, and a token that may only write: a 403 is asked for once more, since some pass."""
    async with running(token="reader") as rig:
        assert [scope.title for scope in await rig.vaults.scopes()] == ["Production"]
        staging = rig.emulator.cloud.vault("Staging").id
        before = rig.received()
        with pytest.raises(vault.AccessDenied, match=staging):
            await rig.vaults.items(vault.Scope(staging, "Staging"), wanted=None)
        assert rig.received() - before == 2
        with pytest.raises(NotPermitted):
            await rig.client.create_item(rig.vault, {"title": "x", "category": "LOGIN"})
    async with running(token="writer") as rig:
        with pytest.raises(vault.AccessDenied):
            await rig.vaults.item(rig.vault, rig.item())


async def test_a_revoked_token_is_refused_until_the_file_has_a_new_one(tmp_path):
    """No restart, and one request for a token that is refused."""
    path = tmp_path / "token"
    path.write_text("not.a.token")
    async with running(source=TokenFile(path, time=Time())) as rig:
        before = rig.received()
        with pytest.raises(vault.CredentialRefused, match="Invalid bearer token"):
            await rig.vaults.scopes()
        assert rig.received() - before == 1

        path.write_text(rig.emulator.token("all") + "\n")
        assert len(await rig.vaults.scopes()) == 2


ONCE = [
    {"kind": "status", "status": 401, "message": "Invalid bearer token"},
    {"kind": "status", "status": 403, "message": "Authorization: token does not have access"},
    {"kind": "status", "status": 408, "message": "sync did not complete within timeout, please retry the request"},
    {"kind": "status", "status": 429, "retry_after": 2},
    {"kind": "status", "status": 429, "retry_after": 2, "retry_after_date": True},
    {"kind": "status", "status": 429},
    {"kind": "status", "status": 500},
    {"kind": "html", "status": 502},
    {"kind": "html", "status": 200},
    {"kind": "html", "status": 404},
    {"kind": "json", "body": {"unexpected": "shape"}},
    {"kind": "json", "body": None},
    {"kind": "empty", "status": 204},
    {"kind": "empty", "status": 200},
    {"kind": "invalid_json"},
    {"kind": "invalid_utf8"},
    {"kind": "truncate"},
    {"kind": "wrong_length", "length_error": -5},
    {"kind": "reset"},
]


@pytest.mark.parametrize("fault", ONCE, ids=lambda fault: "-".join(str(part) for part in fault.values())[:40])
@pytest.mark.parametrize("what", ["scopes", "items", "item", "file"])
async def test_a_fault_that_passes_costs_one_call_at_most(rig, fault, what):
    """The call fails with one error of the seam, or its answer is right; the next call succeeds, after the pause of a 429."""
    item_id = rig.item()
    item = await rig.vaults.item(rig.vault, item_id)
    certificate = next(one for one in item.fields if one.label == "tls.crt")
    rig.fault(**fault, count=1)

    attempt = {
        "scopes": rig.vaults.scopes,
        "items": lambda: rig.vaults.items(rig.scope, wanted=None),
        "item": lambda: rig.vaults.item(rig.vault, item_id),
        "file": lambda: rig.vaults.file(item.ref, certificate, limit=100),
    }[what]
    error = await failure_of(attempt())
    assert not isinstance(error, vault.NotInVault)
    if isinstance(error, vault.RateLimited):
        rig.time.advance(error.retry_after or 1.0)
    result = await attempt()

    assert result == b"certificate" if what == "file" else result


@pytest.mark.parametrize(
    "fault",
    [*ONCE, {"kind": "redirect", "location": "https://else.example/x"}, {"kind": "status", "status": 451}],
    ids=lambda fault: "-".join(str(part) for part in fault.values())[:40],
)
async def test_a_fault_that_stays_is_one_error_of_the_seam(rig, fault):
    """Never a value, never an empty item, never another exception; NotInVault only for Connect's own form of 404."""
    item_id = rig.item()
    rig.fault(**fault)

    for ask in (
        rig.vaults.scopes,
        lambda: rig.vaults.items(rig.scope, wanted=None),
        lambda: rig.vaults.item(rig.vault, item_id),
    ):
        with pytest.raises(vault.VaultError) as caught:
            await ask()
        assert not isinstance(caught.value, vault.NotInVault)
        assert "canary" not in str(caught.value)


async def test_a_bomb_is_stopped():
    """A proxy may compress; decoded bytes count."""
    async with running(json_limit=200_000) as rig:
        rig.fault("gzip", count=1)
        assert await rig.vaults.scopes()
        rig.fault("gzip", pad_bytes=10_000_000, count=1)
        with pytest.raises(vault.VaultUnavailable, match="more than 200000 bytes"):
            await rig.vaults.scopes()


@pytest.mark.parametrize("kind", ["drip", "hang", "wrong_length"])
async def test_no_call_outlives_its_deadline(kind):
    """Slow bytes, no bytes, bytes that were announced and never come."""
    async with running(deadline=0.2) as rig:
        rig.fault(kind)
        with pytest.raises(vault.VaultUnavailable, match="deadline"):
            await rig.vaults.scopes()


async def test_a_cold_start_is_unavailable_until_the_first_sync():
    """The first answer of a fresh server may be 408 after its own timeout; a later call succeeds."""
    async with running(knobs={"initial_sync_s": 0.25, "sync_timeout_s": 0.1}) as rig:
        with pytest.raises(vault.VaultUnavailable, match="408"):
            await rig.vaults.scopes()
        await asyncio.sleep(0.3)
        assert len(await rig.vaults.scopes()) == 2


async def test_a_file_that_is_not_synced_yet_is_unavailable():
    """500 for some requests, then the bytes: each call sends two at most, and other calls are not affected."""
    async with running(knobs={"unsynced_file_calls": 4}) as rig:
        item = await rig.vaults.item(rig.vault, rig.item())
        certificate = next(one for one in item.fields if one.label == "tls.crt")
        for _ in range(2):
            with pytest.raises(vault.VaultUnavailable, match="500"):
                await rig.vaults.file(item.ref, certificate, limit=100)
            assert await rig.vaults.scopes()

        assert await rig.vaults.file(item.ref, certificate, limit=100) == b"certificate"


@pytest.mark.parametrize("mode", ["refuse", "reset"])
async def test_an_outage_is_over_with_the_first_request_that_succeeds(rig, mode):
    """The client remembers no failure: the health of the connection decides what is sent, and when."""
    await rig.vaults.scopes()
    await rig.emulator.outage(mode)
    for _ in range(6):
        with pytest.raises(vault.VaultUnavailable):
            await rig.vaults.scopes()
    with pytest.raises(vault.VaultUnavailable):
        await rig.vaults.refresh()

    await rig.emulator.outage(None)

    assert len(await rig.vaults.scopes()) == 2
    await rig.vaults.refresh()


@pytest.mark.parametrize("knob", ["slash", "no_slash", "camel"])
async def test_the_server_s_own_content_path_does_not_matter(knob):
    """Servers spell it in three ways; the path is built from ids."""
    async with running(knobs={"content_path": knob, "timestamp_digits": 9, "list_files": True}) as rig:
        item = await rig.vaults.item(rig.vault, rig.item())
        blob = next(one for one in item.fields if one.label == "blob")

        assert await rig.vaults.file(item.ref, blob, limit=2000) == BLOB
        assert item.ref.created_at is not None


async def test_a_creation_behind_a_lost_answer_is_not_repeated(rig):
    """The gateway answers 504, and the item exists: exactly once."""
    rig.fault("html", status=504, execute=True, count=1)
    with pytest.raises(ConnectError):
        await rig.client.create_item(rig.vault, {"title": "only one", "category": "LOGIN", "fields": []})

    assert len(await rig.client.items(rig.vault, title="only one")) == 1
