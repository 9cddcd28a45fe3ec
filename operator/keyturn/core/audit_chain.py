"""Checks the chain of audit records: finds lines that were removed, altered, moved or repeated.

Each instance of the broker numbers its records from 1, and each record names the hash of the line before. Lines of several instances may
be mixed, and so may lines of other programs. What a chain alone cannot show: lines removed from its end, since nothing names them yet;
the last line altered, for the same reason; and a whole stream made up by somebody who can write one.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from keyturn.base.text import one_line, plural, shorten
from keyturn.core.audit import BEGINNING, SCHEMA, chain_hash

_HEX = frozenset("0123456789abcdef")


class ChainFault(StrEnum):
    """What is wrong with a chain."""

    UNREADABLE = "unreadable"
    REMOVED = "removed"
    ALTERED = "altered"
    REORDERED = "reordered"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class ChainFinding:
    """Something wrong with the chain of one instance.

    Attributes:
        fault: what is wrong.
        line: number of the line where it shows, from 1.
        instance: whose chain it is; empty if the line cannot be read.
        text: a sentence for people.
    """

    fault: ChainFault
    line: int
    instance: str
    text: str


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """The last record of one instance. Whoever keeps it elsewhere sees later that nothing was cut off.

    Attributes:
        instance: whose record it is.
        records: how many there are.
        seq: number of the last one.
        hash: of its line.
    """

    instance: str
    records: int
    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class _Link:
    """What one line says of its place."""

    instance: str
    seq: int
    prev: str
    hash: str
    line: int


@dataclass(slots=True)
class _Chain:
    """One instance's chain as far as it was read.

    Attributes:
        instance: whose it is.
        next: the number that comes next if nothing is missing.
        records: how many were read.
        last: hash of the line with the highest number.
        gaps: numbers that are missing, as sorted pairs of the first one and the one behind the last, with the line that showed it.
        unnamed: records whose follower was not read yet, by number.
        awaited: what records say of their predecessor that was not read yet, by the number of that predecessor.
    """

    instance: str
    next: int = 1
    records: int = 0
    last: str = ""
    gaps: list[tuple[int, int, int]] = field(default_factory=list)
    unnamed: dict[int, _Link] = field(default_factory=dict)
    awaited: dict[int, _Link] = field(default_factory=dict)

    def add(self, link: _Link) -> Iterator[ChainFinding]:
        """Take the next line, and find what is wrong with it."""
        if link.seq >= self.next:
            if link.seq > self.next:
                self.gaps.append((self.next, link.seq, link.line))
            self.next, self.last = link.seq + 1, link.hash
        elif self._fills_gap(link.seq):
            text = f"record {link.seq} of {self.instance} stands behind later ones"
            yield self._finding(ChainFault.REORDERED, link.line, text)
        else:
            text = f"there is another record {link.seq} of {self.instance}"
            yield self._finding(ChainFault.REPEATED, link.line, text)
            return
        self.records += 1
        yield from self._compare(link)

    def missing(self, *, partial: bool) -> Iterator[ChainFinding]:
        """What was missing to the end.

        Args:
            partial: whether the lines may begin in the midst of a stream.
        """
        for first, behind, line in self.gaps:
            if partial and first == 1:
                continue
            number = plural(behind - first, "record")
            which = f"{first}" if behind == first + 1 else f"{first} to {behind - 1}"
            text = f"{number} of {self.instance} missing before this line: {which}"
            yield self._finding(ChainFault.REMOVED, line, text)

    def _fills_gap(self, seq: int) -> bool:
        place = bisect_right(self.gaps, seq, key=lambda gap: gap[0]) - 1
        if place < 0 or seq >= self.gaps[place][1]:
            return False
        first, behind, line = self.gaps[place]
        parts = [(first, seq, line), (seq + 1, behind, line)]
        self.gaps[place : place + 1] = [part for part in parts if part[0] < part[1]]
        return True

    def _compare(self, link: _Link) -> Iterator[ChainFinding]:
        """Compare a line with its neighbours, as far as they were read."""
        before = self.unnamed.pop(link.seq - 1, None)
        if before is not None:
            yield from self._judge(before, link)
        elif link.seq == 1:
            if link.prev:
                text = f"record 1 of {self.instance} names a line before it; the first one has none"
                yield self._finding(ChainFault.ALTERED, link.line, text)
        else:
            self.awaited[link.seq - 1] = link
        after = self.awaited.pop(link.seq, None)
        if after is not None:
            yield from self._judge(link, after)
        else:
            self.unnamed[link.seq] = link

    def _judge(self, before: _Link, after: _Link) -> Iterator[ChainFinding]:
        if before.hash != after.prev:
            text = (
                f"record {before.seq} of {self.instance} was altered, or the hash of it in record {after.seq} "
                f"(line {after.line}) was"
            )
            yield self._finding(ChainFault.ALTERED, before.line, text)

    def _finding(self, fault: ChainFault, line: int, text: str) -> ChainFinding:
        return ChainFinding(fault, line, self.instance, text)


class ChainReader:
    """Reads lines one after the other. Memory grows with the number of instances and of gaps, not with that of lines.

    Args:
        partial: whether the lines may begin in the midst of a stream, as those of a rotated file do.
    """

    def __init__(self, *, partial: bool = False) -> None:
        self._partial = partial
        self._chains: dict[str, _Chain] = {}
        self._line = 0

    @property
    def ends(self) -> tuple[ChainEnd, ...]:
        """The last record of each instance, by its name."""
        chains = sorted(self._chains.items())
        return tuple(ChainEnd(name, chain.records, chain.next - 1, chain.last) for name, chain in chains)

    def read(self, line: str) -> Iterator[ChainFinding]:
        """Find what is wrong with the next line. One that is no record of an audit is passed over."""
        self._line += 1
        if SCHEMA not in line:
            return
        link = _link(record_in(line), self._line)
        if link is None:
            yield ChainFinding(ChainFault.UNREADABLE, self._line, "", "there is a record that cannot be read")
            return
        yield from self._chains.setdefault(link.instance, _Chain(link.instance)).add(link)

    def conclude(self) -> Iterator[ChainFinding]:
        """What was still missing after the last line."""
        for chain in self._chains.values():
            yield from chain.missing(partial=self._partial)


def verify(lines: Iterable[str], *, partial: bool = False) -> Iterator[ChainFinding]:
    """Find what is wrong with the chains of audit records.

    Args:
        lines: in the order in which they stand; their newlines do not count. Lines of other programs are passed over.
        partial: whether they may begin in the midst of a stream.
    """
    reader = ChainReader(partial=partial)
    for line in lines:
        yield from reader.read(line)
    yield from reader.conclude()


def record_in(line: str) -> str:
    """The record in a line, without its newline and without what a collector of logs has put before it; empty if there is none."""
    start = line.find(BEGINNING)
    return line[start:].rstrip("\r\n") if start >= 0 else ""


def read_record(line: str) -> dict[str, Any] | None:
    """The members of the record in a line; None if there is none."""
    try:
        record = json.loads(record_in(line))
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and record.get("schema") == SCHEMA else None


def _link(line: str, number: int) -> _Link | None:
    match read_record(line):
        case {"instance": str(instance), "seq": int(seq), "prev": str(prev)} if _is_place(seq, prev):
            return _Link(one_line(shorten(instance, 253)), seq, prev, chain_hash(line), number)
    return None


def _is_place(seq: int, prev: str) -> bool:
    return seq is not True and seq > 0 and (not prev or (len(prev) == 64 and _HEX.issuperset(prev)))
