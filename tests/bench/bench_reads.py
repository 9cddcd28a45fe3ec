"""Reads through the broker: one after the other, beside the same by 1Password's client straight from Connect, and 500 a second."""

import asyncio
import gc
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import onepasswordconnectsdk
import psutil
from bench_audit import TooSlow
from bench_measures import quantile

from localcluster import LocalCluster
from support.broker import VAULT, Brokering

ITEMS = 64
IN_TURN = 2_000
"""Reads one after the other."""
RATE, SECONDS = 500, 60
ACCOUNTS = 40
"""Service accounts that read: each may do so 20 times a second."""

MOST_P50, MOST_P99 = 0.015, 0.050
MOST_MEMORY, MOST_GROWTH = 90 * 1024 * 1024, 4 * 1024 * 1024

_LATEST = 10.0
"""Seconds after the last read in which all must be answered."""


@dataclass(frozen=True, slots=True)
class Reads:
    """What reads cost. All times are seconds, one for each read.

    Attributes:
        broker: through the broker, over TLS, in turn.
        connect: what Connect itself took for the requests behind these, by its own log.
        raw: the same items straight from Connect, by a client that only reads bytes.
        vendor: the same items straight from Connect, by 1Password's Python client.
        upstream: requests that Connect saw for each read.
        many: through the broker, at the promised rate, from the moment at which each was due.
        failed: how many of these were not answered with the value.
        idle: bytes resident before the first read.
        resident: bytes resident a third into the minute, and at its end.
        cpu_percent: of one core, of the broker, meanwhile.
    """

    broker: Sequence[float]
    connect: Sequence[float]
    raw: Sequence[float]
    vendor: Sequence[float]
    upstream: float
    many: Sequence[float]
    failed: int
    idle: int
    resident: tuple[int, int]
    cpu_percent: float


class Line:
    """One kept-alive connection that asks for the same kind of thing again and again.

    Args:
        url: of the server.
        token: of the caller.
        trust: by what the server is trusted; None without TLS.
    """

    def __init__(self, url: str, token: str, trust: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 0
        self._trust = trust
        self._headers = f"Host: {self._host}\r\nAuthorization: Bearer {token}\r\n\r\n"
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of one request."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port, ssl=self._trust)
        self._writer.write(f"GET {path} HTTP/1.1\r\n{self._headers}".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        return int(head[9:12]), await self._reader.readexactly(length)

    def close(self) -> None:
        """Close it."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


def measure_reads(*, folder: Path) -> Reads:
    """A control plane, a Connect server and a broker, and nothing else."""
    with LocalCluster.start() as cluster:
        brokering = Brokering(kubeconfig=cluster.kubeconfig, folder=folder)
        brokering.set_up()
        try:
            ids = brokering.connect.bulk_create(VAULT, ITEMS, title="item-{n:05d}", item=_item())
            accounts = [f"ci-{number:02d}" for number in range(ACCOUNTS)]
            titles = [f"item-{number:05d}" for number in range(ITEMS)]
            broker = brokering.start()
            brokering.grant("bench", *titles, to=accounts)
            tokens = [brokering.token(account) for account in accounts]
            return asyncio.run(_measure(brokering, psutil.Process(broker.pid), titles=titles, ids=ids, tokens=tokens))
        finally:
            brokering.tear_down()


def _item() -> dict[str, object]:
    return {"fields": [{"label": "username", "value": "app"}, {"label": "password", "value": "canary"}]}


async def _measure(
    brokering: Brokering, process: psutil.Process, *, titles: Sequence[str], ids: Sequence[str], tokens: Sequence[str]
) -> Reads:
    broker, trust = brokering.broker, brokering.broker.trust()
    paths = [f"/v1/read?ref={quote(f'op://{VAULT}/{title}/password')}" for title in titles]
    lines = [Line(broker.url, token, trust) for token in tokens]
    for line, path in zip(lines, paths, strict=False):
        # Connections and tokens are known after the first read; a job that reads once pays for both.
        await line.get(path)
    gc.disable()
    idle = process.memory_info().rss
    admin = brokering.connect
    since = admin.last_request()
    through = await _in_turn(lambda number: lines[number % ACCOUNTS].get(paths[number % ITEMS]))
    seen = [each for each in admin.requests(since=since) if each.finished_ms is not None]
    items = [each for each in seen if each.route.endswith("/items/{item}")]
    vault = items[0].path.split("/")[3]
    token = brokering.emulator.token("all")
    direct = Line(brokering.emulator.url, token)
    raw = await _in_turn(lambda number: direct.get(f"/v1/vaults/{vault}/items/{ids[number % ITEMS]}"))
    vendor = await asyncio.to_thread(_by_vendor, brokering.emulator.url, token, vault, ids)
    # The bucket of each account is full again.
    await asyncio.sleep(5.0)
    times, failed, resident, cpu = await _at_rate(process, lines, paths)
    gc.enable()
    return Reads(
        broker=through,
        connect=[(each.finished_ms - each.started_ms) / 1000 for each in items if each.finished_ms is not None],
        raw=raw,
        vendor=vendor,
        upstream=len(items) / IN_TURN,
        many=times,
        failed=failed,
        idle=idle,
        resident=resident,
        cpu_percent=cpu,
    )


async def _in_turn(read: Callable[[int], Awaitable[tuple[int, bytes]]]) -> list[float]:
    times = []
    for number in range(IN_TURN):
        began = time.perf_counter()
        status, body = await read(number)
        times.append(time.perf_counter() - began)
        if status != 200 or b"canary" not in body:
            raise TooSlow(f"a read was answered with {status}")
        # So that an account does not come too often.
        await asyncio.sleep(0.0005)
    return times


def _by_vendor(url: str, token: str, vault: str, ids: Sequence[str]) -> list[float]:
    client = onepasswordconnectsdk.new_client(url, token)
    times = []
    for number in range(IN_TURN):
        began = time.perf_counter()
        item = client.get_item_by_id(ids[number % ITEMS], vault)
        times.append(time.perf_counter() - began)
        if not any(field.value == "canary" for field in item.fields):
            raise TooSlow("1Password's client found no value")
    client.session.close()
    return times


async def _at_rate(
    process: psutil.Process, lines: Sequence[Line], paths: Sequence[str]
) -> tuple[list[float], int, tuple[int, int], float]:
    """Start so many reads each second, whether or not earlier ones are answered."""
    times: list[float] = []
    failed = 0
    free = [asyncio.Lock() for _ in lines]

    async def read(number: int, due: float) -> None:
        nonlocal failed
        which = number % ACCOUNTS
        async with free[which]:
            try:
                status, body = await lines[which].get(paths[(number * 7) % ITEMS])
            except (OSError, asyncio.IncompleteReadError):
                status, body = 0, b""
                lines[which].close()
        times.append(time.perf_counter() - due)
        failed += status != 200 or body != b"canary"

    tasks: set[asyncio.Task[None]] = set()
    began = time.perf_counter()
    used = sum(process.cpu_times()[:2])
    early = 0
    for number in range(RATE * SECONDS):
        due = began + number / RATE
        if (left := due - time.perf_counter()) > 0:
            await asyncio.sleep(left)
        task = asyncio.create_task(read(number, due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        if number == RATE * SECONDS // 3:
            early = process.memory_info().rss
    with suppress(TimeoutError):
        async with asyncio.timeout(_LATEST):
            await asyncio.gather(*tasks)
    failed += len(tasks)
    cpu = 100 * (sum(process.cpu_times()[:2]) - used) / (time.perf_counter() - began)
    for line in lines:
        line.close()
    return times, failed, (early, process.memory_info().rss), cpu


def reads_markdown(reads: Reads) -> str:
    """The table."""
    early, late = reads.resident
    lines = [
        ["Reads of one field, in turn", "p50", "p99", "promised"],
        ["---"] * 4,
        ["through the broker, by TLS, with its record", *_shown(reads.broker), "p50 under 15 ms, p99 under 50 ms"],
        ["of that, Connect itself", *_shown(reads.connect), ""],
        ["straight from Connect, bytes alone", *_shown(reads.raw), ""],
        ["straight from Connect, by 1Password's Python client", *_shown(reads.vendor), ""],
        [f"through the broker, {RATE} a second for {SECONDS} s", *_shown(reads.many), "no error"],
    ]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    mib = 1024 * 1024
    return (
        f"{table}\n\nOne read costs {reads.upstream:g} request to Connect. At {RATE} reads a second, {reads.failed} of "
        f"{RATE * SECONDS:,} failed, and the broker used {reads.cpu_percent:.0f} % of a core. It had {reads.idle / mib:.0f} MiB resident "
        f"before, {early / mib:.0f} MiB after a third of them, and {late / mib:.0f} MiB at the end (promised: under "
        f"{MOST_MEMORY // mib} MiB, and flat)."
    )


def broken_reads(reads: Reads) -> Iterator[str]:
    """One line for each broken promise."""
    p50, p99 = quantile(reads.broker, 50), quantile(reads.broker, 99)
    if p50 >= MOST_P50 or p99 >= MOST_P99:
        yield f"a read takes {1000 * p50:.1f} ms (p50), {1000 * p99:.1f} ms (p99)"
    if reads.upstream > 1:
        yield f"a read costs {reads.upstream:g} requests to Connect"
    if reads.failed:
        yield f"{reads.failed} of {RATE * SECONDS:,} reads failed at {RATE} a second"
    if max(reads.idle, *reads.resident) >= MOST_MEMORY:
        yield f"the broker has {max(reads.idle, *reads.resident) / 1024**2:.0f} MiB resident"
    if reads.resident[1] - reads.resident[0] > MOST_GROWTH:
        yield f"the broker grew by {(reads.resident[1] - reads.resident[0]) / 1024**2:.1f} MiB in {SECONDS * 2 // 3} s"


def _shown(times: Sequence[float]) -> tuple[str, str]:
    return f"{1000 * quantile(times, 50):.1f} ms", f"{1000 * quantile(times, 99):.1f} ms"
