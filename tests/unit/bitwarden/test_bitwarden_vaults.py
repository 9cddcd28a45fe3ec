"""The account behind the seam of `core.vault`: what is asked of the server, and what comes of it."""

import asyncio
from dataclasses import replace

import pytest

from keyturn.core.vault import AccessDenied, FieldKind, ItemUnreadable, NotInVault, Scope, Url, VaultUnavailable
from keyturn.providers.bitwarden import BITWARDEN
from support.bitwarden_server import Account
from support.bitwarden_server.account import BOOLEAN, HIDDEN, LINKED, TEXT
from support.bitwarden_server.bench import Bench, read

LOGIN, DATE, SYNC = (
    "POST /identity/connect/token",
    "GET /api/accounts/revision-date",
    "GET /api/sync?excludeDomains=true",
)


@pytest.fixture
def account():
    return Account()


@pytest.fixture
def bench(account):
    return Bench(account)


async def scopes_of(bench):
    await bench.vaults.refresh()
    return {scope.title: scope for scope in await bench.vaults.scopes()}


async def test_a_quiet_poll_is_one_small_request(bench):
    """The account is read again only if it changed."""
    bench.account.add("db")
    await bench.vaults.refresh()
    assert bench.server.lines == [LOGIN, DATE, SYNC]

    await bench.vaults.refresh()
    await bench.refs()
    assert bench.server.lines == [DATE, DATE]

    bench.account.add("web")
    await bench.vaults.refresh()
    assert bench.server.lines == [DATE, SYNC]
    assert set(bench.observed) == {
        ("POST /identity/connect/token", "200"),
        ("GET /api/accounts/revision-date", "200"),
        ("GET /api/sync", "200"),
    }


async def test_reading_before_the_first_poll_reads_the_account(bench):
    """The index may ask first."""
    item = bench.account.add("db", properties={"password": "p"})

    assert [scope.id for scope in await bench.vaults.scopes()] == ["personal"]
    assert (await bench.vaults.item("personal", item)).fields[0].value == "p"
    assert bench.server.lines == [LOGIN, DATE, SYNC]


async def test_a_login_has_its_parts_as_fields(bench):
    """And custom fields, notes and web addresses, by the rule that 1Password's items follow."""
    item = bench.account.add(
        "db",
        properties={"username": "u", "password": "p", "totp": "otpauth://totp/x?secret=A"},
        uris=["https://one", "https://two"],
        notes="first\nsecond",
        fields=[(TEXT, "host", "h"), (HIDDEN, "key", "k"), (BOOLEAN, "on", "true"), (LINKED, "user", 100)],
        files={"tls.crt": b"cert"},
    )
    found = await bench.item(item)

    assert {each.label: each.value for each in found.fields} == {
        "username": "u",
        "password": "p",
        "totp": "otpauth://totp/x?secret=A",
        "notes": "first\nsecond",
        "host": "h",
        "key": "k",
        "on": "true",
        "user": "u",
        "tls.crt": None,
    }
    assert found.ref.urls == (Url("https://one", "website", primary=True), Url("https://two", "website"))
    assert (found.ref.title, found.ref.category, found.fields[-1].kind) == ("db", "LOGIN", FieldKind.FILE)
    assert len({each.id for each in found.fields}) == len(found.fields)


@pytest.mark.parametrize(
    ("kind", "properties", "category", "linked"),
    [
        ("card", {"cardholderName": "c", "number": "4111", "code": "1"}, "CREDIT_CARD", (305, "4111")),
        ("identity", {"firstName": "f", "ssn": "1", "country": "NO"}, "IDENTITY", (416, "f")),
        ("sshKey", {"privateKey": "k", "publicKey": "p", "keyFingerprint": "f"}, "SSH_KEY", (100, None)),
        ("secureNote", {}, "SECURE_NOTE", (100, None)),
    ],
)
async def test_items_of_other_kinds_have_their_own_properties(bench, kind, properties, category, linked):
    """Under the names that the API has for them."""
    number, value = linked
    item = bench.account.add(
        "it", kind=kind, properties=properties, notes="n", fields=[(TEXT, "more", "m"), (LINKED, "same", number)]
    )

    assert (await bench.item(item)).ref.category == category
    assert await bench.values(item) == {**properties, "notes": "n", "more": "m", "same": value}


async def test_an_item_of_a_newer_kind_is_refused_as_a_whole(bench):
    """A half of an item must not become a Secret."""
    item = bench.account.add("bank", kind="bankAccount", notes="n")

    with pytest.raises(ItemUnreadable, match="items of its kind are not supported"):
        await bench.item(item)


async def test_collections_are_vaults(bench):
    """An item may be in several; what is in none is personal."""
    one, two = bench.account.add_collection("One"), bench.account.add_collection("Two")
    both = bench.account.add("both", properties={"password": "b"}, collections=[one, two])
    bench.account.add("mine")
    scopes = await scopes_of(bench)

    assert {title: (scope.id, scope.size) for title, scope in scopes.items()} == {
        "personal": ("personal", 1),
        "One": (one, 1),
        "Two": (two, 1),
    }
    for scope in (one, two):
        assert (await bench.item(both, scope)).ref.scope == scope
    with pytest.raises(NotInVault, match=f"item {both} of vault personal does not exist"):
        await bench.item(both)


async def test_collections_of_one_title_are_found_by_id_alone(bench):
    """So are those that are called like the vault of the account's own items: nobody can push another's vault aside."""
    ids = [
        bench.account.add_collection("Prod"),
        bench.account.add_collection("PROD", organization="Other"),
        bench.account.add_collection("Personal"),
    ]
    titles = [scope.title for scope in (await scopes_of(bench)).values()]

    assert titles == ["personal", f"Prod ({ids[0]})", f"PROD ({ids[1]})", f"Personal ({ids[2]})"]


async def test_only_a_vault_whose_items_changed_gets_another_version(bench):
    """Others are not listed again."""
    collection = bench.account.add_collection("One")
    item = bench.account.add("db", properties={"password": "1"}, collections=[collection])
    mine = bench.account.add("mine")
    before = await scopes_of(bench)
    bench.account.set_property(item, "password", "2")
    after = await scopes_of(bench)

    assert after["One"].version != before["One"].version
    assert after["personal"].version == before["personal"].version

    bench.account.trash(mine)
    assert (await scopes_of(bench))["personal"].version != before["personal"].version
    assert (await scopes_of(bench))["personal"].size == 0


async def test_a_revision_moves_with_the_content(bench):
    """Even if the server forgets to say so."""
    item = bench.account.add("db", properties={"password": "1"})
    [first] = await bench.refs()
    said = bench.account.items[item]["revisionDate"]
    bench.account.set_property(item, "password", "2")
    bench.account.items[item]["revisionDate"] = said
    [second] = await bench.refs()
    bench.account.add("other")
    [third, _] = await bench.refs()

    assert first.revision != second.revision == third.revision


async def test_wanted_items_are_found_by_id_or_title(bench):
    """At least every match, in whatever case."""
    ids = [bench.account.add(title) for title in ("db", "DB", "web")]
    scope = (await scopes_of(bench))["personal"]

    assert [ref.id for ref in await bench.vaults.items(scope, wanted=["Db"])] == ids[:2]
    assert [ref.id for ref in await bench.vaults.items(scope, wanted=[ids[2], "none"])] == [ids[2]]
    with pytest.raises(NotInVault, match="vault gone does not exist"):
        await bench.vaults.items(Scope("gone", "gone"), wanted=None)


@pytest.mark.parametrize(("member", "state"), [("deletedDate", "in the trash"), ("archivedDate", "archived")])
async def test_an_item_that_is_not_in_use_counts_as_not_there(bench, member, state):
    """The list shows why."""
    item = bench.account.add("db")
    bench.account.change(item, **{member: "2026-01-01T00:00:00Z"})
    [ref] = await bench.refs()

    assert ref.state == state
    with pytest.raises(NotInVault, match=state):
        await bench.item(item)


async def test_an_item_that_is_deleted_is_gone(bench):
    """After the next poll."""
    item = bench.account.add("db")
    await bench.item(item)
    bench.account.delete(item)

    with pytest.raises(NotInVault, match="does not exist"):
        await bench.item(item)


async def test_what_a_collection_hides_from_the_account_is_refused(bench):
    """The server sends it all the same, and leaves it to the client."""
    item = bench.account.add("db", properties={"password": "p"})
    bench.account.change(item, viewPassword=False)

    with pytest.raises(AccessDenied, match="hides its passwords"):
        await bench.item(item)


async def test_one_damaged_item_does_not_keep_the_others(bench):
    """It says so itself."""
    good, bad = bench.account.add("good", properties={"password": "p"}), bench.account.add("bad")
    bench.account.change(bad, name=bench.account.key.seal("canary"))
    refs = {ref.id: ref for ref in await bench.refs()}

    assert refs[bad].state == "unreadable: it was changed, or sealed with another key"
    assert await bench.values(good) == {"password": "p"}
    with pytest.raises(ItemUnreadable, match="is unreadable: it was changed"):
        await bench.item(bad)


@pytest.mark.parametrize(
    "members",
    [
        {"login": {"password": "canary in clear"}},
        {"login": {"password": 7}},
        {"notes": "canary"},
        {"fields": "canary"},
        {"fields": ["canary"]},
        {"fields": [{"type": 0, "name": "canary", "value": None}]},
        {"login": {"uris": [{"uri": "canary"}]}},
        {"attachments": [{"id": "canary", "fileName": "canary"}]},
        {"key": "canary"},
    ],
)
async def test_an_item_with_a_part_that_is_not_sealed_is_refused(bench, members):
    """Nothing of it is shown: a server that sends values in clear must not find them in a status."""
    item = bench.account.add("db", properties={"password": "p"})
    bench.account.change(item, **members)

    with pytest.raises(ItemUnreadable) as error:
        await bench.item(item)

    assert "canary" not in str(error.value)
    assert error.value.__context__ is None


async def test_an_item_without_a_key_of_its_own_is_opened(bench):
    """As old clients made them."""
    collection = bench.account.add_collection("One")
    mine = bench.account.add("a", properties={"password": "1"}, own_key=False)
    shared = bench.account.add("b", properties={"password": "2"}, own_key=False, collections=[collection])

    assert (await bench.values(mine), await bench.values(shared, collection)) == ({"password": "1"}, {"password": "2"})


async def test_an_organisation_whose_key_cannot_be_opened_hides_only_its_own(bench):
    """And comes back once the key can be opened."""
    good, bad = bench.account.add_collection("Good"), bench.account.add_collection("Bad", organization="Other")
    item = bench.account.add("db", properties={"password": "p"}, collections=[good])
    lost = bench.account.add("lost", properties={"password": "l"}, collections=[bad])
    key = bench.account.sealed_keys["Other"]
    bench.account.sealed_keys["Other"] = "4.AAAA"
    assert bad in await scopes_of(bench)
    assert await bench.values(item, good) == {"password": "p"}
    with pytest.raises(ItemUnreadable, match="the key of its organisation cannot be opened"):
        await bench.item(lost, bad)

    bench.account.sealed_keys["Other"] = key
    bench.account.edits += 1
    assert await bench.values(lost, bad) == {"password": "l"}


async def test_names_with_capitals_mean_the_same(account):
    """Older servers have them."""
    collection = account.add_collection("One")
    item = account.add(
        "db", properties={"username": "u"}, uris=["https://x"], files={"f": b"x"}, collections=[collection]
    )
    bench = Bench(account, capitals=True)
    found = await bench.item(item, collection)

    assert (found.fields[0].value, found.ref.urls[0].href) == ("u", "https://x")
    assert await bench.vaults.file(found.ref, found.fields[-1], limit=10) == b"x"


async def test_after_it_was_closed_nothing_is_asked_and_nothing_known(bench):
    """Disconnecting ends everything."""
    item = bench.account.add("db", properties={"password": "p"})
    found = await bench.item(item)
    snapshot = bench.vaults._snapshot
    await bench.vaults.close()
    bench.server.seen.clear()

    for attempt in (bench.vaults.refresh(), bench.vaults.scopes(), bench.vaults.item("personal", item)):
        with pytest.raises(VaultUnavailable, match="the connection is closed"):
            await attempt
    assert bench.server.lines == []
    assert bench.transport.closed
    assert all(bytes(key._encryption) == bytes(32) for key in snapshot.keyring)
    assert found.fields[0].value == "p"


async def test_an_address_shows_no_path(bench):
    """It is for messages."""
    assert bench.vaults.address == "https://vault.test"


async def test_a_connection_that_is_closed_while_it_reads_keeps_nothing(bench):
    """The answer may be under way."""
    bench.account.add("db")
    asked = asyncio.Event()

    def late(answer):
        asked.set()
        return replace(answer, seconds=0.05)

    bench.server.fail("/api/sync", late)
    reading = asyncio.create_task(bench.vaults.refresh())
    await asked.wait()
    await bench.vaults.close()

    with pytest.raises(VaultUnavailable, match="the connection is closed"):
        await reading
    assert bench.vaults._snapshot is None


async def test_a_connection_that_was_never_used_can_be_closed(bench):
    """It has nothing to wipe."""
    await bench.vaults.close()

    with pytest.raises(VaultUnavailable, match="the connection is closed"):
        await bench.vaults.refresh()


async def test_a_private_key_that_cannot_be_opened_costs_only_what_is_shared(bench):
    """The account's own items need none."""
    collection = bench.account.add_collection("One")
    shared = bench.account.add("shared", collections=[collection])
    mine = bench.account.add("mine", properties={"password": "p"})
    bench.account.sealed_private_key = bench.account.key.seal(b"none")

    assert await bench.values(mine) == {"password": "p"}
    with pytest.raises(ItemUnreadable, match="the key of its organisation cannot be opened"):
        await bench.item(shared, collection)


@pytest.mark.parametrize("date", ["soon", "", "2026-08-20", "9999-99-99T00:00:00Z"])
async def test_a_time_that_is_none_is_no_time(bench, date):
    """It decides only between items of one title."""
    item = bench.account.add("db")
    bench.account.change(item, creationDate=date)
    [ref] = await bench.refs()

    assert (ref.created_at is None) is (date != "2026-08-20")


async def test_a_file_under_an_id_that_cannot_be_one_makes_the_item_unreadable(bench):
    """Ids become parts of a path."""
    item = bench.account.add("db", files={"f": b"x"})
    [file] = bench.account.items[item]["attachments"]
    bench.account.change(item, attachments=[{**file, "id": "../../../x"}])

    with pytest.raises(ItemUnreadable, match="unknown kind of id"):
        await bench.item(item)


@pytest.mark.parametrize("bad", ["../x", "", "\ud800", None])
async def test_items_and_collections_have_ids_of_the_grammar(bench, bad):
    """An answer with others is not Bitwarden's."""
    bench.account.add("db")
    bench.server.edit_sync = lambda sync: sync["ciphers"][0].update(id=bad)

    with pytest.raises(VaultUnavailable, match="an item or a collection has no id"):
        await bench.vaults.refresh()


async def test_opening_sends_nothing(bench):
    """A client is made for each Connection, at once."""
    vaults = BITWARDEN.open(read(bench.account.credential), time=bench.time, observer=lambda *_: None)
    assert vaults.address == "https://vault.test"
    await vaults.close()
    await vaults.close()
