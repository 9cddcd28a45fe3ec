"""What a pass returns, and what its parts return on the way there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from keyturn.cluster import ClusterError
from keyturn.control.restarts.declined import DeclinedRestart


@dataclass(frozen=True, slots=True)
class PassResult:
    """How a pass over one namespace went.

    Attributes:
        progress: a workload was restarted, or a pending-restart annotation removed.
        failed: something must be tried again.
        retry_after: seconds for which the API server asks not to be sent requests.
        held: a restart is due and must not be made now. No watch reports if the workload changes so that it may be made.
    """

    progress: bool = False
    failed: bool = False
    retry_after: float = 0.0
    held: bool = False

    @classmethod
    def failure(cls, error: ClusterError) -> Self:
        """The result of a part that must be tried again."""
        return cls(failed=True, retry_after=error.retry_after or 0.0)

    @classmethod
    def merged(cls, results: Iterable[PassResult]) -> Self:
        """One result for all."""
        parts = list(results)
        return cls(
            progress=any(each.progress for each in parts),
            failed=any(each.failed for each in parts),
            retry_after=max((each.retry_after for each in parts), default=0.0),
            held=any(each.held for each in parts),
        )


@dataclass(frozen=True, slots=True)
class KindResult:
    """What a pass found and did about workloads: one of them, those of one kind, or all.

    Attributes:
        result: how it went.
        left: how many workloads must still restart, by the name of the Secret.
        done: how many have restarted, by the name of the Secret.
        waiting: how many of these wait for their own settings to replace their pods, by the name of the Secret.
        declined: restarts that are switched off.
        complete: every workload was found and judged.
    """

    result: PassResult = PassResult()
    left: Mapping[str, int] = field(default_factory=dict)
    done: Mapping[str, int] = field(default_factory=dict)
    waiting: Mapping[str, int] = field(default_factory=dict)
    declined: tuple[DeclinedRestart, ...] = ()
    complete: bool = True

    @classmethod
    def merged(cls, results: Iterable[KindResult]) -> Self:
        """One result for all: numbers are added, and it is complete if all parts are."""
        parts = list(results)
        return cls(
            PassResult.merged(each.result for each in parts),
            left=sum((Counter(each.left) for each in parts), Counter()),
            done=sum((Counter(each.done) for each in parts), Counter()),
            waiting=sum((Counter(each.waiting) for each in parts), Counter()),
            declined=tuple(each for part in parts for each in part.declined),
            complete=all(each.complete for each in parts),
        )
