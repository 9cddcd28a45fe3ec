"""The chain of audit records: what is missing, altered or moved is found, and nothing else."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.audit import chain_hash
from keyturn.core.audit_chain import ChainEnd, ChainFault, ChainReader, read_record, record_in, verify
from support.audit_records import stream

LINES = stream(6)


def faults(lines, **how):
    return [(each.fault, each.line) for each in verify(lines, **how)]


def altered(line, **members):
    return json.dumps({**json.loads(line), **members}, separators=(",", ":"))


@given(st.integers(0, 30))
def test_a_whole_chain_has_no_finding(number):
    """Else nobody looks at findings."""
    assert faults(stream(number)) == []


def test_newlines_and_other_programs_lines_do_not_count():
    """`kubectl logs` gives the log of the process among the records."""
    mixed = [
        each for line in LINES for each in (f"{line}\r\n", "2030-01-01T00:00:00Z INFO keyturn: text\n", "\n", "{}")
    ]

    assert faults(mixed) == []


def test_what_a_collector_put_before_a_record_does_not_count():
    """`kubectl logs --prefix --timestamps`, and the files of a node."""
    assert faults([f"2030-01-01T00:00:00Z stdout F {line}" for line in LINES]) == []


def test_several_instances_may_be_mixed():
    """One collector has the lines of all replicas."""
    other = stream(6, "broker-2")
    mixed = [each for pair in zip(LINES, other, strict=True) for each in pair]

    assert faults(mixed) == []
    assert faults(mixed[:3] + mixed[4:]) == [(ChainFault.REMOVED, 5)]


@given(st.integers(0, 4), st.integers(1, 5))
def test_removed_lines_are_found(first, number):
    """At the beginning and in the midst. Of the end, nothing is known."""
    left = LINES[:first] + LINES[first + number :]
    expected = [(ChainFault.REMOVED, first + 1)] if first + number < len(LINES) else []

    assert faults(left) == expected


def test_a_finding_says_which_are_missing():
    """Whoever has another copy looks them up."""
    [one] = verify(LINES[:1] + LINES[2:])
    [several] = verify(LINES[:1] + LINES[4:])

    assert one.text == "1 record of broker-1 missing before this line: 2"
    assert several.text == "3 records of broker-1 missing before this line: 2 to 4"
    assert one.instance == "broker-1"


def test_a_file_may_begin_in_the_midst_if_that_is_said():
    """Old files are deleted. Everything behind the beginning still counts."""
    assert faults(LINES[2:]) == [(ChainFault.REMOVED, 1)]
    assert faults(LINES[2:], partial=True) == []
    assert faults(LINES[2:4] + LINES[5:], partial=True) == [(ChainFault.REMOVED, 3)]


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    "members", [{"outcome": "denied"}, {"fields": []}, {"actor": {"type": "unknown"}}, {"target": "x"}], ids=str
)
def test_an_altered_line_is_found(place, members):
    """Whatever of it was altered, by the line behind it."""
    lines = [*LINES]
    lines[place] = altered(lines[place], **members)

    assert faults(lines) == [(ChainFault.ALTERED, place + 1)]


def test_an_altered_place_is_found():
    """Its own members do not save it."""
    renumbered, rehashed, first = [*LINES], [*LINES], [*LINES]
    renumbered[2] = altered(LINES[2], seq=9)
    rehashed[2] = altered(LINES[2], prev="0" * 64)
    first[0] = altered(LINES[0], prev="0" * 64)

    assert (ChainFault.REMOVED, 3) in faults(renumbered)
    assert faults(rehashed) == [(ChainFault.ALTERED, 2), (ChainFault.ALTERED, 3)]
    assert faults(first) == [(ChainFault.ALTERED, 1), (ChainFault.ALTERED, 1)]


@pytest.mark.parametrize(
    "line",
    [
        LINES[2][:-1],
        LINES[2][:60],
        altered(LINES[2], seq="3"),
        altered(LINES[2], seq=True),
        altered(LINES[2], seq=0),
        altered(LINES[2], prev=None),
        altered(LINES[2], prev="x" * 64),
        altered(LINES[2], instance=1),
        LINES[2].replace('"seq"', '"seq":1,"x"'),
        LINES[2].replace('"target":null', '"target":' + "[" * 100_000),
    ],
    ids=range(10),
)
def test_a_line_that_cannot_be_read_is_found_and_missed(line):
    """A cut line, and one that somebody has made up."""
    found = faults([*LINES[:2], line, *LINES[3:]])

    assert found[0][1] == 3
    assert ChainFault.REMOVED in {fault for fault, _ in found} or found[0][0] is ChainFault.REPEATED


def test_a_line_with_another_schema_is_no_record():
    """It is missed in its place."""
    lines = [*LINES]
    lines[2] = lines[2].replace("audit/v1", "other/v1")

    assert faults(lines) == [(ChainFault.REMOVED, 4)]


@pytest.mark.parametrize("place", range(5))
def test_two_lines_that_changed_places_are_found(place):
    """Time in the records alone would not show it: it may be the same."""
    lines = [*LINES]
    lines[place], lines[place + 1] = lines[place + 1], lines[place]

    assert faults(lines) == [(ChainFault.REORDERED, place + 2)]


@given(st.permutations(range(6)))
def test_any_other_order_is_found(order):
    """And nothing but the order: each line is whole, and none is missing."""
    found = {fault for fault, _ in faults([LINES[each] for each in order])}

    assert found == (set() if list(order) == list(range(6)) else {ChainFault.REORDERED})


def test_a_line_that_is_altered_and_moved_is_found_twice():
    """One fault does not hide the other."""
    lines = [LINES[0], LINES[2], altered(LINES[1], action="list"), *LINES[3:]]

    assert faults(lines) == [(ChainFault.REORDERED, 3), (ChainFault.ALTERED, 3)]


def test_a_repeated_line_is_found():
    """Also if it says something else of the same number."""
    assert faults([*LINES[:3], LINES[1], *LINES[3:]]) == [(ChainFault.REPEATED, 4)]
    assert faults([*LINES[:3], altered(LINES[1], action="x"), *LINES[3:]]) == [(ChainFault.REPEATED, 4)]


@given(st.integers(0, 10**6))
def test_whatever_is_done_to_the_midst_is_found(seed):
    """Some lines are removed, altered, repeated or moved; the last stays as it is."""
    chosen = random.Random(seed)
    lines = [*LINES[:-1]]
    for _ in range(chosen.randint(1, 3)):
        place = chosen.randrange(len(lines))
        match chosen.randrange(4):
            case 0 if len(lines) > 1:
                del lines[place]
            case 1:
                lines[place] = altered(lines[place], action=f"x{chosen.random()}")
            case 2:
                lines.insert(place, lines[place])
            case _:
                lines.insert(chosen.randrange(len(lines)), lines.pop(place))
    lines.append(LINES[-1])

    assert (faults(lines) == []) == (lines == LINES)


def test_the_last_record_of_each_instance_is_known():
    """Kept elsewhere, it shows later that the end was cut off."""
    reader = ChainReader()
    for line in [*LINES, *stream(2, "broker-0")]:
        assert list(reader.read(line)) == []

    last = stream(2, "broker-0")[-1]
    assert reader.ends == (
        ChainEnd("broker-0", 2, 2, chain_hash(last)),
        ChainEnd("broker-1", 6, 6, chain_hash(LINES[-1])),
    )


def test_a_huge_number_costs_nothing():
    """A line that somebody has made up must not fill the memory."""
    assert faults([altered(LINES[0], seq=10**15)]) == [(ChainFault.REMOVED, 1)]


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"schema":"x"}', "[" * 100_000])
def test_what_is_no_record_is_none(text):
    """Whoever reads records gets nothing else."""
    assert record_in(text) == ""
    assert read_record(text) is None


def test_a_record_is_read_from_its_line():
    """With its members, as they are."""
    assert read_record(f"prefix {LINES[0]}\n") == json.loads(LINES[0])
