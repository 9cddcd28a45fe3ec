"""What was measured as one table, what was promised, and which promises are broken."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench_measures import (
    FOREIGN,
    FOREIGN_SIZE,
    IDLE_INTERVAL,
    ROTATION_INTERVAL,
    ROTATIONS,
    UNRELATED,
    Flowing,
    Steady,
    quantile,
)

OFFICIAL = "1Password's operator, measured by us, version 1.12.0"
_NOT_MEASURED = "not measured"
_MIB = 1024 * 1024
_MEMORY_MARGIN = 4 * _MIB
"""What a process of this size gains or loses from run to run without any reason."""


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that was measured with one number of items."""

    items: int
    steady: Steady
    flowing: Flowing


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        what: was measured.
        official: what 1Password's operator needed.
        shown: our figure, as it is shown.
        promise: in words; empty if nothing is promised.
        kept: whether a result keeps it.
    """

    what: str
    official: str
    shown: Callable[[Result], str]
    promise: str = ""
    kept: Callable[[Result], bool] = lambda _: True


def rows() -> list[Row]:
    """All lines, in the order of the table."""
    return [
        Row(
            "Connect requests, cold start, N items by title in one vault",
            "8 N",
            lambda r: f"{r.steady.cold_requests:,}",
            "at most N + 5",
            lambda r: r.steady.cold_requests <= r.items + 5,
        ),
        Row(
            "Connect requests per idle poll",
            "4 N",
            lambda r: f"{r.steady.idle_requests:g}",
            "2",
            lambda r: r.steady.idle_requests <= 2,
        ),
        Row(
            "API server writes for N new objects",
            "4 N",
            lambda r: f"{max(r.steady.cold_writes, r.flowing.apply_writes):,}",
            "at most 2 N",
            lambda r: max(r.steady.cold_writes, r.flowing.apply_writes) <= 2 * r.items,
        ),
        Row(
            "API server writes, idle",
            "0",
            lambda r: f"{r.steady.idle_writes:,}",
            "0",
            lambda r: r.steady.idle_writes == 0,
        ),
        Row(
            "API server writes of a restart where all is well",
            _NOT_MEASURED,
            lambda r: f"{r.steady.restart_writes:,}",
            "0",
            lambda r: r.steady.restart_writes == 0,
        ),
        Row(
            f"CPU of an idle operator, poll every {IDLE_INTERVAL} s",
            "8.4 % of a core (N = 300)",
            lambda r: f"{r.steady.idle_cpu_percent:.2f} %",
            "under 0.15 % (N = 300)",
            lambda r: r.items > 300 or r.steady.idle_cpu_percent < 0.15,
        ),
        Row(
            "All Secrets made, from the operator's start",
            "6.6 s (N = 300)",
            lambda r: f"{r.steady.cold_seconds:.1f} s",
            "at most 6.6 s (N = 300)",
            lambda r: r.items > 300 or r.steady.cold_seconds <= 6.6,
        ),
        Row(
            "All Secrets made, from the start of `kubectl apply` (kubectl alone)",
            _NOT_MEASURED,
            lambda r: f"{r.flowing.apply_seconds:.1f} s ({r.flowing.kubectl_seconds:.1f} s)",
        ),
        Row("Resident memory, idle after a restart", _NOT_MEASURED, lambda r: _mib(r.steady.resident)),
        Row(
            f"the same beside {FOREIGN:,} foreign Secrets of {FOREIGN_SIZE // 1000} kB",
            _NOT_MEASURED,
            lambda r: _mib(r.steady.resident_foreign),
            "the same, give or take 4 MiB",
            lambda r: r.steady.resident_foreign <= r.steady.resident + _MEMORY_MARGIN,
        ),
        Row(
            f"the same beside {UNRELATED:,} Deployments that ask for nothing, too",
            _NOT_MEASURED,
            lambda r: _mib(r.steady.resident_unrelated),
            "less than 15 MiB more",
            lambda r: r.steady.resident_unrelated < r.steady.resident + 15 * _MIB,
        ),
        Row(
            f"CPU idle beside both, poll every {IDLE_INTERVAL} s",
            _NOT_MEASURED,
            lambda r: f"{r.steady.unrelated_cpu_percent:.2f} %",
            "less than 1 % more",
            lambda r: r.steady.unrelated_cpu_percent < r.steady.idle_cpu_percent + 1,
        ),
        Row(
            f"Edit in 1Password to Secret, poll every {ROTATION_INTERVAL} s, p50 / p95 / p99 of {ROTATIONS}",
            _NOT_MEASURED,
            lambda r: _quantiles(r.flowing.to_secret),
        ),
        Row(
            "of that, from the listing that showed the edit",
            _NOT_MEASURED,
            lambda r: _quantiles(r.flowing.from_listing),
        ),
        Row(
            "Edit in 1Password to restarted Deployment",
            _NOT_MEASURED,
            lambda r: _quantiles(r.flowing.to_deployment),
        ),
    ]


def markdown(results: list[Result]) -> str:
    """The table."""
    heads = ["", OFFICIAL, *(f"Keyturn, N = {result.items:,}" for result in results), "promised"]
    lines = [_line(heads), _line(["---"] * len(heads))]
    lines += [_line([row.what, row.official, *map(row.shown, results), row.promise]) for row in rows()]
    return "\n".join(lines)


def broken(results: list[Result]) -> Iterator[str]:
    """One line for each promise that a result breaks."""
    for row in rows():
        for result in results:
            if not row.kept(result):
                yield f"N = {result.items:,}: {row.what}: {row.shown(result)}, promised: {row.promise}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _mib(size: int) -> str:
    return f"{size / _MIB:.0f} MiB"


def _quantiles(seconds: Sequence[float]) -> str:
    return f"{' / '.join(f'{quantile(seconds, percent) * 1000:.0f}' for percent in (50, 95, 99))} ms"
