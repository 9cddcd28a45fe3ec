"""Ten thousand items: what an operator costs that has nothing to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench_measures import IDLE_INTERVAL, idle, settle
from bench_rig import Rig

LARGE = 10_000
MOST_CPU, MOST_MEMORY = 0.3, 220 * 1024 * 1024
_PATIENCE = 900.0


@dataclass(frozen=True, slots=True)
class Large:
    """An idle operator with many items.

    Attributes:
        requests: of Connect, per poll.
        cpu_percent: of one core.
        resident: bytes, of an operator that is started where all is well.
    """

    requests: float
    cpu_percent: float
    resident: int


def measure_large(*, folder: Path) -> Large:
    """Start an operator where every OnePasswordItem is there, let it come to rest, and start it again."""
    with Rig.standing(items=LARGE, folder=folder) as rig:
        rig.create_items()
        with rig.operator(interval=IDLE_INTERVAL) as running:
            rig.audit.until_created("secrets", LARGE, within=_PATIENCE, check=running.check)
            settle(rig, running)
            requests, cpu_percent = idle(rig, running)
        with rig.operator(interval=IDLE_INTERVAL) as running:
            running.until_ready()
            rig.polls(2)
            return Large(requests, cpu_percent, running.resident_bytes())


def large_markdown(large: Large) -> str:
    """The table."""
    lines = [
        [f"{LARGE:,} items, poll every {IDLE_INTERVAL} s", "measured", "promised"],
        ["---"] * 3,
        ["Connect requests per idle poll", f"{large.requests:g}", "2"],
        ["CPU of an idle operator", f"{large.cpu_percent:.2f} % of a core", f"under {MOST_CPU} %"],
        [
            "Resident memory, idle after a restart",
            f"{large.resident / 1024**2:.0f} MiB",
            f"{MOST_MEMORY // 1024**2} MiB",
        ],
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def broken_large(large: Large) -> Iterator[str]:
    """One line for each promise that was broken."""
    if large.requests > 2:
        yield f"Connect requests per idle poll of {LARGE:,} items: {large.requests:g}, promised: 2"
    if large.cpu_percent >= MOST_CPU:
        yield f"CPU of an idle operator with {LARGE:,} items: {large.cpu_percent:.2f} %, promised: under {MOST_CPU} %"
    if large.resident > MOST_MEMORY:
        yield f"memory with {LARGE:,} items: {large.resident / 1024**2:.0f} MiB, promised: {MOST_MEMORY // 1024**2} MiB"
