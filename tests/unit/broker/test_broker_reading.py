"""The one path of a read: what references mean, one request to the vault for many callers, files, ambiguity and consent."""

import asyncio
import base64
import gc

import pytest

from keyturn.base.call_id import current_call_id
from keyturn.cluster import NAMESPACES
from keyturn.core.audit import RecordOutcome
from keyturn.core.connection import ConnectionKey
from keyturn.core.vault import Field, Url, VaultUnavailable
from support.broker_world import BrokerWorld
from support.event_loop import turns, until
from support.fake_vaults import FakeVaults

DB = "op://Prod/db/password"
SEED = "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def field(label, value, *, section=None):
    return Field(label, label, value=value, section=section, section_id=section or "")


@pytest.fixture
def world():
    """A broker whose caller `ci` may read all of `db`."""
    world = BrokerWorld()
    world.grant("deploy", "db", fields=["*"])
    return world


async def resolve(client, *references):
    answer = await client.post("/v1/resolve", json={"refs": references})
    assert answer.status_code == 200, answer.text
    return [each.get("value") if "error" not in each else each["error"]["code"] for each in answer.json()["results"]]


async def test_a_known_item_costs_one_request(world):
    """The listing says what a reference means; only the item itself is asked for."""
    async with world.running() as client:
        assert await resolve(client, DB) == ["secret of a"]
    assert world.vaults.asked == ["item a"]


async def test_many_references_to_one_item_cost_one_request(world):
    """Answers come in the order of the references, each with its own error, and each item makes one record."""
    world.vaults.fields["a"] += (
        field("username", "ada"),
        field("seed", SEED),
        field("host", "db.example", section="net"),
    )
    async with world.running() as client:
        answers = await resolve(
            client,
            DB,
            "op://prod/DB/USERNAME",
            "op://Prod/db/net/host",
            "op://v/a/password",
            "op://Prod/db/nothing",
            "op://Prod/api/password",
            "password",
            "op://Prod/db/seed?attribute=otp",
            "op://Prod/db/username?attribute=otp",
        )
        assert answers == [
            "secret of a", "ada", "db.example", "secret of a", "not_found", "not_found", "bad_reference",
            answers[7], "bad_request",
        ]  # fmt: skip
        assert len(answers[7]) == 6
        assert answers[7].isdecimal()
    assert world.vaults.asked == ["item a"]
    outcomes = [(each.outcome, each.item, each.fields) for each in world.audit.written]
    assert outcomes == [
        (RecordOutcome.DENIED, "", ()),
        (RecordOutcome.ALLOWED, "a", ("password", "username", "net/host", "seed")),
        (RecordOutcome.DENIED, "a", ()),
    ]


async def test_results_name_version_and_reference(world):
    """A result says which version of the item it is from."""
    world.vaults.edit("a", revision="7")
    async with world.running() as client:
        answer = await client.post("/v1/resolve", json={"refs": [DB]})
        assert answer.json() == {"results": [{"ref": DB, "value": "secret of a", "version": 7}]}
        assert (await client.get("/v1/read", params={"ref": DB})).headers["keyturn-item-version"] == "7"


async def test_identical_reads_share_one_request(world):
    """Fifty callers who ask at the same time cost one request; each has a record, which names the one that asked."""
    world.grant("web", "db", to="web")
    world.vaults.gate = asyncio.Event()
    async with world.running() as client, world.client(world.token("web")) as web:
        reads = [asyncio.ensure_future(each.get("/v1/read", params={"ref": DB})) for each in [client, web] * 25]
        await until(lambda: world.vaults.asked == ["item a"])
        await turns(300)
        world.vaults.gate.set()
        answers = await asyncio.gather(*reads)
    assert {answer.text for answer in answers} == {"secret of a"}
    assert world.vaults.asked == ["item a"]
    leading = [each for each in world.audit.written if not each.upstream]
    assert len(world.audit.written) == 50
    assert {each.upstream for each in world.audit.written if each.upstream} == {leading[0].id}
    assert len(leading) == 1


async def test_a_shared_read_ends_with_its_answer(world):
    """The next read asks again: no value is remembered."""
    async with world.running() as client:
        await resolve(client, DB)
        world.vaults.fields["a"] = (field("password", "new"),)
        assert await resolve(client, DB) == ["new"]
    assert world.vaults.asked == ["item a", "item a"]


async def test_a_caller_who_goes_away_ends_nobody_elses_read(world):
    """Only when nobody waits any more, the request ends, too."""
    world.vaults.gate = asyncio.Event()
    async with world.running() as client:
        first = asyncio.ensure_future(resolve(client, DB))
        second = asyncio.ensure_future(resolve(client, DB))
        await until(lambda: world.vaults.asked == ["item a"])
        await turns(100)
        first.cancel()
        await turns(10)
        world.vaults.gate.set()
        assert await second == ["secret of a"]
        assert world.vaults.asked == ["item a"]


async def test_what_nobody_waits_for_ends(world):
    """A request whose only caller is gone does not hang around."""
    world.vaults.gate = asyncio.Event()
    async with world.running() as client:
        read = asyncio.ensure_future(resolve(client, DB))
        await until(lambda: world.vaults.asked == ["item a"])
        read.cancel()
        await turns(20)
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "read"]


async def test_an_error_is_shared_too(world):
    """All who waited get it, each as an answer of its own."""
    world.vaults.gate, world.vaults.broken["a"] = asyncio.Event(), VaultUnavailable("down")
    async with world.running() as client:
        reads = [asyncio.ensure_future(resolve(client, DB)) for _ in range(3)]
        await until(lambda: world.vaults.asked == ["item a"])
        await turns(100)
        world.vaults.gate.set()
        assert await asyncio.gather(*reads) == [["unavailable"]] * 3


async def test_a_grant_that_is_revoked_while_a_vault_is_asked(world):
    """However long the vault takes: what is answered is granted at that moment. A grant that stays changes nothing."""
    world.grant("web", "db", to="web")
    world.vaults.gate = asyncio.Event()
    async with world.running() as client, world.client(world.token("web")) as web:
        reads = [asyncio.ensure_future(each.get("/v1/read", params={"ref": DB})) for each in (client, web)]
        front = asyncio.ensure_future(client.get("/v1/vaults/v/items/a"))
        await until(lambda: world.vaults.asked == ["item a"])
        await turns(100)
        await world.revoke("deploy")
        world.vaults.gate.set()
        revoked, kept = await asyncio.gather(*reads)
        assert (revoked.status_code, revoked.json()["code"]) == (503, "stale_rights")
        assert revoked.headers["retry-after"] == "1"
        assert (await front).status_code == 503
        assert kept.text == "secret of a"
        assert await resolve(client, DB) == ["not_found"]
    outcomes = sorted((each.caller.name, each.outcome, each.reason) for each in world.audit.written)
    assert outcomes == [
        ("ci", RecordOutcome.DENIED, "NotGranted"),
        ("ci", RecordOutcome.FAILED, "RightsChanged"),
        ("ci", RecordOutcome.FAILED, "RightsChanged"),
        ("web", RecordOutcome.ALLOWED, "Granted"),
    ]


async def test_a_grant_that_is_revoked_while_another_item_is_fetched(world):
    """The answer to several references is given as a whole, when the slowest is there."""
    world.grant("other", "api")
    slow, fetch = asyncio.Event(), world.vaults.item

    async def item(scope, item_id):
        if item_id == "b":
            await slow.wait()
        return await fetch(scope, item_id)

    world.vaults.item = item
    async with world.running() as client:
        read = asyncio.ensure_future(client.post("/v1/resolve", json={"refs": [DB, "op://Prod/api/password"]}))
        await until(lambda: world.audit.written)
        await world.revoke("deploy")
        slow.set()
        answer = await read
    assert answer.status_code == 503
    assert "secret" not in answer.text


async def test_a_token_that_is_refused_while_a_vault_is_asked(world):
    """A pod that was deleted meanwhile gets nothing."""
    world.vaults.gate = asyncio.Event()
    async with world.running() as client:
        read = asyncio.ensure_future(client.post("/v1/resolve", json={"refs": [DB]}))
        await until(lambda: world.vaults.asked == ["item a"])
        world.api.verdicts.clear()
        world.time.advance(6.0)
        world.vaults.gate.set()
        answer = await read
    assert answer.status_code == 401
    assert "secret" not in answer.text
    assert [each.reason for each in world.audit.written] == ["NotAuthenticated"]


async def test_the_request_carries_the_id_of_the_record(world):
    """So that the vault's own log can be joined to ours."""
    ids = []
    fetch = world.vaults.item

    async def item(scope, item_id):
        ids.append(current_call_id.get())
        return await fetch(scope, item_id)

    world.vaults.item = item
    async with world.running() as client:
        await resolve(client, DB)
    assert ids == [world.audit.written[0].id]
    assert len(ids[0]) == 26
    assert current_call_id.get() == ""


async def test_an_item_that_comes_older_than_it_is_listed(world):
    """A replica that lags behind must not bring an old password back."""
    async with world.running() as client:
        world.vaults.edit("a", revision="2")
        await world.poll()
        world.vaults.edit("a", revision="1")
        assert await resolve(client, DB) == ["unavailable"]


async def test_files_by_their_names(world):
    """A text comes as text, any other bytes as base64; curl gets the bytes."""
    world.vaults.attach("a", "ca.pem", b"PEM\n")
    world.vaults.attach("a", "blob", bytes(range(256)))
    async with world.running() as client:
        assert await resolve(client, "op://Prod/db/ca.pem", "op://Prod/db/blob") == [
            "PEM\n",
            base64.b64encode(bytes(range(256))).decode(),
        ]
        answer = await client.get("/v1/read", params={"ref": "op://Prod/db/blob"})
        assert (answer.content, answer.headers["content-type"]) == (bytes(range(256)), "application/octet-stream")
    assert world.audit.written[0].fields == ("ca.pem", "blob")


async def test_a_file_that_is_not_granted(world):
    """It is not there, and not downloaded."""
    world.vaults.attach("a", "ca.pem", b"PEM\n")
    world.grant("web", "db", to="web")
    async with world.running(), world.client(world.token("web")) as web:
        assert await resolve(web, "op://Prod/db/ca.pem") == ["not_found"]
        assert (await web.get("/v1/vaults/v/items/a/files")).json() == []
        for path in ("ca.pem", "ca.pem/content"):
            assert (await web.get(f"/v1/vaults/v/items/a/files/{path}")).status_code == 404
    assert "file ca.pem" not in world.vaults.asked


async def test_files_that_do_not_fit_into_an_answer(world):
    """All files of one answer together are bounded, before anything is downloaded."""
    world.vaults.attach("a", "one", b"1", declared=6 << 20)
    world.vaults.attach("a", "two", b"2", declared=6 << 20)
    async with world.running() as client:
        assert await resolve(client, "op://Prod/db/one", "op://Prod/db/two") == ["1", "too_large"]
    assert world.vaults.asked == ["item a", "file one"]


async def test_texts_that_do_not_fit_into_an_answer(world):
    """A hundred references to one large note would fill the memory that everybody's answers need."""
    world.vaults.fields["a"] = (field("note", "x" * (4 << 20)),)
    async with world.running() as client:
        note = "op://Prod/db/note"
        answers = await resolve(client, note, note, note, "op://Prod/db/nothing")
    assert [len(each) > 1000 or each for each in answers] == [True, True, "too_large", "not_found"]


async def test_answers_that_nobody_reads_do_not_fill_the_memory(world):
    """A client may be slow, or mean: its answer stays in memory. What is small is answered all the same."""
    world.vaults.attach("a", "big", b"x" * (10 << 20))
    reads, answers = asyncio.Event(), []

    async def ask(path):
        async def receive():
            return {"type": "http.request"}

        async def send(message):
            answers.append(message.get("status"))
            await reads.wait()

        token = f"Bearer {world.token()}".encode()
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [(b"authorization", token)],
        }
        await world.app(scope, receive, send)

    big = "/v1/vaults/v/items/a/files/big/content"
    async with world.running() as client:
        slow = [asyncio.ensure_future(ask(big)) for _ in range(6)]
        await until(lambda: len(answers) == 6)
        assert sorted(answers) == [200] * 4 + [503] * 2
        assert await resolve(client, DB) == ["secret of a"]
        reads.set()
        await asyncio.gather(*slow)
        assert (await client.get(big)).status_code == 200


async def test_a_web_address_that_is_not_granted(world):
    """It is not there for a reference, although whoever finds the item sees where it is for."""
    world.vaults.edit("a", urls=(Url("https://db.example/?key=1", label="website"),))
    world.grant("web", "db", to="web")
    async with world.running() as client, world.client(world.token("web")) as web:
        assert await resolve(client, "op://Prod/db/website") == ["https://db.example/?key=1"]
        assert await resolve(web, "op://Prod/db/website", DB) == ["not_found", "secret of a"]


async def test_a_name_that_two_fields_have(world):
    """Nothing chooses between them."""
    world.vaults.fields["a"] += (field("key", "1", section="x"), field("key", "2", section="y"))
    async with world.running() as client:
        assert await resolve(client, "op://Prod/db/key", "op://Prod/db/x/key") == ["ambiguous", "1"]


async def test_a_title_that_two_items_have(world):
    """A grant that names it gives nothing: whoever can name an item must not choose which one is read."""
    async with world.running() as client:
        world.vaults.add("c", "db")
        await world.poll()
        assert await resolve(client, DB, "op://Prod/a/password", "op://Prod/c/password") == ["not_found"] * 3


async def test_granted_items_of_one_title(world):
    """Two grants by ids name two items of one title, so the title is ambiguous, and the ids are not."""
    world.vaults.edit("b", title="db")
    for name in ("a", "b"):
        path = {"path": f"vaults/v/items/{name}", "fields": ["password"], "allow": ["read"]}
        world.grant(f"id-{name}", path, to="web")
    async with world.running(), world.client(world.token("web")) as web:
        assert await resolve(web, DB, "op://v/a/password", "op://v/b/password") == [
            "ambiguous", "secret of a", "secret of b",
        ]  # fmt: skip


async def test_the_spelling_that_fits_best_counts(world):
    """`DB` is not `db` if both are granted."""
    world.vaults.edit("b", title="DB")
    world.grant("upper", "DB")
    async with world.running() as client:
        assert await resolve(client, DB, "op://Prod/DB/password", "op://Prod/Db/password") == [
            "secret of a", "secret of b", "ambiguous",
        ]  # fmt: skip


async def test_a_grant_of_an_item_that_comes_later(world):
    """A path that stands for nothing is looked for again, but not with each request."""
    world.grant("later", "late")
    async with world.running() as client:
        late = "op://Prod/late/password"
        assert await resolve(client, late) == ["not_found"]
        world.vaults.add("c", "late")
        world.vaults.take_asked()
        assert await resolve(client, late) == ["not_found"]
        assert world.vaults.take_asked() == []
        world.time.advance(11.0)
        assert await resolve(client, late) == ["secret of c"]
        # Meanwhile, what is known costs one request, whatever else the caller was granted.
        world.vaults.take_asked()
        await resolve(client, DB)
        assert world.vaults.asked == ["item a"]


async def test_a_vault_that_was_never_listed(world):
    """Nobody knows what is there, so nobody is told that something is not."""
    world.vaults.error = VaultUnavailable("down")
    async with world.running() as client:
        assert await resolve(client, DB, "op://Prod/nowhere/x") == ["unavailable"] * 2
        assert (await client.get("/v1/vaults")).status_code == 503
        assert (await client.get("/v1/vaults/v/items")).status_code == 503


async def test_a_connection_that_may_not_be_used_any_more(world):
    """The consent of its owner is checked at each use, with the labels that the namespace has now."""
    shared = ConnectionKey("team-b", "shared")
    world.connect(shared, usableFrom={"selector": {"matchLabels": {"vaults": "shared"}}})
    world.grant("shared", "api", connectionRef={"namespace": "team-b", "name": "shared"}, to="web")
    world.label("team-a", vaults="shared")
    async with world.running(), world.client(world.token("web")) as web:
        await world.services.namespaces.labels("team-a")
        world.grants.connections_changed()
        await world.poll()
        assert await resolve(web, "op://Prod/api/password") == ["secret of b"]
        world.api.edit(NAMESPACES, None, "team-a", {"metadata": {"labels": {"vaults": None}}})
        world.time.advance(6.0)
        assert await resolve(web, "op://Prod/api/password") == ["no_connection"]


async def test_the_default_of_the_namespace_serves_its_grants(world):
    """Not the installation's connection, once there is a Connection named `default`."""
    vaults = FakeVaults()
    vaults.fields["a"] = (field("password", "of the team"),)
    world.connect(ConnectionKey("team-a", "default"), vaults)
    async with world.running() as client:
        assert await resolve(client, DB) == ["of the team"]
        (grant,) = (await client.get("/v1/grants")).json()["grants"]
        assert grant["connection"] == "team-a/default"
    assert world.vaults.asked == []


async def test_fields_of_several_grants_are_recorded_by_grant(world):
    """Who was allowed what by which grant can be read from the records."""
    world.vaults.fields["a"] += (field("username", "ada"),)
    world.grant("one", "db", fields=["password"], to="web")
    world.grant("two", "db", fields=["username"], to="web")
    async with world.running(), world.client(world.token("web")) as web:
        assert await resolve(web, DB, "op://Prod/db/username") == ["secret of a", "ada"]
    first, second = world.audit.written
    assert [(each.grant.name, each.fields) for each in (first, second)] == [
        ("one", ("password",)),
        ("two", ("username",)),
    ]
    assert (first.upstream, second.upstream) == ("", first.id)


async def test_grants_of_the_caller(world):
    """As they are written, with what serves each; those of others are not there."""
    world.grant("web", "api", to="web", expiresAt="2031-01-01T00:00:00Z", allow=["read", "use"])
    async with world.running(), world.client(world.token("web")) as web:
        assert (await web.get("/v1/grants")).json() == {
            "grants": [
                {
                    "namespace": "team-a",
                    "name": "web",
                    "connection": "installation",
                    "items": [{"path": "vaults/Prod/items/api", "fields": ["password"], "actions": ["read", "use"]}],
                    "expiresAt": "2031-01-01T00:00:00Z",
                }
            ]
        }


async def test_no_value_is_kept(world):
    """After the answer, no object of the process holds the value but the vault itself."""
    value = "canary-" + "x" * 40
    async with world.running() as client:
        fetch = world.vaults.item

        async def item(scope, item_id):
            found = await fetch(scope, item_id)
            return type(found)(found.ref, (field("password", "".join(("canary-", "x" * 40))),))

        world.vaults.item = item
        assert (await client.get("/v1/read", params={"ref": DB})).text == value
        gc.collect()
        kept = [each for each in gc.get_objects() if isinstance(each, Field) and each.value == value]
    assert kept == []


async def test_a_caller_whose_reads_hang_leaves_room_for_others(world):
    """Of one connection, fifty items are fetched at most for one service account."""
    names = [f"item {number}" for number in range(60)]
    for number, name in enumerate(names):
        world.vaults.add(f"n{number}", name)
    world.grant("many", *names)
    world.grant("web", "db", to="web")
    world.vaults.gate = asyncio.Event()
    async with world.running() as client, world.client(world.token("web")) as web:
        reads = [
            asyncio.ensure_future(client.get("/v1/read", params={"ref": f"op://Prod/{name}/password"}))
            for name in names
        ]
        await until(lambda: len(world.vaults.asked) == 50)
        await turns(300)
        other = asyncio.ensure_future(web.get("/v1/read", params={"ref": DB}))
        await until(lambda: "item a" in world.vaults.asked)
        world.vaults.gate.set()
        answers = await asyncio.gather(*reads)
        assert (await other).text == "secret of a"
        assert sorted(answer.status_code for answer in answers) == [200] * 50 + [503] * 10
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert (refused.json()["code"], refused.headers["retry-after"]) == ("unavailable", "1")
        # Nothing of the fifty is counted any more.
        assert (await client.get("/v1/read", params={"ref": f"op://Prod/{names[-1]}/password"})).status_code == 200
