"""Sane tenants beside a hostile one: how long a rotation takes to reach their Secrets, with and without it."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench_measures import quantile
from bench_objects import HOSTILE, KINDS, SANE_ITEM, hostile
from bench_rig import NAMESPACE, Rig, Running, secret_name
from bench_rotations import AT_ONCE, rotate

from keyturn.cluster import KEYTURN_SECRETS, Access, Cluster, Resource

SANE, ENEMIES = 300, 50
ROTATIONS = 300
"""Of Secrets of each kind."""
MORE_LATENCY = 1.2
"""How many times as long a rotation may take beside hostile objects."""
_INTERVAL = 1
_ENEMY_VAULT, _ENEMY_NAMESPACE = "Hostile", "hostile"
_TOUCHED = 5
"""Hostile objects that get another shape each second, beside the rotation of all of them."""
_PATIENCE = 180.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from an edit in 1Password to the Secret, one for each rotation.

    Attributes:
        alone: where there is nobody else.
        beside: beside hostile objects.
    """

    alone: Sequence[float]
    beside: Sequence[float]

    def moved(self, percent: int) -> float:
        """How many times as large a percentile is beside hostile objects."""
        return quantile(self.beside, percent) / quantile(self.alone, percent)


Latencies = Mapping[Resource, Latency]
"""By kind."""


def measure_tenants(*, folder: Path) -> Latencies:
    """Rotate Secrets of both kinds one after the other, alone, and then again beside hostile objects."""
    with Rig.standing(items=SANE, folder=folder, item=SANE_ITEM) as rig:
        rig.connect.create_vault(_ENEMY_VAULT)
        for kind, titles in _sane().items():
            rig.create(kind, NAMESPACE, ((title, KINDS[kind](title, number)) for number, title in enumerate(titles)))
        with rig.operator(interval=_INTERVAL) as running:
            rig.audit.until_created("secrets", SANE, within=_PATIENCE, check=running.check)
            rig.polls(2)
            alone = _rotations(rig, running)
            with _enemies(rig):
                # They are at their worst while they come, but that is not what is promised here.
                rig.polls(5)
                beside = _rotations(rig, running)
        return {kind: Latency(alone[kind], beside[kind]) for kind in KINDS}


def _sane() -> dict[Resource, list[str]]:
    """The titles of the items of each kind: the first of one, the second of the other, and so on."""
    kinds = list(KINDS)
    return {kind: [secret_name(n) for n in range(place, SANE, len(kinds))] for place, kind in enumerate(kinds)}


def _rotations(rig: Rig, running: Running) -> dict[Resource, list[float]]:
    found: dict[Resource, list[float]] = {kind: [] for kind in KINDS}
    titles = itertools.cycle(zip(*_sane().values(), strict=True))
    while len(found[KEYTURN_SECRETS]) < ROTATIONS:
        group = list(itertools.chain.from_iterable(itertools.islice(titles, AT_ONCE // len(KINDS))))
        took = rotate(rig, running, group)
        for place, kind in enumerate(KINDS):
            found[kind] += took[place :: len(KINDS)]
    return found


@contextmanager
def _enemies(rig: Rig) -> Iterator[None]:
    """Hostile objects in a namespace of their own, all rotated each second and some given another shape, for the length of the block."""
    rig.cluster.kubectl("create", "namespace", _ENEMY_NAMESPACE)
    titles = [f"hostile-{number:02d}" for number in range(ENEMIES)]
    for number, title in enumerate(titles):
        rig.connect.create(_ENEMY_VAULT, {"title": title, **HOSTILE[number % len(HOSTILE)][1]()})
    rig.connect.sync()
    bodies = [(title, hostile(_ENEMY_VAULT, title, number)) for number, title in enumerate(titles)]
    rig.create(KEYTURN_SECRETS, _ENEMY_NAMESPACE, bodies)
    ended = threading.Event()
    failures: list[Exception] = []
    attack = threading.Thread(target=_attack, args=(rig, titles, ended.wait, failures.append), daemon=True)
    attack.start()
    try:
        yield
    finally:
        ended.set()
        attack.join()
    for failure in failures:
        # Figures without an attack would look too good.
        raise failure


def _attack(
    rig: Rig, titles: Sequence[str], ended: Callable[[float], bool], failed: Callable[[Exception], None]
) -> None:
    async def attack() -> None:
        async with Cluster.at(await Access.load(kubeconfig=rig.cluster.kubeconfig), pool_size=_TOUCHED) as gateway:
            turns = itertools.cycle(enumerate(titles))
            for second in itertools.count():
                rig.connect.bulk_rotate(_ENEMY_VAULT)
                for number, title in itertools.islice(turns, _TOUCHED):
                    body = hostile(_ENEMY_VAULT, title, number, tag=f"{second}")
                    await gateway.merge_patch(KEYTURN_SECRETS, _ENEMY_NAMESPACE, title, body, field_manager="bench")
                if ended(1.0):
                    return

    try:
        asyncio.run(attack())
    except Exception as error:  # noqa: BLE001 - told to the thread that measures
        failed(error)


def tenants_markdown(latencies: Latencies) -> str:
    """The table."""
    heads = [
        f"Edit to Secret, {SANE} sane objects, p50 / p99 of {ROTATIONS}",
        "alone",
        f"beside {ENEMIES} hostile KeyturnSecrets of another namespace",
        "promised",
    ]
    cells = [
        [
            kind.kind,
            _shown(each.alone),
            f"{_shown(each.beside)} ({' / '.join(f'{100 * (each.moved(p) - 1):+.0f}' for p in (50, 99))} %)",
            "less than 20 % more",
        ]
        for kind, each in latencies.items()
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *cells))


def broken_tenants(latencies: Latencies) -> Iterator[str]:
    """One line for each promise that was broken: a hostile tenant delays nobody else."""
    for kind, each in latencies.items():
        for percent in (50, 99):
            if each.moved(percent) >= MORE_LATENCY:
                yield (
                    f"{kind.kind}: edit to Secret beside hostile objects, p{percent}:"
                    f" {100 * (each.moved(percent) - 1):+.0f} %, promised: less than 20 % more"
                )


def _shown(seconds: Sequence[float]) -> str:
    return f"{' / '.join(f'{quantile(seconds, percent) * 1000:.0f}' for percent in (50, 99))} ms"
