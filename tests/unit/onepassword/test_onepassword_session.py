"""The login: made once, replaced once, never repeated in vain, and released."""

import asyncio
import gc

import pytest
from onepassword_fakes import Bench

from keyturn.core.allowed_hosts import AllowedHosts
from keyturn.core.vault import (
    CredentialInvalid,
    CredentialRefused,
    HostNotAllowed,
    RateLimited,
    VaultUnavailable,
    credential_stamp,
)
from keyturn.providers.onepassword.sdk_errors import SdkFailure
from keyturn.providers.onepassword.token_source import ServiceTokenFile
from support.service_account import service_token


async def test_one_login_serves_all_calls():
    """Each login costs several requests."""
    bench = Bench()
    await bench.vaults.refresh()
    await bench.vaults.refresh()

    assert bench.calls() == ["authenticate", "VaultsList", "VaultsList"]
    assert bench.observed == [("authenticate", "ok"), ("VaultsList", "ok"), ("VaultsList", "ok")]


async def test_calls_that_begin_together_wait_for_one_login():
    """A start is when many begin together."""
    bench = Bench()
    await asyncio.gather(*(bench.vaults.scopes() for _ in range(6)))

    assert bench.calls().count("authenticate") == 1


async def test_a_login_that_fails_fails_for_all_that_waited_for_it():
    """Ten workers must not try a refused token ten times."""
    bench = Bench()
    bench.account.accepts = False
    bench.account.gate = asyncio.Event()
    calls = [asyncio.ensure_future(bench.vaults.scopes()) for _ in range(4)]
    for _ in range(10):
        await asyncio.sleep(0)
    bench.account.gate.set()
    results = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(result) for result in results] == [CredentialRefused] * 4
    assert bench.calls() == ["authenticate"]


async def test_a_refused_token_is_tried_again_by_the_next_call():
    """Whether and when there is a next call, the poller decides."""
    bench = Bench()
    bench.account.accepts = False
    with pytest.raises(
        CredentialRefused, match=r"^1Password at my.1password.com: the vaults: you are not authenticated$"
    ):
        await bench.vaults.refresh()
    bench.account.accepts = True

    await bench.vaults.refresh()

    assert bench.calls() == ["authenticate", "authenticate", "VaultsList"]


@pytest.mark.parametrize("fault", ["session", 401])
async def test_a_session_that_ended_is_replaced_once(fault):
    """A session does not live for ever, and only a login shows whether the token does."""
    bench = Bench()
    await bench.vaults.refresh()
    bench.calls()
    bench.account.faults["VaultsList"] = fault

    with pytest.raises(CredentialRefused):
        await bench.vaults.refresh()
    assert bench.calls() == ["VaultsList", "authenticate", "VaultsList"]
    assert [session.released for session in bench.sessions] == [True, False]

    del bench.account.faults["VaultsList"]
    bench.sessions[-1].released = True
    await bench.vaults.refresh()
    assert bench.calls() == ["authenticate", "VaultsList"]


@pytest.mark.parametrize("fault", [400, 403, 404, 408, 409, 500, 503, "network"])
async def test_nothing_else_costs_a_login_or_a_second_call(fault):
    """An outage of an hour must not spend the quota of a day."""
    bench = Bench()
    await bench.vaults.refresh()
    bench.calls()
    bench.account.faults["VaultsList"] = fault
    with pytest.raises(Exception, match="the vaults"):
        await bench.vaults.refresh()

    assert bench.calls() == ["VaultsList"]
    assert len(bench.sessions) == 1


async def test_after_a_rate_limit_nothing_is_asked_for_a_quarter_of_an_hour():
    """1Password never says how long, and its limits are per hour and per day."""
    bench = Bench()
    await bench.vaults.refresh()
    bench.calls()
    bench.account.faults["VaultsList"] = 429
    with pytest.raises(RateLimited) as first:
        await bench.vaults.refresh()
    bench.account.faults.clear()
    bench.time.advance(600.0)
    with pytest.raises(RateLimited) as second:
        await bench.vaults.item("v", "i")

    assert bench.calls() == ["VaultsList"]
    assert (first.value.retry_after, second.value.retry_after) == (900.0, 300.0)
    assert bench.observed[-1] == ("VaultsList", "ratelimited")

    bench.time.advance(301.0)
    await bench.vaults.refresh()
    assert bench.calls() == ["VaultsList"]


async def test_a_rate_limit_at_the_login_counts_as_one():
    """There it is not even an error of a class of its own."""
    bench = Bench()
    bench.account.faults["authenticate"] = 429
    for _ in range(3):
        with pytest.raises(RateLimited):
            await bench.vaults.refresh()

    assert bench.calls() == ["authenticate"]


async def test_a_call_without_an_answer_ends():
    """The SDK itself never gives up."""
    bench = Bench()
    await bench.vaults.refresh()
    bench.account.gate = asyncio.Event()
    with pytest.raises(SdkFailure, match="no answer in 0 s"):
        await bench.session.call("VaultsList", {"params": None}, seconds=0.0)

    assert bench.observed[-1] == ("VaultsList", "timeout")


async def test_a_cancelled_call_is_counted_too():
    """It may have reached the server, and then it counts there."""
    bench = Bench()
    bench.account.gate = asyncio.Event()
    call = asyncio.ensure_future(bench.vaults.refresh())
    for _ in range(5):
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert bench.observed == [("authenticate", "cancelled")]


async def test_calls_that_hang_hold_only_their_places():
    """Four at once; a fifth begins when one of them ends."""
    bench = Bench()
    await bench.vaults.refresh()
    bench.calls()
    bench.account.gate = asyncio.Event()
    calls = [asyncio.ensure_future(bench.vaults.refresh()) for _ in range(6)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(bench.account.calls) == 4

    bench.account.gate.set()
    await asyncio.gather(*calls)
    assert len(bench.account.calls) == 6


async def test_closing_releases_the_session_and_forgets_the_token():
    """A disconnected account must leave nothing behind."""
    bench = Bench()
    await bench.vaults.refresh()
    await bench.vaults.close()
    await bench.vaults.close()

    assert [session.released for session in bench.sessions] == [True]
    gc.collect()
    bench.tokens.clear()
    assert not any("ops_" in str(value) for value in vars(bench.session).values())
    with pytest.raises(VaultUnavailable, match="the connection is closed"):
        await bench.vaults.refresh()
    assert bench.calls() == ["authenticate", "VaultsList"]


async def test_a_login_that_ends_after_the_closing_is_released_at_once():
    """Else its keys would stay in memory for good."""
    bench = Bench()
    bench.account.gate = asyncio.Event()
    call = asyncio.ensure_future(bench.vaults.refresh())
    for _ in range(5):
        await asyncio.sleep(0)
    await bench.vaults.close()
    bench.account.gate.set()
    with pytest.raises(VaultUnavailable, match="closed"):
        await call

    assert [session.released for session in bench.sessions] == [True]


async def test_another_token_in_the_file_means_another_login(tmp_path):
    """A new credential counts without a restart; the session of the old one is released."""
    file = tmp_path / "token"
    file.write_text(service_token())
    bench = Bench(ServiceTokenFile(file, AllowedHosts()))
    await bench.vaults.refresh()
    file.write_text(service_token("https://team.1password.eu"))
    await bench.vaults.refresh()

    assert bench.tokens == [service_token(), service_token("https://team.1password.eu")]
    assert [session.released for session in bench.sessions] == [True, False]
    assert bench.vaults.address == "team.1password.eu"


async def test_a_file_that_is_unreadable_for_a_while_changes_nothing(tmp_path):
    """A kubelet swaps mounted Secrets in several steps."""
    file = tmp_path / "token"
    bench = Bench(ServiceTokenFile(file, AllowedHosts()))
    assert bench.vaults.address == "the server that its token names"
    with pytest.raises(CredentialInvalid, match=r"token cannot be read \(No such file"):
        await bench.vaults.refresh()
    file.write_text(service_token("https://evil.example"))
    with pytest.raises(HostNotAllowed, match="https://evil"):
        await bench.vaults.refresh()
    file.write_text(service_token())
    await bench.vaults.refresh()
    file.write_text("half a tok")
    await bench.vaults.refresh()
    file.unlink()
    await bench.vaults.refresh()

    assert bench.calls() == ["authenticate", *["VaultsList"] * 3]


async def test_a_token_that_may_be_another_one_is_noticed_without_a_request(tmp_path):
    """A refused one is not asked with again until then."""
    file = tmp_path / "token"
    bench = Bench(ServiceTokenFile(file, AllowedHosts()))
    stamps = [credential_stamp(bench.vaults)]
    for text in ("one", "another"):
        file.write_text(service_token() + text)
        stamps.append(credential_stamp(bench.vaults))

    assert len(set(stamps)) == 3
    assert bench.calls() == []
    assert credential_stamp(Bench().vaults) is None
    await bench.vaults.close()
    assert credential_stamp(bench.vaults) is None
