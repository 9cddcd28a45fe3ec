"""Service accounts behind the seam of `core.vault`: what items become, and what that costs."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from onepassword import types
from onepassword_fakes import Bench

from keyturn.core import vault
from keyturn.core.content import DEFAULT_MAPPING, MappingOptions, plan_content
from keyturn.core.vault import FieldKind, Scope, Url
from support.service_account import OTHER_VAULT, START, VAULT, text


async def item_of(bench, item_id):
    return await bench.vaults.item(VAULT, item_id)


# What things become.


async def test_a_vault_becomes_a_scope():
    """Its version shows that an item changed; of several with one title, the oldest is meant."""
    bench = Bench()
    bench.account.add("db")

    assert await bench.scope() == Scope(VAULT, "Prod", 2, 1, START + timedelta(minutes=5))


async def test_an_overview_becomes_a_reference():
    """It has no version, so the time of the last change stands for one."""
    bench = Bench()
    item_id = bench.account.add(
        "db",
        tags=["a", "b"],
        websites=[
            types.Website(url="https://one", label="website", autofill_behavior=types.AutofillBehavior.NEVER),
            types.Website(url="https://two", label="admin", autofill_behavior=types.AutofillBehavior.NEVER),
        ],
    )
    [ref] = await bench.vaults.items(await bench.scope(), wanted=None)

    at = START + timedelta(minutes=10)
    assert ref == vault.ItemRef(
        id=item_id,
        scope=VAULT,
        title="db",
        revision=at.isoformat(),
        category="Login",
        tags=("a", "b"),
        urls=(Url("https://one", "website", primary=True), Url("https://two", "admin")),
        created_at=at,
    )


async def test_an_item_becomes_what_it_is_through_connect():
    """So that a namespace can move from one to the other, and no Secret changes a byte."""
    bench = Bench()
    fields = (
        text("username", "ada"),
        text("password", "s3cret", section_id="add more"),
        text("password", "other", id="p2", section_id="db"),
        text("one-time password", "otpauth://totp/x?secret=ABC", field_type=types.ItemFieldType.TOTP),
        text("linked", "zzz", field_type=types.ItemFieldType.REFERENCE),
        text("loose", "x", section_id="nowhere"),
    )
    item_id = bench.account.add(
        "db",
        *fields,
        sections=[types.ItemSection(id="db", title="Database"), types.ItemSection(id="add more", title="")],
        notes="a note",
    )
    file_id = bench.account.attach(item_id, "ca.pem", b"pem")
    item = await item_of(bench, item_id)

    assert item.ref.revision == "2"
    assert [(each.id, each.label, each.kind, each.value, each.section, each.section_id) for each in item.fields] == [
        ("notesPlain", "notesPlain", FieldKind.TEXT, "a note", None, ""),
        ("username", "username", FieldKind.TEXT, "ada", None, ""),
        ("password", "password", FieldKind.TEXT, "s3cret", None, ""),
        ("p2", "password", FieldKind.TEXT, "other", "Database", "db"),
        ("one-time password", "one-time password", FieldKind.TEXT, "otpauth://totp/x?secret=ABC", None, ""),
        ("linked", "linked", FieldKind.REFERENCE, "zzz", None, ""),
        ("loose", "loose", FieldKind.TEXT, "x", None, ""),
        (file_id, "ca.pem", FieldKind.FILE, None, None, ""),
    ]
    assert item.fields[-1].size == 3


async def test_the_code_of_a_one_time_password_is_never_a_value():
    """It changes every 30 seconds, and would restart workloads as often."""
    bench = Bench()
    details = types.ItemFieldDetailsOtp(content=types.OtpFieldDetails(code="123456"))
    item_id = bench.account.add("db", text("otp", "seed", field_type=types.ItemFieldType.TOTP, details=details))
    item = await item_of(bench, item_id)

    assert [each.value for each in item.fields] == ["", "seed"]


async def test_an_ssh_key_has_the_fields_that_connect_gives_it():
    """The SDK hides them beside the private key."""
    bench = Bench()
    pair = types.SshKeyAttributes(public_key="ssh-ed25519 AAAA", fingerprint="SHA256:x", key_type="ed25519")
    key = text(
        "private key",
        "-----BEGIN",
        id="private_key",
        field_type=types.ItemFieldType.SSHKEY,
        details=types.ItemFieldDetailsSshKey(content=pair),
    )
    plain = plan_content(await item_of(bench, bench.account.add("key", key)), DEFAULT_MAPPING)
    own = plan_content(
        await item_of(bench, bench.account.add("key", key, text("fingerprint", "mine"))), DEFAULT_MAPPING
    )

    assert plain.data == {
        "private-key": b"-----BEGIN",
        "public-key": b"ssh-ed25519 AAAA",
        "fingerprint": b"SHA256:x",
        "key-type": b"ed25519",
    }
    assert own.data["fingerprint"] == b"mine"


async def test_empty_notes_are_a_key_only_if_empty_values_are_kept():
    """As through Connect."""
    bench = Bench()
    item = await item_of(bench, bench.account.add("db"))

    assert sorted(plan_content(item, DEFAULT_MAPPING).data) == ["password"]
    assert sorted(plan_content(item, MappingOptions(allow_empty_values=True)).data) == ["notesPlain", "password"]


async def test_a_document_is_a_file_of_its_item():
    """1Password's own operator crashes on some of them."""
    bench = Bench()
    item_id = bench.account.add("doc", text("x", "y"), category=types.ItemCategory.DOCUMENT)
    bench.account.attach(item_id, "kube.yaml", b"abc", document=True)
    item = await item_of(bench, item_id)

    assert await bench.vaults.file(item.ref, item.fields[-1], limit=3) == b"abc"


async def test_words_that_nobody_knows_yet_pass():
    """1Password may add categories and kinds of fields at any time, and one of them must not hide a whole vault."""
    bench = Bench()
    item_id = bench.account.add("db")
    whole = json.loads(bench.account.items[VAULT][item_id].item.model_dump_json(by_alias=True))
    whole["category"] = "Starship"
    whole["fields"][0]["fieldType"] = "Warp"
    whole["createdAt"] = "the day before"
    bench.account.raw["ItemsGet"] = json.dumps({**whole, "more": {}})
    item = await item_of(bench, item_id)

    assert (item.ref.category, item.fields[1].value, item.ref.created_at) == ("Starship", "s3cret", None)


async def test_archived_items_are_not_listed():
    """An item in the archive is in use by nobody."""
    bench = Bench()
    item_id = bench.account.add("db")
    bench.account.add("api")
    bench.account.edit(item_id, state="archived")

    assert [ref.title for ref in await bench.vaults.items(await bench.scope(), wanted=None)] == ["api"]


async def test_a_second_change_within_the_same_second_is_not_missed():
    """The listing's time of change may have no fractions, so for a minute it proves nothing while the vault moves."""
    bench = Bench()
    bench.time.advance(-(bench.time.now() - START).total_seconds() + 600.5)
    item_id = bench.account.add("db")
    [first] = await bench.vaults.items(await bench.scope(), wanted=None)
    held = bench.account.items[VAULT][item_id]
    held.item = held.item.model_copy(update={"version": 2})
    bench.account._moved(VAULT)
    [second] = await bench.vaults.items(await bench.scope(), wanted=None)
    bench.time.advance(120.0)
    bench.account._moved(VAULT)
    [third] = await bench.vaults.items(await bench.scope(), wanted=None)
    bench.account._moved(VAULT)
    [fourth] = await bench.vaults.items(await bench.scope(), wanted=None)

    assert len({first.revision, second.revision, third.revision}) == 3
    assert third == fourth


# What it costs.


async def test_an_idle_poll_is_one_call():
    """144 a day, of at least 1,000."""
    bench = Bench()
    for _ in range(3):
        await bench.scope()

    assert bench.calls() == ["authenticate", *["VaultsList"] * 3]


async def test_the_answer_of_a_poll_is_used_once_and_not_for_long():
    """Whoever looks for a vault that is not there needs what is there now."""
    bench = Bench()
    await bench.vaults.refresh()
    await bench.vaults.scopes()
    await bench.vaults.scopes()
    assert bench.calls().count("VaultsList") == 2

    await bench.vaults.refresh()
    bench.time.advance(2.0)
    await bench.vaults.scopes()
    assert bench.calls().count("VaultsList") == 2


async def test_all_names_of_a_vault_cost_one_list():
    """1Password's own operator lists it for each item."""
    bench = Bench()
    ids = [bench.account.add(f"item {number}") for number in range(5)]
    scope = replace(await bench.scope(), size=100_000)
    bench.calls()
    await bench.vaults.items(scope, wanted={"item 0"})
    for wanted in ({"item 1"}, {"ITEM 2", ids[3]}, {"item 4"}):
        assert len(await bench.vaults.items(scope, wanted=wanted)) == 5

    assert bench.calls() == ["ItemsList"]


async def test_a_name_that_is_not_there_spends_no_more_than_its_share():
    """A misspelt path must not burn the account's day."""
    bench = Bench()
    bench.account.add("db")
    scope = await bench.scope()
    bench.calls()
    for _ in range(1000):
        assert [ref.title for ref in await bench.vaults.items(scope, wanted={"dbb"})] == ["db"]
        bench.time.advance(86.4)

    assert len(bench.calls()) <= 1 + 12 + 144


async def test_a_vault_that_moved_is_always_listed():
    """Whatever was spent before."""
    bench = Bench()
    bench.account.add("db")
    scope = await bench.scope()
    for _ in range(30):
        await bench.vaults.items(scope, wanted=None)
    bench.account.add("api")
    bench.calls()

    assert len(await bench.vaults.items(await bench.scope(), wanted=None)) == 2
    assert bench.calls() == ["VaultsList", "ItemsList"]


async def test_what_is_known_of_a_vault_goes_with_it():
    """A vault that is shared again later may hold anything."""
    bench = Bench()
    bench.account.add_vault(OTHER_VAULT, "Other")
    bench.account.add("x", vault=OTHER_VAULT)
    await bench.vaults.items(await bench.scope(OTHER_VAULT), wanted=None)
    del bench.account.vaults[OTHER_VAULT]
    await bench.vaults.refresh()

    assert bench.vaults._lists == {}


async def test_closing_forgets_every_title():
    """They are sensitive, too."""
    bench = Bench()
    bench.account.add("canary")
    await bench.vaults.items(await bench.scope(), wanted=None)
    await bench.vaults.close()

    assert bench.vaults._lists == {}
    assert bench.vaults._polled is None


# What cannot be right.


@pytest.mark.parametrize("answer", ["", "null", "{}", '[{"id": "x"}]', '[{"id": "../x", "title": "t"}]', "[" * 300])
async def test_an_answer_that_is_no_list_says_nothing(answer):
    """Neither that vaults are gone nor that items are."""
    bench = Bench()
    bench.account.add("db")
    scope = await bench.scope()
    bench.account.raw = {"VaultsList": answer, "ItemsList": answer}
    for request in (bench.vaults.refresh(), bench.vaults.items(scope, wanted=None)):
        with pytest.raises(vault.VaultUnavailable, match="not what was asked for"):
            await request


async def test_a_list_that_lies_is_refused():
    """An empty one would take every item for deleted."""
    bench = Bench()
    bench.account.add("db")
    scope = await bench.scope()
    bench.account.raw["ItemsList"] = "[]"
    with pytest.raises(vault.VaultUnavailable, match="although the vault has 1"):
        await bench.vaults.items(scope, wanted=None)
    bench.account.raw["ItemsList"] = json.dumps([{"id": "x", "title": "t", "vaultId": OTHER_VAULT}])
    with pytest.raises(vault.VaultUnavailable, match="another vault"):
        await bench.vaults.items(scope, wanted=None)


async def test_another_item_is_not_taken_for_the_one_that_was_asked_for():
    """Its values would get into the wrong Secret."""
    bench = Bench()
    one, two = bench.account.add("one"), bench.account.add("two")
    bench.account.raw["ItemsGet"] = bench.account.items[VAULT][two].item.model_dump_json(by_alias=True)
    with pytest.raises(vault.ItemUnreadable, match="another item came"):
        await item_of(bench, one)
    bench.account.raw["ItemsGet"] = '{"canary": 1}'
    with pytest.raises(vault.ItemUnreadable, match="not what was asked for") as refused:
        await item_of(bench, one)
    assert refused.value.__context__ is None
    bench.account.raw["ItemsGet"] = '"' + "x" * 9 * 1024 * 1024 + '"'
    with pytest.raises(vault.ItemUnreadable, match="more than"):
        await item_of(bench, one)


@pytest.mark.parametrize(
    "answer", ["", "null", "{}", "[1, 2]", "[1, 2, 3, 4]", "[1, 2, 256]", '["a", 2, 3]', "[" + "1, " * 100, "[[[[[["]
)
async def test_a_file_that_is_not_whole_is_refused(answer):
    """A certificate that is cut short breaks what reads it."""
    bench = Bench()
    item_id = bench.account.add("db")
    bench.account.attach(item_id, "ca.pem", b"abc")
    item = await item_of(bench, item_id)
    bench.account.raw["ItemsFilesRead"] = answer

    with pytest.raises(vault.ItemUnreadable, match="file f") as refused:
        await bench.vaults.file(item.ref, item.fields[-1], limit=3)
    assert refused.value.__context__ is None


async def test_a_file_that_is_too_large_costs_no_call():
    """The limit is the caller's."""
    bench = Bench()
    item_id = bench.account.add("db")
    bench.account.attach(item_id, "big", b"abcd")
    item = await item_of(bench, item_id)
    bench.calls()

    with pytest.raises(vault.FileTooLarge, match="4 bytes, more than 3"):
        await bench.vaults.file(item.ref, item.fields[-1], limit=3)
    assert bench.calls() == []


async def test_large_answers_are_read_whole():
    """They are read in a thread: a tenant's vault of ten thousand items must not delay another tenant."""
    bench = Bench()
    content = bytes(range(256)) * 1024
    item_id = bench.account.add("db", text("password", "x" * 200_000))
    bench.account.attach(item_id, "big", content)
    item = await item_of(bench, item_id)
    read = await bench.vaults.file(item.ref, item.fields[-1], limit=len(content))

    assert (len(item.fields[1].value), read == content) == (200_000, True)


async def test_no_error_carries_a_value():
    """Neither in its text nor behind it."""
    bench = Bench()
    item_id = bench.account.add("canary-title", text("password", "canary-value"))
    scope = await bench.scope()
    bench.account.faults["*"] = 'failed to decrypt "canary-value" canary-9x/8'
    for request in (
        bench.vaults.scopes(),
        bench.vaults.items(scope, wanted={"canary-title"}),
        bench.vaults.item(VAULT, item_id),
    ):
        with pytest.raises(vault.VaultUnavailable) as failed:
            await request
        assert "canary" not in str(failed.value)
        assert failed.value.__context__ is None
        assert failed.value.__cause__ is None


@pytest.mark.parametrize(
    ("request_", "fault", "expected"),
    [
        ("scopes", 404, vault.VaultUnavailable),
        ("scopes", 403, vault.AccessDenied),
        ("items", 404, vault.NotInVault),
        ("items", 403, vault.AccessDenied),
        ("item", "item couldn't be found", vault.NotInVault),
        ("item", 403, vault.AccessDenied),
        ("item", 500, vault.VaultUnavailable),
    ],
)
async def test_an_error_means_what_it_means_for_what_was_asked(request_, fault, expected):
    """What is absent for one item is not absent for the account."""
    bench = Bench()
    item_id = bench.account.add("db")
    scope = await bench.scope()
    bench.account.faults["*"] = fault
    requests = {
        "scopes": bench.vaults.scopes,
        "items": lambda: bench.vaults.items(scope, wanted=None),
        "item": lambda: bench.vaults.item(VAULT, item_id),
    }
    with pytest.raises(vault.VaultError) as failed:
        await requests[request_]()

    assert type(failed.value) is expected
