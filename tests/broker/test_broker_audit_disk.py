"""The audit of a real broker, when what takes its records fails, and when the broker is killed: no value without its record."""

import asyncio
import fcntl
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from keyturn.core.audit_chain import verify
from support.broker import eventually_sync
from support.patience import LONG_S, PATIENCE_S
from support.processes import bound_to_us

pytestmark = pytest.mark.cluster

READ = "/v1/read"
REF = {"ref": "op://Production/database/password"}
SMALLEST_PIPE = 4096


@pytest.fixture(scope="module", autouse=True)
def database(brokering):
    """One item, which each test's identity may read."""
    brokering.put_item("database", {"password": "first"})


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of four pages. The disk is mounted in namespaces of a process that waits, so that this needs no root."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    script = f"mount -t tmpfs -o size=16k tmpfs {mounted} && echo mounted && exec sleep infinity"
    command = bound_to_us(
        [shutil.which("unshare") or "", "--user", "--map-root-user", "--mount", "/bin/sh", "-c", script]
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"mounted\n"
        yield Path(f"/proc/{process.pid}/root{mounted}")
        process.kill()


def chain_of(path):
    return path.read_text().splitlines()


def test_a_full_disk_stops_answers_and_not_the_process(brokering, small_disk):
    """And once there is room again, it goes on by itself, with a whole chain."""
    filler, path = small_disk / "filler", small_disk / "audit.jsonl"
    filler.write_bytes(b"x" * 8192)
    brokering.grant("full", "database", to=["full"])
    broker = brokering.start(KEYTURN_AUDIT_FILE=path)
    given = 0
    with broker.client(brokering.token("full")) as client:
        while (answer := client.get(READ, params=REF)).status_code == 200:
            assert answer.text == "first"
            given += 1
        for _ in range(3):
            refused = client.get(READ, params=REF)
            assert (refused.status_code, refused.json()["code"]) == (503, "audit_unavailable")
            assert "first" not in refused.text
        assert broker.get("/healthz")[0] == 200

        filler.unlink()
        assert client.get(READ, params=REF).status_code == 200
    lines = chain_of(path)
    assert list(verify(lines)) == []
    outcomes = Counter(json.loads(line)["outcome"] for line in lines)
    assert outcomes == {"allowed": given + 1}
    assert "cannot write audit records to " in broker.logged()
    assert "audit records are written again" in broker.logged()
    broker.stop()


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@contextmanager
def reading(fifo):
    """A reader of a FIFO that has room for a few records."""
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, SMALLEST_PIPE)
    try:
        yield reader
    finally:
        os.close(reader)


def test_no_answer_comes_before_its_record_is_out(brokering, fifo):
    """A FIFO without a reader is not waited for; one that is full holds the answer back until there is room for the record."""
    brokering.grant("fifo", "database", to=["fifo"])
    broker = brokering.start(KEYTURN_AUDIT_FILE=fifo)
    token = brokering.token("fifo")
    with broker.client(token) as client:
        began = time.monotonic()
        assert client.get(READ, params=REF).status_code == 503
        assert time.monotonic() - began < PATIENCE_S

        with reading(fifo) as reader:
            answers = []

            def read_until_refused():
                with broker.client(token) as other:
                    while not answers or answers[-1] == 200:
                        answers.append(other.get(READ, params=REF).status_code)

            caller = threading.Thread(target=read_until_refused)
            caller.start()
            # Whenever as many answers as records that the FIFO can hold have come, the next one waits.
            caller.join(LONG_S)
            text = os.read(reader, 1 << 20).decode()
            assert answers.count(503) == 1
            assert len(text.splitlines()) in {answers.count(200), len(answers)}
            assert client.get(READ, params=REF).status_code == 200
            text += os.read(reader, 1 << 20).decode()
            assert list(verify(text.splitlines())) == []

        assert client.get(READ, params=REF).status_code == 503
        assert broker.get("/healthz")[0] == 200
        with reading(fifo) as reader:
            assert client.get(READ, params=REF).status_code == 200
            assert json.loads(os.read(reader, 1 << 20))["outcome"] == "allowed"
    broker.stop()


CALLERS = 50
KILLS = 3


async def call(client, url, token, seen, agent):
    """Read once. A value that came is noted with the User-Agent that its record must have."""
    headers = {"User-Agent": agent, "Authorization": f"Bearer {token}"}
    try:
        answer = await client.get(f"{url}{READ}", params=REF, headers=headers)
    except httpx.HTTPError:
        seen["broken"] += 1
        await asyncio.sleep(0.05)
        return
    seen[answer.status_code] += 1
    if answer.status_code == 200:
        assert answer.text == "first"
        seen.given[agent] = time.monotonic()
    else:
        await asyncio.sleep(0.02)


class Seen(Counter):
    """How often each status came, and when each value."""

    def __init__(self):
        super().__init__()
        self.given = {}


async def callers_of(client, url, tokens, *, seen, run, until):
    """Many callers, each of which reads again and again."""

    async def work(number):
        name = list(tokens)[number % len(tokens)]
        turn = 0
        while not until.is_set():
            turn += 1
            await call(client, url, tokens[name], seen, f"{name}/{run}.{number}.{turn}")

    await asyncio.gather(*(work(number) for number in range(CALLERS)))


async def test_no_value_without_a_record_and_none_after_its_right_is_gone(brokering):
    """The broker is killed again and again under many clients. Meanwhile a grant is revoked, and a pod deleted."""
    accounts = ["stays", "revoked", *(f"more-{number}" for number in range(6))]
    for name in accounts:
        brokering.grant(name, "database", to=[name], known=False)
    brokering.grant("podded", "database", to=["podded"], known=False)
    brokering.pod("runner", account="podded")
    tokens = {name: brokering.token(name) for name in accounts} | {
        "podded": brokering.token("podded", pod="runner"),
    }
    audit = brokering.folder / "killed-audit.jsonl"
    broker = brokering.start(KEYTURN_AUDIT_FILE=audit)
    brokering.know_grants()
    seen = Seen()
    gone = {}
    async with broker.async_client() as client:
        for run in range(KILLS):
            until = asyncio.Event()
            running = asyncio.create_task(callers_of(client, broker.plain_url, tokens, seen=seen, run=run, until=until))
            await asyncio.sleep(1.0)
            if run == 1:
                brokering.revoke("revoked")
                brokering.delete_pod("runner")
                gone = dict.fromkeys(["revoked", "podded"], time.monotonic())
                await asyncio.sleep(0.5)
            broker.send(signal.SIGKILL)
            await asyncio.sleep(0.1)
            until.set()
            await running
            await asyncio.to_thread(broker.wait, PATIENCE_S)
            broker = await asyncio.to_thread(brokering.start, KEYTURN_AUDIT_FILE=audit)

    def denied():
        for name, status in (("revoked", 404), ("podded", 401), ("stays", 200)):
            with broker.client(tokens[name]) as client:
                answer = client.get(READ, params=REF, headers={"User-Agent": f"{name}/last"})
            if answer.status_code == 200:
                seen.given[f"{name}/last"] = time.monotonic()
            assert answer.status_code == status, name

    await asyncio.to_thread(eventually_sync, denied)
    for agent, at in seen.given.items():
        name = agent.partition("/")[0]
        assert name not in gone or at - gone[name] < 15.0, agent
    lines = chain_of(audit)
    recorded = {json.loads(line)["actor"].get("userAgent") for line in lines if '"outcome":"allowed"' in line}
    assert len(seen.given) > KILLS * CALLERS
    assert seen.given.keys() <= recorded
    assert list(verify(lines)) == []
    broker.stop()
