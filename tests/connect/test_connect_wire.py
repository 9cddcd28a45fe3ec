"""The client on real sockets: cut, slow, broken, crowded, cancelled."""

import asyncio
import gzip
import logging
import socket
import time

import pytest
from connect_servers import FILE, ITEM, VAULT, Connection, client_of, http, script, serving, steady

from keyturn.core.vault import Field, FieldKind, ItemRef
from keyturn.providers.connect import (
    BadAnswer,
    ConnectVaults,
    ContentTooLarge,
    Interrupted,
    Oversized,
    Redirected,
    StaticToken,
    TimedOut,
    Unreachable,
)
from support.patience import PATIENCE_S

GOOD = [{"id": VAULT, "name": "Prod", "contentVersion": 1, "items": 1}]


async def cut_length(connection):
    await connection.request()
    await connection.send(http(GOOD)[:-10])


async def cut_chunks(connection):
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b'40\r\n[{"id":')


async def closed(connection):
    await connection.request()


async def gibberish(connection):
    await connection.request()
    await connection.send(b"SSH-2.0-OpenSSH_9.6\r\n")


async def endless_head(connection):
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\n", b"x-filler: y\r\n" * 20_000)


async def reset(connection):
    await connection.request()
    await connection.send(http(GOOD)[:-10])
    connection.reset()


async def reset_at_once(connection):
    connection.reset()


DAMAGE = [cut_length, cut_chunks, closed, gibberish, endless_head, reset, reset_at_once]


@pytest.mark.parametrize("damage", DAMAGE)
async def test_an_answer_that_breaks_is_an_interruption(damage):
    """Never half an answer, never an exception of a library, and no retry: the connection was a new one."""
    async with serving(script(damage, steady(GOOD))) as server, client_of(server.url) as client:
        with pytest.raises(Interrupted):
            await client.vaults()
        assert server.accepted == 1

        assert [vault.name for vault in await client.vaults()] == ["Prod"]
        assert server.accepted == 2


@pytest.mark.parametrize(
    "close", [Connection.reset, lambda connection: connection.writer.close()], ids=["reset", "closed"]
)
async def test_a_kept_connection_that_is_closed_with_the_next_request_on_it_is_replaced(close):
    """The request is sent again at once, on a new connection: closing an idle connection is no failure of the server."""

    async def answer_once(connection):
        await connection.request()
        await connection.answer(GOOD)
        await connection.request()
        close(connection)

    async with serving(script(answer_once, steady(GOOD))) as server, client_of(server.url) as client:
        for _ in range(2):
            assert [vault.name for vault in await client.vaults()] == ["Prod"]
        assert server.accepted == 2


async def close_after_each_answer(connection):
    """A proxy with a short keep-alive: the next request reaches it, and then it closes."""
    await connection.request()
    await connection.answer(GOOD, content_type="text/plain")
    await connection.request()


async def test_a_crowd_on_connections_that_all_turn_out_closed_gets_its_answers():
    """Each request is sent once more on a new connection, not on another kept one."""
    async with serving(close_after_each_answer) as server, client_of(server.url) as client:
        for _ in range(4):
            found = await asyncio.gather(*(client.vaults() for _ in range(10)))
            assert [len(vaults) for vaults in found] == [1] * 10


async def test_to_a_server_that_closes_without_a_word_no_connection_is_kept():
    """After three closed ones in a row each request has a connection of its own; now and then it is tried again."""
    heads = []

    async def play(connection):
        heads.append(await connection.request())
        await connection.answer(GOOD, content_type="text/plain")
        if lost := await connection.request():
            heads.append(lost)

    async with serving(play) as server, client_of(server.url) as client:
        for _ in range(8):
            await client.heartbeat()
            await client.vaults()
        fresh = ["connection: close" in head.lower() for head in heads]
        assert fresh[-8:] == [True] * 8
        assert len(heads) == 16 + 3
        for _ in range(210):
            await client.vaults()

        assert len(heads) == 16 + 3 + 210 + 2


async def test_a_server_that_keeps_connections_again_gets_them_again():
    """A proxy can be mended while the operator runs."""
    mended = False

    async def play(connection):
        while await connection.request():
            await connection.answer(GOOD)
            if not mended:
                await connection.request()
                return

    async with serving(play) as server, client_of(server.url) as client:
        for _ in range(8):
            await client.vaults()
        mended = True
        for _ in range(120):
            await client.vaults()
        before = server.accepted
        for _ in range(10):
            await client.vaults()

        assert server.accepted == before


async def test_a_write_on_a_kept_connection_that_is_closed_is_not_sent_again():
    """The server may have read it."""
    heads = []

    async def answer_once(connection):
        heads.append(await connection.request())
        await connection.answer(GOOD)
        heads.append(await connection.request())
        connection.reset()

    async with serving(script(answer_once, steady(GOOD))) as server, client_of(server.url) as client:
        await client.vaults()
        with pytest.raises(Interrupted) as caught:
            await client.create_item(VAULT, {})

        assert caught.value.may_have_been_applied
        assert (server.accepted, [head.split(" ", 1)[0] for head in heads]) == (1, ["GET", "POST"])


async def test_half_an_answer_on_a_kept_connection_is_an_interruption():
    """The server had begun to answer."""

    async def cut_the_second(connection):
        await connection.request()
        await connection.answer(GOOD)
        await cut_length(connection)

    async with serving(script(cut_the_second, steady(GOOD))) as server, client_of(server.url) as client:
        await client.vaults()
        with pytest.raises(Interrupted):
            await client.vaults()
        assert server.accepted == 1


async def test_a_drip_ends_with_the_deadline():
    """One byte now and then prevents every timeout between bytes, but not the deadline of the call."""

    async def drip(connection):
        await connection.request()
        await connection.send(http(b"x" * 10_000)[:-10_000])
        while True:
            await connection.send(b"x")
            await asyncio.sleep(0.01)

    async with serving(drip) as server, client_of(server.url, deadline=0.15) as client:
        with pytest.raises(TimedOut) as caught:
            await client.vaults()

        assert caught.value.phase == "deadline"
        await asyncio.wait_for(server.calm.wait(), PATIENCE_S)


async def test_a_dripping_error_ends_with_the_deadline_too():
    """The status is known, but its explanation never ends."""

    async def drip(connection):
        await connection.request()
        await connection.send(http(b"x" * 10_000, status=503)[:-10_000])
        while True:
            await connection.send(b"x")
            await asyncio.sleep(0.01)

    async with serving(drip) as server, client_of(server.url, deadline=0.15) as client:
        with pytest.raises(TimedOut):
            await client.vaults()


async def test_a_request_without_an_answer_ends_with_the_read_timeout():
    """The server read the request and does not answer."""

    async def stay(connection):
        await connection.request()
        await connection.reader.read()

    async with serving(stay) as server, client_of(server.url, read_timeout=0.03) as client:
        with pytest.raises(TimedOut, match="did not answer in time") as caught:
            await client.vaults()

        assert caught.value.phase == "read"
        assert server.accepted == 1


async def test_a_refused_connection_has_the_words_of_the_system():
    """The reason of the operating system is the first thing that people need at 3 a.m."""
    async with serving(closed) as server:
        url = server.url
    async with client_of(url) as client:
        with pytest.raises(Unreachable, match=r"no connection: Connection refused$"):
            await client.vaults()


async def test_a_name_that_does_not_resolve_is_named_as_the_reason(monkeypatch):
    """The cluster's DNS fails for a moment, or the Service has another name."""

    async def fail(*_args, **_options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fail)
    async with client_of("http://connect.test:8080") as client:
        with pytest.raises(Unreachable, match=r"the host name cannot be resolved \(Name or service not known\)"):
            await client.vaults()


async def test_several_dead_addresses_are_one_error(monkeypatch):
    """A Service with several addresses, and no server behind any of them."""
    async with serving(closed) as server:
        port = int(server.url.rsplit(":", 1)[1])

    async def several(*_args, **_options):
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (address, port)) for address in ("127.0.0.1", "127.0.0.2")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", several)
    async with client_of(f"http://connect.test:{port}") as client:
        with pytest.raises(Unreachable, match=r"no connection: Connection refused$"):
            await client.vaults()


async def test_a_file_cut_without_a_length_is_noticed_by_its_size():
    """A connection that just ends looks like the end of the file."""

    async def cut(connection):
        await connection.request()
        await connection.send(b"HTTP/1.0 200 OK\r\ncontent-type: application/octet-stream\r\n\r\n", b"abc")

    async with serving(cut) as server, client_of(server.url) as client:
        assert await client.file_content(VAULT, ITEM, FILE, limit=10, size=3) == b"abc"
        with pytest.raises(BadAnswer, match="the item says 6 bytes"):
            await client.file_content(VAULT, ITEM, FILE, limit=10, size=6)


async def test_a_file_is_not_read_beyond_its_limit():
    """An endless stream without a length costs the limit, and the connection."""
    sent = 0

    async def flood(connection):
        nonlocal sent
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            await connection.send(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            sent += 0x4000

    async with serving(flood) as server, client_of(server.url) as client:
        with pytest.raises(ContentTooLarge):
            await client.file_content(VAULT, ITEM, FILE, limit=1_000_000)
        await asyncio.wait_for(server.calm.wait(), PATIENCE_S)

        assert sent < 30_000_000


async def test_a_compressed_bomb_is_stopped():
    """20 MiB in 20 KiB: decoded bytes count, whatever the length header says."""
    bomb = gzip.compress(b" " * 20 * 1024 * 1024)

    async with (
        serving(steady(bomb, content_encoding="gzip")) as server,
        client_of(server.url, json_limit=1024 * 1024) as client,
    ):
        with pytest.raises(Oversized):
            await client.vaults()


async def test_a_compressing_proxy_is_understood():
    """Proxies compress JSON when allowed to."""
    packed = gzip.compress(str(GOOD).replace("'", '"').encode())

    async with serving(steady(packed, content_encoding="gzip")) as server, client_of(server.url) as client:
        assert len(await client.vaults()) == 1


async def test_early_hints_are_skipped():
    """Some proxies send them before the answer."""

    async def hint(connection):
        while await connection.request():
            await connection.send(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", http(GOOD))

    async with serving(hint) as server, client_of(server.url) as client:
        assert len(await client.vaults()) == 1


async def test_a_redirect_is_reported_and_never_followed():
    """The token goes to no other address, on the same host or another."""
    async with serving(steady(GOOD)) as other:

        async def send_away(connection):
            while await connection.request():
                await connection.answer(b"", status=307, location=f"{other.url}/v1/vaults")

        async with serving(send_away) as server, client_of(server.url) as client:
            with pytest.raises(Redirected, match=r"redirects to the host 127\.0\.0\.1"):
                await client.vaults()

        assert other.accepted == 0


async def test_calls_in_a_row_share_one_connection():
    """Keep-alive works, and answers are read to their end."""
    async with serving(steady(GOOD)) as server, client_of(server.url) as client:
        for _ in range(5):
            await client.vaults()

        assert server.accepted == 1


async def test_an_idle_connection_that_was_closed_costs_no_call():
    """Servers and proxies close idle connections when they like."""

    async def once(connection):
        await connection.request()
        await connection.answer(GOOD)

    async with serving(once) as server, client_of(server.url) as client:
        for _ in range(5):
            assert len(await client.vaults()) == 1


async def test_a_crowd_shares_ten_connections():
    """However many calls there are, at most ten connections are open, and each call gets its answer."""

    async def slow(connection):
        while await connection.request():
            await asyncio.sleep(0.002)
            await connection.answer(GOOD)

    async with serving(slow) as server, client_of(server.url) as client:
        found = await asyncio.gather(*(client.vaults() for _ in range(100)))

        assert all(len(one) == 1 for one in found)
        assert server.most_open <= 10
        assert server.accepted <= 10


async def test_cancelled_calls_leave_nothing_behind():
    """Fifty calls cancelled at any moment: connections end, permits are released, the next calls work."""
    hold = asyncio.Event()

    async def stall(connection):
        while await connection.request():
            if not hold.is_set():
                await connection.send(http(GOOD)[:-10])
                await connection.reader.read(1)
                return
            await connection.answer(GOOD)

    async with serving(stall) as server, client_of(server.url, deadline=PATIENCE_S) as client:
        for pause in (0.0, 0.001, 0.02):
            tasks = [asyncio.create_task(client.vaults()) for _ in range(50)]
            await asyncio.sleep(pause)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(one) for one in ended} == {asyncio.CancelledError}
        await asyncio.wait_for(server.calm.wait(), PATIENCE_S)
        hold.set()

        found = await asyncio.gather(*(client.vaults() for _ in range(20)))

        assert all(len(one) == 1 for one in found)


async def test_no_moment_of_cancellation_loses_a_connection():
    """Cancelled after any number of steps of the event loop: no connection stays open, and no place of the pool is lost.

    The libraries below lose a connection whose request is cancelled between connecting and sending; ten such moments
    would make every later request wait for a free connection for ever.
    """
    hold = asyncio.Event()

    async def stall(connection):
        while await connection.request():
            if not hold.is_set():
                await connection.reader.read(1)
                return
            await connection.answer(GOOD)

    async with serving(stall) as server, client_of(server.url, pool_timeout=10.0) as client:
        for steps in range(1, 40):
            tasks = [asyncio.create_task(client.vaults()) for _ in range(12)]
            for _ in range(steps):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wait_for(server.calm.wait(), PATIENCE_S)
        hold.set()

        found = await asyncio.gather(*(client.vaults() for _ in range(20)))

    assert all(len(one) == 1 for one in found)


async def test_closing_ends_every_connection():
    """Idle connections are closed, not left to the garbage collector."""
    async with serving(steady(GOOD)) as server, client_of(server.url) as client:
        await asyncio.gather(*(client.vaults() for _ in range(5)))
        await client.close()
        await asyncio.wait_for(server.calm.wait(), PATIENCE_S)

        assert server.open == 0


async def test_the_client_does_not_read_the_environment(monkeypatch):
    """A proxy for the internet must not see the token of a server inside the cluster."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    async with serving(steady(GOOD)) as server, client_of(server.url) as client:
        assert len(await client.vaults()) == 1


async def test_a_dead_proxy_is_called_the_proxy():
    """Otherwise people look for the fault in a Connect server that is well."""
    async with serving(closed) as dead:
        proxy = dead.url
    for host in ("http://connect.test:8080", "https://connect.test"):
        async with client_of(host, proxy=proxy) as client:
            with pytest.raises(Unreachable, match=r"no connection to the proxy: Connection refused$"):
                await client.vaults()


async def test_an_explicit_proxy_is_used():
    """The settings name it."""
    seen = []

    async def forward(connection):
        while head := await connection.request():
            seen.append(head.splitlines()[0])
            await connection.answer(GOOD)

    async with serving(forward) as proxy, client_of("http://connect.test:8080", proxy=proxy.url) as client:
        assert len(await client.vaults()) == 1

    assert seen == ["GET http://connect.test:8080/v1/vaults HTTP/1.1"]


async def test_no_library_logs_the_token_or_a_title(caplog):
    """With every logger at debug level, on the real transport."""
    caplog.set_level(logging.DEBUG)
    seen = []

    async def play(connection):
        while head := await connection.request():
            seen.append(head)
            await connection.answer([])

    async with serving(play) as server, client_of(server.url, token=StaticToken("c4nary-t0ken")) as client:
        await client.items(VAULT, title="c4nary t1tle")

    assert "c4nary-t0ken" in seen[0]
    assert "c4nary%20t1tle" in seen[0]
    assert "c4nary" not in caplog.text


async def test_a_thousand_items_are_listed_quickly():
    """Request, parsing and mapping of a long list take far less than a poll's interval."""
    items = [
        {
            "id": f"{number:026d}",
            "title": f"Item {number}",
            "vault": {"id": VAULT, "name": "Prod"},
            "category": "LOGIN",
            "version": number,
            "tags": ["a", "b"],
            "urls": [{"href": "https://example.test", "primary": True}],
            "createdAt": "2024-01-02T03:04:05.123456789Z",
            "updatedAt": "2024-01-02T03:04:05Z",
            "lastEditedBy": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "additionalInformation": "somebody@example.test",
        }
        for number in range(1000)
    ]
    best = 1.0
    async with serving(steady(items)) as server, client_of(server.url) as client:
        for _ in range(5):
            began = time.process_time()
            assert len(await client.items(VAULT)) == 1000
            best = min(best, time.process_time() - began)

    assert best < 0.06


async def test_an_item_and_its_file_come_through_the_seam():
    """The whole way once, on real sockets."""
    item = {
        "id": ITEM,
        "title": "T",
        "vault": {"id": VAULT},
        "version": 2,
        "fields": [{"id": "p", "label": "p", "value": "v"}],
        "files": [{"id": FILE, "name": "f", "size": 3}],
    }

    async def play(connection):
        while head := await connection.request():
            await connection.answer(b"\x00\xff\x01" if "/content " in head else item)

    async with serving(play) as server, client_of(server.url) as client:
        vaults = ConnectVaults(client)
        found = await vaults.item(VAULT, ITEM)
        content = await vaults.file(found.ref, found.fields[1], limit=3)

    assert found.ref == ItemRef(ITEM, VAULT, "T", "2")
    assert found.fields[1] == Field(FILE, "f", FieldKind.FILE, size=3)
    assert content == b"\x00\xff\x01"
