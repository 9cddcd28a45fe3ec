"""Restarts in numbers: one Secret of many workloads, many Secrets of one each, many Secrets of one workload."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench_audit import Request
from bench_rig import TITLE, VAULT, Rig, Running

INTERVAL = 1
_PATIENCE = 180.0
_KINDS = frozenset({"deployments", "statefulsets", "daemonsets"})
_PASSES = 6
"""Passes at most that one mass rotation may take: gathering ends after five seconds at the latest."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Who uses what.

    Attributes:
        name: of its namespace.
        what: in words.
        secrets: how many rotate at once.
        workloads: how many use them: one each, or all of them.
    """

    name: str
    what: str
    secrets: int
    workloads: int

    def users(self, titles: Sequence[str]) -> dict[str, Sequence[str]]:
        """The Secrets that each workload uses, by its name."""
        shared = self.secrets != self.workloads
        return {f"w{n:04d}": titles if shared else [titles[n]] for n in range(self.workloads)}


SHAPES = (
    Shape("wide", "1 Secret used by 500 Deployments", 1, 500),
    Shape("broad", "500 Secrets, each used by one Deployment", 500, 500),
    Shape("deep", "50 Secrets, all used by one Deployment", 50, 1),
)
ITEMS = sum(shape.secrets for shape in SHAPES)


@dataclass(frozen=True, slots=True)
class FanOut:
    """What a rotation of all Secrets of a shape cost.

    Attributes:
        shape: who uses what.
        restarts: how many were made.
        to_secrets: seconds from the edit in 1Password to the last Secret.
        to_workloads: to the last restart.
        lists: of workloads.
        reads: of the API server, these among them.
        writes: of the API server; Events come later, and not all of them.
    """

    shape: Shape
    restarts: int
    to_secrets: float
    to_workloads: float
    lists: int
    reads: int
    writes: int


def measure_fanouts(*, folder: Path) -> list[FanOut]:
    """Rotate the Secrets of each shape at once, one shape after the other, at a running operator."""
    with Rig.standing(items=ITEMS, folder=folder) as rig, rig.operator(interval=INTERVAL) as running:
        running.until_ready()
        titles = [TITLE.format(n=number) for number in range(ITEMS)]
        mine: dict[Shape, list[str]] = {}
        for shape in SHAPES:
            mine[shape], titles = titles[: shape.secrets], titles[shape.secrets :]
            rig.create_users(shape.name, mine[shape], shape.users(mine[shape]))
        rig.audit.until_created("secrets", ITEMS, within=_PATIENCE, check=running.check)
        rig.polls(2)
        return [_measure(rig, running, shape, mine[shape]) for shape in SHAPES]


def _measure(rig: Rig, running: Running, shape: Shape, titles: Sequence[str]) -> FanOut:
    rig.audit.new()
    began = time.time()
    rig.connect.bulk_rotate(VAULT, titles)
    # A Secret is patched when it changes, and when its restarts are done.
    seen = rig.audit.until(_patches_secret, 2 * shape.secrets, within=_PATIENCE, check=running.check)
    rig.polls(2)
    seen += rig.audit.new()
    secrets = [each.at for each in seen if _patches_secret(each)]
    restarts = [each.at for each in seen if each.resource in _KINDS and each.verb == "patch" and each.status == 200]
    reads = [each for each in seen if each.verb in {"get", "list"}]
    return FanOut(
        shape=shape,
        restarts=len(restarts),
        to_secrets=sorted(secrets)[shape.secrets - 1] - began,
        to_workloads=max(restarts) - began,
        lists=sum(each.verb == "list" and each.resource in _KINDS for each in reads),
        reads=len(reads),
        writes=sum(each.writes and each.resource != "events" for each in seen),
    )


def _patches_secret(request: Request) -> bool:
    return request.resource == "secrets" and request.verb == "patch" and request.status == 200


def fanout_markdown(fanouts: Sequence[FanOut]) -> str:
    """The table."""
    heads = [
        "Rotated at once",
        "restarts",
        "last Secret",
        "last restart",
        "lists of workloads",
        "other reads",
        "writes",
    ]
    cells = [
        [
            each.shape.what,
            f"{each.restarts:,}",
            f"{each.to_secrets:.1f} s",
            f"{each.to_workloads:.1f} s",
            f"{each.lists:,}",
            f"{each.reads - each.lists:,}",
            f"{each.writes:,}",
        ]
        for each in fanouts
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *cells))


def broken_fanouts(fanouts: Sequence[FanOut]) -> Iterator[str]:
    """One line for each promise that was broken: each workload once, and no listing for each Secret."""
    for each in fanouts:
        if each.restarts != each.shape.workloads:
            yield f"{each.shape.what}: {each.restarts:,} restarts, promised: {each.shape.workloads:,}"
        # A pass lists each kind once, and Deployments in pages of 500.
        if each.lists > _PASSES * (len(_KINDS) + 1):
            yield f"{each.shape.what}: {each.lists} lists of workloads, promised: at most {_PASSES * (len(_KINDS) + 1)}"
