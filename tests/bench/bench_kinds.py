"""Both kinds side by side: what the same items cost as OnePasswordItems, and in the shape that KeyturnSecrets ask for."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench_audit import Request
from bench_measures import IDLE_INTERVAL, idle, without_later_polls, writes
from bench_objects import KINDS, SANE_ITEM
from bench_rig import Rig, secret_name

from keyturn.cluster import KEYTURN_SECRETS, ONEPASSWORD_ITEMS, Resource

ITEMS = 1000
STARTS = 3
"""Cold starts of each kind, in turn. Their median counts, since one differs from the next by more than a tenth at times."""
MORE_CPU = 1.1
"""How many times the CPU of a OnePasswordItem a KeyturnSecret may cost."""
_PATIENCE = 180.0
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Kind:
    """What N objects of one kind cost.

    Attributes:
        cold_cpu: seconds of CPU from the operator's start until the last status was written; the median of several starts.
        cold_requests: of Connect, without the two of each poll after the first; the most of all starts.
        cold_writes: of the API server; the most of all starts.
        idle_requests: of Connect, per poll.
        idle_cpu_percent: of one core.
        resident: bytes, idle, of an operator that is started where all is well.
    """

    cold_cpu: float
    cold_requests: int
    cold_writes: int
    idle_requests: float
    idle_cpu_percent: float
    resident: int


@dataclass(frozen=True, slots=True)
class _Start:
    cpu: float
    requests: int
    writes: int


Kinds = Mapping[Resource, Kind]
"""What each kind costs."""


def measure_kinds(*, folder: Path) -> Kinds:
    """Start an operator where every object but no Secret is there, several times for each kind, and let it rest."""
    with Rig.standing(items=ITEMS, folder=folder, item=SANE_ITEM) as rig:
        starts: dict[Resource, list[_Start]] = {kind: [] for kind in KINDS}
        for number in range(STARTS):
            for kind, found in starts.items():
                found.append(_start(rig, kind, _namespace(kind, number)))
        return {kind: _kind(rig, kind, found) for kind, found in starts.items()}


def _namespace(kind: Resource, number: int) -> str:
    return f"{kind.plural}-{number}"


def _start(rig: Rig, kind: Resource, namespace: str) -> _Start:
    """A cold start with objects of one kind, which no operator has seen."""
    rig.cluster.kubectl("create", "namespace", namespace)
    rig.create(kind, namespace, ((secret_name(n), KINDS[kind](secret_name(n), n)) for n in range(ITEMS)))

    def writes_status(request: Request) -> bool:
        return request.resource == kind.plural and request.subresource == "status" and request.writes

    rig.audit.new()
    rig.connect.clear_requests()
    with rig.operator(interval=IDLE_INTERVAL, namespace=namespace) as running:
        seen = rig.audit.until(writes_status, ITEMS, within=_PATIENCE, check=running.check)
        cpu = running.cpu_seconds()
        rig.polls(2)
        seen += rig.audit.new()
        return _Start(cpu, without_later_polls(rig.connect.request_counts()), writes(seen))


def _kind(rig: Rig, kind: Resource, starts: Sequence[_Start]) -> Kind:
    with rig.operator(interval=IDLE_INTERVAL, namespace=_namespace(kind, 0)) as running:
        rig.polls(2)
        resident = running.resident_bytes()
        idle_requests, idle_cpu_percent = idle(rig, running)
    return Kind(
        cold_cpu=statistics.median(each.cpu for each in starts),
        cold_requests=max(each.requests for each in starts),
        cold_writes=max(each.writes for each in starts),
        idle_requests=idle_requests,
        idle_cpu_percent=idle_cpu_percent,
        resident=resident,
    )


def kinds_markdown(kinds: Kinds) -> str:
    """The table."""
    plain, shaped = kinds[ONEPASSWORD_ITEMS], kinds[KEYTURN_SECRETS]
    heads = [
        f"N = {ITEMS:,} in one vault",
        "OnePasswordItem",
        "KeyturnSecret of five keys and two templates",
        "promised",
    ]
    cells = [
        [
            "CPU of a cold start, until the last status is written",
            f"{plain.cold_cpu:.2f} s",
            f"{shaped.cold_cpu:.2f} s ({100 * (shaped.cold_cpu / plain.cold_cpu - 1):+.0f} %)",
            "at most 10 % more",
        ],
        ["Connect requests, cold start", f"{plain.cold_requests:,}", f"{shaped.cold_requests:,}", "equal"],
        ["API server writes, cold start", f"{plain.cold_writes:,}", f"{shaped.cold_writes:,}", "equal"],
        ["Connect requests per idle poll", f"{plain.idle_requests:g}", f"{shaped.idle_requests:g}", "2"],
        [
            f"CPU of an idle operator, poll every {IDLE_INTERVAL} s",
            f"{plain.idle_cpu_percent:.2f} %",
            f"{shaped.idle_cpu_percent:.2f} %",
            "",
        ],
        [
            "Resident memory, idle after a restart",
            f"{plain.resident / _MIB:.0f} MiB",
            f"{shaped.resident / _MIB:.0f} MiB",
            "",
        ],
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *cells))


def broken_kinds(kinds: Kinds) -> Iterator[str]:
    """One line for each promise that was broken: a shape costs little CPU, and nothing else."""
    plain, shaped = kinds[ONEPASSWORD_ITEMS], kinds[KEYTURN_SECRETS]
    if shaped.cold_cpu > MORE_CPU * plain.cold_cpu:
        yield (
            f"KeyturnSecret: CPU of a cold start: {shaped.cold_cpu:.2f} s,"
            f" promised: at most 10 % more than {plain.cold_cpu:.2f} s"
        )
    for what, ours, theirs in (
        ("Connect requests, cold start", shaped.cold_requests, plain.cold_requests),
        ("API server writes, cold start", shaped.cold_writes, plain.cold_writes),
    ):
        if ours != theirs:
            yield f"KeyturnSecret: {what}: {ours:,}, promised: as for a OnePasswordItem, {theirs:,}"
    for kind, each in kinds.items():
        if each.idle_requests > 2:
            yield f"{kind.kind}: Connect requests per idle poll: {each.idle_requests:g}, promised: 2"
