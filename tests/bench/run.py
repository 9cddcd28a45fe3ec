"""`make bench`: measures what the README promises, prints one table, and fails where a promise is broken."""

import argparse
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from bench_audit import TooSlow
from bench_connections import broken_connections, connections_markdown, measure_connections
from bench_fanout import ITEMS, broken_fanouts, fanout_markdown, measure_fanouts
from bench_kinds import broken_kinds, kinds_markdown, measure_kinds
from bench_large import LARGE, broken_large, large_markdown, measure_large
from bench_measures import ROTATIONS, measure_flowing, measure_steady
from bench_reads import RATE, broken_reads, measure_reads, reads_markdown
from bench_report import Result, broken, markdown
from bench_tenants import broken_tenants, measure_tenants, tenants_markdown

from demo.programs import ProgramFailed
from demo.readme import NoPlace, put_between
from demo.watching import NotSeen
from localcluster import ClusterSetupError
from localcluster.binaries import ensure_binaries, kubernetes_version

BEGIN, END = "<!-- bench: written by `make bench UPDATE=1` -->", "<!-- bench: end -->"
SIZES = (300, 1000)
BUSY_PERCENT = 10.0
"""Load by others above which times and CPU figures mean little."""


class TooBusy(Exception):
    """The machine is too busy for figures that shall be published."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some tables of one part of the benchmark, and what is wrong with their figures.

    Attributes:
        table: as it stands in the README.
        broken: one line for each broken promise.
        busy: how much of the machine others used meanwhile, in percent, if that was measured.
    """

    table: str
    broken: Sequence[str]
    busy: float = 0.0


def main() -> int:
    """Measure; return the exit status: 1 if a promise is broken, 2 if it could not be measured."""
    parser = argparse.ArgumentParser(prog="python tests/bench/run.py", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; everything if none is named")
    parser.add_argument("--update-readme", action="store_true", help="put the tables into README.md")
    given = parser.parse_args()
    if unknown := set(given.parts).difference(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if given.parts and given.update_readme:
        parser.error("the README needs all parts")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        ensure_binaries()
        return _bench(given.parts or list(PARTS), update=given.update_readme)
    except (ClusterSetupError, NoPlace, NotSeen, ProgramFailed, TooBusy, TooSlow) as error:
        _say(f"bench: {error}")
        return 2
    except KeyboardInterrupt:
        _say("bench: interrupted")
        return 130


def _bench(names: Sequence[str], *, update: bool) -> int:
    began = time.monotonic()
    if (busy := _busy()) > BUSY_PERCENT:
        _say(f"Other processes use {busy:.0f} % of this machine: times and CPU figures mean little.")
    with tempfile.TemporaryDirectory(prefix="keyturn-bench-") as folder:
        parts = [PARTS[name](Path(folder)) for name in names]
    busy = max(busy, *(part.busy for part in parts))
    table = "\n\n".join([*(part.table for part in parts), _conditions(busy)])
    _say(f"Measured in {time.monotonic() - began:.0f} s.")
    sys.stdout.write(f"\n{table}\n")
    if failures := [failure for part in parts for failure in part.broken]:
        sys.stdout.write("\nBroken promises:\n" + "".join(f"- {failure}\n" for failure in failures))
        return 1
    if update and busy > BUSY_PERCENT:
        raise TooBusy(
            f"others used {busy:.0f} % of this machine, so the README stays as it is: try again when it is quiet"
        )
    if update:
        put_between(BEGIN, END, table)
        _say("README.md has the new table.")
    return 0


def _items(folder: Path) -> Part:
    results = [_measure(items, folder) for items in SIZES]
    busy = max(load for each in results for load in (each.steady.others_percent, each.flowing.others_percent))
    return Part(markdown(results), list(broken(results)), busy)


def _restarts(folder: Path) -> Part:
    _say(f"Mass rotations of {ITEMS:,} Secrets, in three shapes")
    fanouts = measure_fanouts(folder=folder)
    return Part(fanout_markdown(fanouts), list(broken_fanouts(fanouts)))


def _shapes(folder: Path) -> Part:
    _say("OnePasswordItems and KeyturnSecrets: cold starts in turn, and an idle operator")
    kinds = measure_kinds(folder=folder)
    return Part(kinds_markdown(kinds), list(broken_kinds(kinds)))


def _tenants(folder: Path) -> Part:
    _say("Rotations of sane Secrets, alone and beside hostile objects")
    latencies = measure_tenants(folder=folder)
    return Part(tenants_markdown(latencies), list(broken_tenants(latencies)))


def _large(folder: Path) -> Part:
    _say(f"{LARGE:,} items: a cold start, half a minute of rest, a restart")
    large = measure_large(folder=folder)
    return Part(large_markdown(large), list(broken_large(large)))


def _connections(folder: Path) -> Part:
    _say("Rotations through a healthy connection, alone and beside sick ones; then a thousand connections")
    measured = measure_connections(folder=folder)
    return Part(connections_markdown(measured), list(broken_connections(measured)))


def _broker(folder: Path) -> Part:
    _say(f"Reads through the broker: in turn, and {RATE} a second for a minute")
    reads = measure_reads(folder=folder)
    return Part(reads_markdown(reads), list(broken_reads(reads)))


PARTS: Mapping[str, Callable[[Path], Part]] = {
    "items": _items,
    "restarts": _restarts,
    "shapes": _shapes,
    "tenants": _tenants,
    "connections": _connections,
    "broker": _broker,
    "large": _large,
}


def _busy() -> float:
    """How much of the machine others use, in percent; asked while nothing of ours runs."""
    # The median: what has just ended may still be cleared away in the first second.
    return statistics.median(psutil.cpu_percent(interval=1.0) for _ in range(5))


def _measure(items: int, folder: Path) -> Result:
    _say(f"N = {items:,}: a cold start, half a minute of rest, 5,000 foreign Secrets, a restart")
    steady = measure_steady(items, folder=folder)
    _say(f"N = {items:,}: kubectl apply at a running operator, {ROTATIONS} rotations")
    return Result(items, steady, measure_flowing(items, folder=folder))


def _conditions(busy: float) -> str:
    """What the figures hold for."""
    today = time.strftime("%Y-%m-%d")
    return (
        f"Measured {today} by `make bench`: {os.cpu_count()} cores of {_processor()}, shared by the operator, "
        f"Kubernetes {kubernetes_version()} (etcd, API server, controllers) and the Connect emulator, which learns of an edit "
        f"after 0.3 s; Python {platform.python_version()}; other processes used at most {busy:.0f} % of the machine. API writes are "
        "counted in the API server's audit log, Connect requests by the emulator."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


if __name__ == "__main__":
    sys.exit(main())
