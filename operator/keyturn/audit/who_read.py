"""`keyturn who-read ITEM`: everybody who got at an item, or tried to, by the records of the audit."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from keyturn.audit.asked_item import add_cluster_flags, asked_path, look_around
from keyturn.audit.lines import read_lines
from keyturn.audit.usage import WHOLE, Mistake, guarded, new_parser, print_line, print_table, say
from keyturn.base.text import plural, seconds_of
from keyturn.base.time import Time
from keyturn.core.audit_chain import read_record, record_in
from keyturn.core.item_reads import is_about, is_by_ids, joined_to, line_of, time_of

_DESCRIPTION: Final = """\
Print each record of the broker's audit that is about an item: who read it, or tried to, when, from which pod, and by which grant.

ITEM is a path, vaults/<vault>/items/<item>, or a secret reference, op://<vault>/<item>. Records name items by ids alone; the cluster is
asked what a title means, unless vault and item are ids already.
"""
_EPILOG: Final = """\
exit codes:
  0  every line was looked at, also if none is about the item
  2  a mistake in the command, a file that cannot be read, or no object of the cluster knows the title
"""
_NO_TIME: Final = datetime.min.replace(tzinfo=UTC)
_HEAD: Final = ("TIME", "WHO", "POD", "ACTION", "OUTCOME", "FIELDS", "VERSION", "GRANT")


def who_read_parser() -> argparse.ArgumentParser:
    """The flags of `keyturn who-read`."""
    parser = new_parser("who-read", description=_DESCRIPTION, epilog=_EPILOG)
    add_cluster_flags(parser)
    parser.add_argument("--since", metavar="DURATION", default="", help="only records that are no older, such as 24h")
    parser.add_argument(
        "-o", "--output", choices=("table", "json"), default="table", help="json: the records as they are, one per line"
    )
    parser.add_argument("item", metavar="ITEM")
    parser.add_argument("files", metavar="FILE", nargs="*", help="JSON lines; `-`, or no file: standard input")
    return parser


def who_read(arguments: Sequence[str]) -> int:
    """Run the command. Returns the exit code, as its help explains it."""
    return guarded(_who_read, arguments)


def _who_read(arguments: Sequence[str]) -> int:
    flags = who_read_parser().parse_intermixed_args(arguments)
    path = asked_path(flags.item)
    since = _since(flags.since) if flags.since else None
    by_ids = _by_ids(path, flags)
    rows: list[tuple[datetime, tuple[str, ...]]] = []

    def show(text: str, record: Mapping[str, Any]) -> None:
        if flags.output == "json":
            print_line(record_in(text))
        else:
            rows.append((time_of(record) or _NO_TIME, line_of(record)))

    reads = _Reads(by_ids, since, show)
    for line in read_lines(flags.files):
        reads.take(line.text)
    reads.conclude()
    # Each pod of the broker has a stream of its own, and one command reads them one after the other.
    print_table(_HEAD, [row for _, row in sorted(rows)])
    if flags.output == "table" and not rows:
        say(f"none of {plural(reads.records, 'record')} is about this item")
    return WHOLE


class _Reads:
    """Finds the records that are to be shown.

    Args:
        by_ids: paths of the item by ids.
        since: records before that do not count; None for all.
        show: takes a line and the record in it.

    Attributes:
        records: how many were looked at.
    """

    def __init__(
        self, by_ids: Collection[str], since: datetime | None, show: Callable[[str, Mapping[str, Any]], None]
    ) -> None:
        self._by_ids = by_ids
        self._since = since
        self._show = show
        self._recorded: set[str] = set()
        self._joined: list[tuple[str, str]] = []
        self.records = 0

    def take(self, text: str) -> None:
        """Look at a line."""
        record = read_record(text)
        if record is None:
            return
        self.records += 1
        if not is_about(record, self._by_ids):
            return
        self._recorded.add(str(record.get("id")))
        time = time_of(record)
        if self._since is not None and (time is None or time < self._since):
            return
        if identity := joined_to(record):
            self._joined.append((identity, text))
        else:
            self._show(text, record)

    def conclude(self) -> None:
        """Show what a vault has in its log, unless there was a record of it, which says more."""
        for identity, text in self._joined:
            if identity not in self._recorded and (record := read_record(text)) is not None:
                self._show(text, record)


def _since(text: str) -> datetime:
    seconds = seconds_of(text)
    if seconds is None:
        raise Mistake(f"argument --since: {text!r} is no duration, such as 24h or 1h30m")
    try:
        return Time().now() - timedelta(seconds=seconds)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _by_ids(path: str, flags: argparse.Namespace) -> Collection[str]:
    if is_by_ids(path):
        return {path}
    _, ids = look_around(path, flags, with_rbac=False)
    if not ids:
        raise Mistake("no object of the cluster knows an item by this path; name vault and item by their ids")
    return ids
