"""The memory of operators: samples of it, and the rule by which it is flat."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psutil

from support.crew import GONE, Crew
from support.operator import OperatorProcess

_MIB = 1024 * 1024
_EVERY_S = 1.0
_SHARE = 0.10
_BYTES = 8 * _MIB


@dataclass(frozen=True)
class Life:
    """A process while it was the leader.

    Attributes:
        pid: of the process.
        seconds: for how long.
        before: the median of its resident bytes in the second fifth of that time, when it is warm.
        after: the median of the last fifth.
    """

    pid: int
    seconds: float
    before: float
    after: float

    @property
    def flat(self) -> bool:
        """Whether it grew by no more than a tenth, or by no more than 8 MiB."""
        return self.after - self.before <= max(_SHARE * self.before, _BYTES)

    def __str__(self) -> str:
        grown = (self.after - self.before) / _MIB
        return f"{self.before / _MIB:.1f} to {self.after / _MIB:.1f} MiB ({grown:+.1f}) within {self.seconds:.0f} s"


@dataclass(frozen=True)
class Sample:
    """Of one process at one moment.

    Attributes:
        at: seconds of a steady clock.
        pid: of the process.
        resident: bytes.
    """

    at: float
    pid: int
    resident: int


def lives(samples: Iterable[Sample], *, shortest: float) -> list[Life]:
    """What samples of leaders say about each process, without those that led for a shorter time."""
    by_process: dict[int, list[Sample]] = {}
    for each in samples:
        by_process.setdefault(each.pid, []).append(each)
    return [_life(pid, found) for pid, found in by_process.items() if found[-1].at - found[0].at >= shortest]


def _life(pid: int, samples: Sequence[Sample]) -> Life:
    began, seconds = samples[0].at, samples[-1].at - samples[0].at

    def median(first: int, last: int) -> float:
        """Of the fifths from one up to another."""
        low, high = began + seconds * first / 5, began + seconds * last / 5
        return statistics.median(each.resident for each in samples if low <= each.at <= high)

    return Life(pid, seconds, median(1, 2), median(4, 5))


class MemoryMeter:
    """Samples the memory of whichever operator leads.

    Attributes:
        samples: so far.

    Args:
        crew: the operators.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self.samples: list[Sample] = []

    async def run(self) -> None:
        """Sample all until cancelled; each by itself, since a suspended one does not answer."""
        async with asyncio.TaskGroup() as group:
            for operator in self._crew.operators:
                group.create_task(self._sample(operator))

    async def _sample(self, operator: OperatorProcess) -> None:
        while True:
            with contextlib.suppress(*GONE):
                if operator.running() and await asyncio.to_thread(operator.metric, "keyturn_leader") == 1:
                    resident = psutil.Process(operator.pid).memory_info().rss
                    self.samples.append(Sample(time.monotonic(), operator.pid, resident))
            await asyncio.sleep(_EVERY_S)
