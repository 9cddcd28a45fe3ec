"""The audit of a process: in order, chained, out before anything is answered, and never in the way for long."""

import asyncio
import json
import logging
import os
from dataclasses import replace

import pytest

from keyturn.broker.audit_log import LONGEST_AUDIT_WAIT_S, AuditLog, AuditResult
from keyturn.broker.errors import AuditUnavailable
from keyturn.core.audit_chain import verify
from keyturn.observe.chained_lines import instance_name
from support.audit_records import RECORD, UNKNOWN
from support.fake_time import FakeTime


@pytest.fixture
def time():
    return FakeTime()


@pytest.fixture
def counted():
    return []


@pytest.fixture
def audit_of(time, counted):
    """Opens an audit of a path; closes it in the end."""
    opened = []

    def open_it(target, instance="broker-1"):
        opened.append(AuditLog(str(target), instance=instance, time=time, count=counted.append))
        return opened[-1]

    yield open_it
    for each in opened:
        each.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.jsonl"


def lines_of(path):
    return path.read_text().splitlines()


def numbers(lines):
    return [json.loads(line)["durationMs"] for line in lines]


async def test_a_record_is_in_the_file_when_the_write_returns(audit_of, path, counted):
    """What is answered afterwards is on the record, even if the process dies at once."""
    await audit_of(path).write(RECORD)

    [line] = lines_of(path)
    assert json.loads(line)["seq"] == 1
    assert json.loads(line)["prev"] == ""
    assert counted == [AuditResult.WRITTEN]


async def test_many_writers_at_once_make_one_chain(audit_of, path):
    """In the order in which they came."""
    audit = audit_of(path)
    await asyncio.gather(*(audit.write(replace(RECORD, duration_ms=each)) for each in range(200)))

    assert numbers(lines_of(path)) == list(range(200))
    assert list(verify(lines_of(path))) == []


async def test_two_runs_in_one_file_are_two_chains(audit_of, path):
    """A pod that starts again keeps its name, and knows nothing of its last record."""
    for random in (b"\1\2", b"\3\4"):
        audit = audit_of(path, instance_name("broker-7d9-x2", random))
        await audit.write(RECORD)
        await audit.write(RECORD)
        audit.close()

    assert list(verify(lines_of(path))) == []
    assert [json.loads(line)["instance"] for line in lines_of(path)][::2] == [
        "broker-7d9-x2.0102",
        "broker-7d9-x2.0304",
    ]


async def test_without_a_record_there_is_no_answer(audit_of, path, counted, caplog):
    """And once it can be written again, everything goes on, without a gap."""
    caplog.set_level(logging.INFO)
    audit = audit_of(path.parent / "later" / "audit.jsonl")
    for _ in range(3):
        with pytest.raises(AuditUnavailable):
            await audit.write(RECORD)
    assert audit.problem == "No such file or directory"
    (path.parent / "later").mkdir()
    await audit.write(RECORD)
    await audit.write(RECORD)

    assert audit.problem == ""
    assert counted == [*[AuditResult.FAILED] * 3, *[AuditResult.WRITTEN] * 2]
    assert list(verify(lines_of(path.parent / "later" / "audit.jsonl"))) == []
    first, last = caplog.messages
    assert first.startswith("cannot write audit records to ")
    assert first.endswith("so nothing is answered: No such file or directory")
    assert last.startswith("audit records are written again")


def test_a_mistake_shows_at_the_start(audit_of, path):
    """Before the first read."""
    audit_of(path).check()
    with pytest.raises(AuditUnavailable):
        audit_of("/nowhere/audit.jsonl").check()


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    os.close(reader)


async def fill(audit, record=RECORD):
    """Write until the FIFO takes no more. Returns how many records it took."""
    number = 0
    while True:
        try:
            await audit.write(record)
        except AuditUnavailable:
            return number
        number += 1


async def test_a_reader_that_stands_still_is_waited_for_once(audit_of, fifo, time):
    """Every further record fails at once, until the reader goes on."""
    path, reader = fifo
    audit = audit_of(path)
    before = time.monotonic()
    number = await fill(audit)
    assert time.monotonic() - before == pytest.approx(LONGEST_AUDIT_WAIT_S, abs=0.02)
    with pytest.raises(AuditUnavailable):
        await audit.write(RECORD)
    assert time.monotonic() - before == pytest.approx(LONGEST_AUDIT_WAIT_S, abs=0.02)
    assert audit.problem == "its reader does not go on"

    lines = os.read(reader, 1 << 20).decode().splitlines()
    await audit.write(RECORD)
    lines += os.read(reader, 1 << 20).decode().splitlines()
    assert len(lines) == number + 1
    assert list(verify(lines)) == []


async def test_a_slow_reader_is_waited_for(audit_of, fifo, time):
    """A collector that was busy for a moment costs nobody an answer."""
    path, reader = fifo
    audit = audit_of(path)
    number = await fill(audit)
    lines = os.read(reader, 1 << 20).decode().splitlines()
    await audit.write(RECORD)
    while len(lines) < number + 1:
        lines += os.read(reader, 1 << 20).decode().splitlines()
    time.call_later(0.5, lambda: lines.extend(os.read(reader, 1 << 20).decode().splitlines()))

    for _ in range(number + 1):
        await audit.write(RECORD)
    lines += os.read(reader, 1 << 20).decode().splitlines()
    assert len(lines) == 2 * number + 2
    assert list(verify(lines)) == []


async def test_a_caller_that_goes_while_its_record_waits_leaves_a_whole_chain(audit_of, fifo, time):
    """Its connection breaks, and its task is cancelled."""
    path, reader = fifo
    audit = audit_of(path)
    number = await fill(audit)
    lines = os.read(reader, 1 << 20).decode().splitlines()
    await audit.write(RECORD)
    while True:
        task = asyncio.create_task(audit.write(RECORD))
        await asyncio.sleep(0)
        if not task.done():
            break
        number += 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    lines += os.read(reader, 1 << 20).decode().splitlines()
    await audit.write(RECORD)
    lines += os.read(reader, 1 << 20).decode().splitlines()

    assert list(verify(lines)) == []
    assert len(lines) == number + 2


async def test_a_long_record_that_is_out_in_part_is_finished_first(audit_of, fifo):
    """A pipe keeps what it has. The record stands in the chain, although nothing was answered."""
    path, reader = fifo
    audit = audit_of(path)
    long = replace(RECORD, fields=tuple("ä" * 200 + str(each) for each in range(20)))
    number = await fill(audit, long)
    text = os.read(reader, 1 << 20).decode()
    assert not text.endswith("\n")
    await audit.write(RECORD)
    text += os.read(reader, 1 << 20).decode()

    assert len(text.splitlines()) == number + 2
    assert list(verify(text.splitlines())) == []


async def test_denials_of_unknown_callers_are_sampled(audit_of, path, time, counted):
    """Whoever has no identity must not fill the disk. Others' denials are all written."""
    audit = audit_of(path)
    for _ in range(5):
        await audit.write(UNKNOWN)
    time.advance(10)
    await audit.write(UNKNOWN)
    await audit.write(replace(UNKNOWN, caller=RECORD.caller))
    await audit.write(replace(UNKNOWN, caller=RECORD.caller))

    records = [json.loads(line) for line in lines_of(path)]
    assert [each.get("repeated", 0) for each in records] == [0, 4, 0, 0]
    assert counted.count(AuditResult.LEFT_OUT) == 4
    assert list(verify(lines_of(path))) == []
