"""`keyturn audit verify`: checks that no line of an audit is missing, altered or moved."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from keyturn.audit.lines import read_lines
from keyturn.audit.usage import NOT_WHOLE, WHOLE, Mistake, guarded, new_parser, print_line
from keyturn.base.text import plural
from keyturn.core.audit_chain import ChainFinding, ChainReader

_DESCRIPTION: Final = """\
Check that no record of the broker's audit was removed, altered, moved or repeated. It asks no cluster and no vault.

Lines of several instances of the broker may be mixed, and so may lines of other programs. Give rotated files in the order in which they
were written. A chain does not show that its end was cut off: compare the last records, which are printed, with those of an earlier run.
"""
_EPILOG: Final = """\
exit codes:
  0  every chain is whole
  1  something is wrong with a chain; each finding is one line on standard output
  2  a mistake in the command, a file that cannot be read, or no record at all
"""


def verify_parser() -> argparse.ArgumentParser:
    """The flags of `keyturn audit verify`."""
    parser = new_parser("audit verify", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "--partial",
        action="store_true",
        help="the lines may begin in the midst of a stream, because older files are not given",
    )
    parser.add_argument("files", metavar="FILE", nargs="*", help="JSON lines; `-`, or no file: standard input")
    return parser


def verify_audit(arguments: Sequence[str]) -> int:
    """Run the command. Returns the exit code, as its help explains it."""
    return guarded(_verify, arguments)


def _verify(arguments: Sequence[str]) -> int:
    flags = verify_parser().parse_args(arguments)
    reader = ChainReader(partial=flags.partial)
    # Where each of the lines stands that a finding may still name.
    places: list[tuple[str, int, int]] = []
    read = found = 0
    for line in read_lines(flags.files):
        read += 1
        if not places or places[-1][0] != line.file:
            places.append((line.file, line.number, read))
        for finding in reader.read(line.text):
            found += 1
            _print(finding, places)
    for finding in reader.conclude():
        found += 1
        _print(finding, places)
    ends = reader.ends
    if not ends and not found:
        raise Mistake(f"there is no audit record in {plural(read, 'line')}")
    for end in ends:
        print_line(f"{end.instance}: {plural(end.records, 'record')}, the last is {end.seq} with hash {end.hash}")
    print_line(f"{plural(found, 'finding')}" if found else "every chain is whole")
    return NOT_WHOLE if found else WHOLE


def _print(finding: ChainFinding, places: Sequence[tuple[str, int, int]]) -> None:
    file, first, read = next(place for place in reversed(places) if place[2] <= finding.line)
    print_line(f"{file}:{first + finding.line - read}: {finding.fault}: {finding.text}")
