"""What goes wrong at the server, what it means, and what is asked again."""

import asyncio
import gzip
import hashlib
import json

import httpx
import pytest

from keyturn.core.vault import (
    AccessDenied,
    CredentialInvalid,
    CredentialRefused,
    HostNotAllowed,
    RateLimited,
    VaultError,
    VaultUnavailable,
)
from keyturn.providers.bitwarden import exchange as exchange_module
from support.bitwarden_server import Account, Answer, Kdf
from support.bitwarden_server.bench import Bench, read
from support.bitwarden_server.sealing import Key
from support.fake_time import FakeTime

TOKEN, DATE, SYNC = "/identity/connect/token", "/api/accounts/revision-date", "/api/sync"
LOGIN = f"POST {TOKEN}"
CANARY = "canary-4e1"


@pytest.fixture
def bench():
    bench = Bench()
    bench.account.add("db", properties={"password": "p"})
    return bench


STATUSES = [
    (400, CredentialRefused, VaultUnavailable),
    (401, CredentialRefused, CredentialRefused),
    (403, VaultUnavailable, AccessDenied),
    (404, VaultUnavailable, VaultUnavailable),
    (408, VaultUnavailable, VaultUnavailable),
    (409, VaultUnavailable, VaultUnavailable),
    (418, VaultUnavailable, VaultUnavailable),
    (429, RateLimited, RateLimited),
    (500, VaultUnavailable, VaultUnavailable),
    (502, VaultUnavailable, VaultUnavailable),
    (503, VaultUnavailable, VaultUnavailable),
    (301, VaultUnavailable, VaultUnavailable),
    (204, VaultUnavailable, VaultUnavailable),
]


@pytest.mark.parametrize(("status", "at_login", "at_api"), STATUSES)
@pytest.mark.parametrize("path", [TOKEN, DATE, SYNC])
async def test_a_status_has_one_meaning_at_the_login_and_one_elsewhere(bench, path, status, at_login, at_api):
    """A refused login is the credential's fault whichever of two statuses the server has for it."""
    bench.server.fail(path, Answer(status, body=CANARY.encode(), headers={"location": f"https://{CANARY}/"}))

    with pytest.raises(VaultError) as error:
        await bench.vaults.refresh()

    assert type(error.value) is (at_login if path == TOKEN else at_api)
    assert f"https://vault.test: {'POST' if path == TOKEN else 'GET'} {path}: status {status}" in str(error.value)
    assert CANARY not in str(error.value)
    assert error.value.__context__ is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry-after": "7"}, 7.0), ({"retry-after": "99999"}, 60.0), ({}, None), ({"retry-after": "soon"}, None)],
)
async def test_a_429_keeps_the_time_that_the_server_named(bench, headers, seconds):
    """And nothing is sent before it is over."""
    bench.server.fail(DATE, Answer(429, headers=headers), times=1)
    with pytest.raises(RateLimited) as error:
        await bench.vaults.refresh()
    assert error.value.retry_after == seconds
    assert error.value.whole

    bench.server.seen.clear()
    with pytest.raises(RateLimited, match="not sent: the server asked for no requests for another"):
        await bench.vaults.refresh()
    assert bench.server.lines == []

    bench.time.advance(seconds or 1.0)
    await bench.vaults.refresh()


@pytest.mark.parametrize("path", [DATE, SYNC])
async def test_a_refused_token_costs_one_fresh_login(bench, path):
    """An administrator may end all sessions, while the API key stays good."""
    await bench.vaults.refresh()
    bench.server.revoke()
    bench.account.add("web")
    bench.server.fail(path, Answer(401), times=1)
    bench.server.seen.clear()

    assert len(await bench.refs()) == 2
    assert bench.server.lines.count(LOGIN) <= 2


async def test_a_token_that_is_refused_twice_means_the_credential_is_refused(bench):
    """And not a login for each request without end."""
    bench.server.fail(DATE, Answer(401))

    with pytest.raises(CredentialRefused):
        await bench.vaults.refresh()
    assert bench.server.lines == [LOGIN, f"GET {DATE}", LOGIN, f"GET {DATE}"]


async def test_a_token_is_replaced_before_it_expires(bench):
    """And the account is read again: its keys may be others."""
    await bench.vaults.refresh()
    bench.time.advance(bench.server.lifetime - 61)
    bench.server.seen.clear()
    await bench.vaults.refresh()
    assert bench.server.lines == [f"GET {DATE}"]

    bench.time.advance(2)
    await bench.vaults.refresh()
    assert bench.server.lines == [LOGIN, f"GET {DATE}", f"GET {SYNC}?excludeDomains=true"]


@pytest.mark.parametrize("lifetime", [0, -5, 1, None, "long"])
async def test_a_lifetime_that_is_none_does_not_cause_a_login_for_each_request(bench, lifetime):
    """Servers allow few logins."""
    bench.server.lifetime = lifetime
    await bench.vaults.refresh()
    bench.time.advance(59)
    await bench.vaults.refresh()

    assert bench.server.lines.count(LOGIN) == 1


async def test_many_readers_share_one_login(bench):
    """After a token was refused."""
    item = bench.account.add("file")
    bench.account.attach(item, "f", b"x")
    found = await bench.item(item)
    bench.server.revoke()
    bench.server.seen.clear()
    files = [bench.vaults.file(found.ref, found.fields[-1], limit=9) for _ in range(5)]

    assert await asyncio.gather(*files) == [b"x"] * 5
    assert bench.server.lines.count(LOGIN) == 1


async def test_a_wrong_api_key_is_refused(bench):
    """Both of the API key and of the whole account: nothing else is asked."""
    bench.vaults = bench.opened(clientSecret="other")

    with pytest.raises(CredentialRefused):
        await bench.vaults.refresh()
    assert bench.server.lines == [LOGIN]


async def test_a_wrong_master_password_is_a_refused_credential(bench):
    """No timer helps."""
    bench.vaults = bench.opened(masterPassword=CANARY)

    with pytest.raises(CredentialRefused, match="the master password does not open the account") as error:
        await bench.vaults.refresh()
    assert type(error.value) is CredentialRefused
    assert CANARY not in str(error.value)


async def test_another_master_password_of_the_account_is_noticed(bench):
    """At the next poll; the Secrets stay as they are."""
    await bench.vaults.refresh()
    bench.account.set_password("other", kdf=Kdf())
    bench.time.advance(61)

    with pytest.raises(CredentialRefused):
        await bench.vaults.refresh()


def newer(sync):
    sync["profile"]["accountKeys"]["signatureKeyPair"] = {"wrappedSigningKey": "7.AAAA"}


def sealed_without_mac(sync):
    for holder in (sync["userDecryption"]["masterPasswordUnlock"], sync["profile"]):
        for name in ("masterKeyEncryptedUserKey", "masterKeyWrappedUserKey", "key"):
            if name in holder:
                holder[name] = Key().seal_without_mac("x" * 64)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (newer, r"Bitwarden's newer encryption \(V2\), which is not supported"),
        (sealed_without_mac, r"the account's key cannot be opened: it is encrypted without authentication \(type 0\)"),
    ],
)
async def test_an_account_that_is_kept_in_another_way_is_invalid(bench, edit, message):
    """With the reason, and no timer."""
    bench.server.edit_sync = edit

    with pytest.raises(CredentialInvalid, match=message):
        await bench.vaults.refresh()


@pytest.mark.parametrize(
    "kdf", [{"iterations": 10**9}, {"kdfType": 1, "memory": 10**6, "parallelism": 4, "iterations": 3}]
)
async def test_a_key_derivation_out_of_bounds_is_invalid(bench, kdf):
    """It is not begun."""
    bench.server.edit_sync = lambda sync: sync["userDecryption"]["masterPasswordUnlock"]["kdf"].update(kdf)

    with pytest.raises(CredentialInvalid, match="is possible"):
        await bench.vaults.refresh()


async def test_servers_that_do_not_repeat_how_to_unlock_are_understood(bench):
    """They say it at the login."""
    bench.server.edit_sync = lambda sync: sync.pop("userDecryption")

    assert len(await bench.refs()) == 1


async def test_an_account_with_argon2id_is_opened():
    """The other derivation that there is."""
    bench = Bench(Account(kdf=Kdf(1, 1, 16, 1)))
    item = bench.account.add("db", properties={"password": "p"})

    assert await bench.values(item) == {"password": "p"}


async def test_the_key_is_derived_again_only_if_it_changed_and_not_too_often(bench):
    """A server that names another derivation at each look would take all CPU."""
    await bench.vaults.refresh()
    ring = bench.vaults._snapshot.keyring
    bench.account.add("web")
    await bench.vaults.refresh()
    assert bench.vaults._snapshot.keyring.user is ring.user

    bench.account.set_password(bench.account.password, kdf=Kdf(iterations=6_000))
    with pytest.raises(VaultUnavailable, match="changed twice within a minute"):
        await bench.vaults.refresh()
    bench.time.advance(60)
    await bench.vaults.refresh()
    assert bench.vaults._snapshot.keyring.user is not ring.user


async def test_an_account_that_differs_at_each_look_does_not_take_all_cpu(bench, monkeypatch):
    """All accounts share one thread: each of them rests between its turns, three times as long as the last one took."""
    loads = json.loads

    def slow(*arguments, **options):
        bench.time.advance(0.5)
        return loads(*arguments, **options)

    monkeypatch.setattr(json, "loads", slow)
    await bench.vaults.refresh()
    assert bench.time.slept == []
    bench.account.add("web")
    await bench.vaults.refresh()
    # The question for the time of the last change took half a second of it.
    assert bench.time.slept == [1.0]
    await bench.vaults.refresh()
    assert len(bench.time.slept) == 1


@pytest.fixture
def derivations(monkeypatch):
    """The iterations of each derivation."""
    derived = []
    derive = hashlib.pbkdf2_hmac

    def counted(name, password, salt, iterations):
        derived.append(iterations)
        return derive(name, password, salt, iterations)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", counted)
    return derived


async def test_what_the_password_did_not_open_is_not_tried_again(bench, derivations):
    """The second look at a refused credential would find the same, and costs nothing."""
    bench.vaults = bench.opened(masterPassword=CANARY)
    for _ in range(3):
        with pytest.raises(CredentialRefused, match="the master password does not open the account"):
            await bench.vaults.refresh()
        bench.time.advance(100)

    assert len(derivations) == 1


def unlocked_otherwise(iterations):
    def edit(sync):
        sync["userDecryption"]["masterPasswordUnlock"]["kdf"]["iterations"] = iterations

    return edit


async def test_a_server_that_names_another_derivation_at_every_second_look_takes_no_cpu(bench, derivations):
    """None of these opens the account, and the good looks between them keep the connection polled."""
    await bench.vaults.refresh()
    honest = bench.server.edit_sync
    bench.time.advance(60)
    for number in range(5):
        bench.server.edit_sync = unlocked_otherwise(6_000 + number)
        bench.account.add("web")
        with pytest.raises(VaultError):
            await bench.vaults.refresh()
        bench.server.edit_sync = honest
        await bench.vaults.refresh()
        bench.time.advance(5)

    assert derivations[1:] == [6_000]


@pytest.mark.parametrize(
    "edit",
    [
        lambda sync: sync.pop("ciphers"),
        lambda sync: sync.update(ciphers={CANARY: 1}),
        lambda sync: sync.update(ciphers=[CANARY]),
        lambda sync: sync["ciphers"][0].pop("id"),
        lambda sync: sync.update(profile=CANARY),
        lambda sync: sync["profile"].update(id=CANARY),
        lambda sync: sync.update(collections=CANARY),
        lambda sync: sync["profile"].update(organizations=[CANARY]),
        lambda sync: (sync.pop("userDecryption"), sync["profile"].pop("key")),
        lambda sync: sync.clear(),
    ],
)
async def test_a_sync_that_is_none_changes_nothing(bench, edit):
    """What was known stays known, and nothing of the answer is shown."""
    await bench.vaults.refresh()
    before = bench.vaults._snapshot
    bench.server.edit_sync = edit
    bench.account.add("web")

    with pytest.raises(VaultUnavailable) as error:
        await bench.vaults.refresh()

    assert CANARY not in str(error.value)
    assert error.value.__context__ is None
    assert bench.vaults._snapshot is before


HOSTILE = {
    "no JSON": CANARY.encode(),
    "nothing": b"",
    "a web page": b"<html>" + CANARY.encode(),
    "half": b'{"profile": {',
    "deep": b"[" * 100_000,
    "no UTF-8": b'{"a": "\xff"}',
    "a list": b"[]",
    "null": b"null",
    "many members": b'{"ciphers":[' + b"{}," * 200_000 + b"{}]}",
    "many bytes": b'"' + b"x" * (17 * 1024 * 1024) + b'"',
}


@pytest.mark.parametrize("path", [TOKEN, DATE, SYNC])
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_answers_are_refused(bench, path, body):
    """Without reading all of them, and without a word of them."""
    bench.server.fail(path, Answer(body=body))

    with pytest.raises(VaultUnavailable) as error:
        await bench.vaults.refresh()
    assert CANARY not in str(error.value)
    assert error.value.__context__ is None


async def test_compressed_answers_are_read_and_counted(bench):
    """A few bytes may become many."""
    zip_it = lambda answer: Answer(body=gzip.compress(answer.body), headers={"content-encoding": "gzip"})  # noqa: E731
    bench.server.fail(SYNC, zip_it)
    assert len(await bench.refs()) == 1

    bomb = gzip.compress(json.dumps({"ciphers": "x" * 17 * 2**20}).encode())
    bench.account.add("web")
    bench.server.fail(SYNC, Answer(body=bomb, headers={"content-encoding": "gzip"}))
    with pytest.raises(VaultUnavailable, match="the answer holds more than"):
        await bench.vaults.refresh()
    bench.server.fail(SYNC, Answer(body=bomb[:99], headers={"content-encoding": "gzip"}))
    with pytest.raises(VaultUnavailable, match="unknown or damaged"):
        await bench.vaults.refresh()


async def test_a_connection_that_was_closed_meanwhile_is_no_failure(bench):
    """Servers close idle connections when they like; a second time in a row it is a failure."""
    bench.server.fail(DATE, Answer(dropped=True), times=1)
    await bench.vaults.refresh()

    bench.server.fail(DATE, Answer(dropped=True))
    with pytest.raises(VaultUnavailable, match="the connection broke"):
        await bench.vaults.refresh()


async def test_a_request_that_is_under_way_when_the_connection_is_closed_is_not_sent_again(bench):
    """To close it breaks kept connections, and nothing may be asked of the server after that."""
    await bench.vaults.refresh()
    asked = []

    async def broken(request):
        asked.append(request.url.path)
        await bench.vaults.close()
        raise httpx.ReadError("closed")

    bench.transport.handle_async_request = broken
    with pytest.raises(VaultUnavailable):
        await bench.vaults.refresh()
    assert asked == [DATE]


async def test_an_answer_that_is_cut_short_is_not_asked_for_again(bench):
    """That is for whoever decides about retries."""
    bench.server.fail(SYNC, lambda answer: Answer(body=answer.body, cut=100))

    with pytest.raises(VaultUnavailable, match="the connection broke before the answer was complete"):
        await bench.vaults.refresh()
    assert bench.server.lines.count(f"GET {SYNC}?excludeDomains=true") == 1
    assert bench.observed[-1] == (f"GET {SYNC}", "interrupted")


class Raising(httpx.AsyncBaseTransport):
    def __init__(self, error):
        self.error = error

    async def handle_async_request(self, request):
        raise self.error from OSError(101, "Network is unreachable", CANARY)


@pytest.mark.parametrize(
    ("raised", "error", "message"),
    [
        (httpx.ConnectError(CANARY), VaultUnavailable, "no connection: Network is unreachable"),
        (httpx.ConnectTimeout(CANARY), VaultUnavailable, "it did not answer in time"),
        (httpx.ReadTimeout(CANARY), VaultUnavailable, "it did not answer in time"),
        (httpx.ProxyError(CANARY), VaultUnavailable, "no connection"),
        (HostNotAllowed("vault.test has an address that is not public"), HostNotAllowed, "is not public"),
    ],
)
async def test_failures_of_the_network_say_what_happened(raised, error, message):
    """In the words of the operating system, not in those of a library."""
    account = read(Account().credential)
    exchange = exchange_module.Exchange(
        account.server, transport=Raising(raised), time=FakeTime(), observer=lambda *_: None
    )
    outgoing = exchange_module.Outgoing("GET", "https://vault.test/api", "/api", 5.0, 10, None)

    with pytest.raises(error, match=message) as found:
        await exchange.send(outgoing)
    assert CANARY not in str(found.value)
    assert found.value.__context__ is None


async def test_a_request_that_hangs_is_given_up(monkeypatch, bench):
    """After its deadline."""
    monkeypatch.setattr("keyturn.providers.bitwarden.logins._DEADLINE", 0.01)
    bench.server.fail(TOKEN, Answer(seconds=60))

    with pytest.raises(VaultUnavailable, match="did not answer in time"):
        await bench.vaults.refresh()


async def test_a_mistake_in_a_metric_is_no_failure(bench):
    """A Secret matters more."""
    account = read(bench.account.credential)

    def observer(*_):
        raise ZeroDivisionError

    exchange = exchange_module.Exchange(account.server, transport=bench.transport, time=bench.time, observer=observer)
    await exchange.send(exchange_module.Outgoing("GET", "https://vault.test/api/config", "/api/config", 5.0, 9999, 99))
