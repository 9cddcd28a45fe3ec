"""The ledger: which restarts a history of Secrets owed its workloads, which were made, and which nobody owed."""

import itertools
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from support.soak.history import SecretState, WorkloadState

FOREIGN = b"foreign-"
"""How every value begins that somebody else wrote into a Secret."""

_CUT_S = 2.0
"""The API server cuts creation times to the second, so a workload this much younger than a change may count as older."""


_STATUS_S = 60.0
"""So long after a write, a status may not say yet what the Secret holds. If the Secret is deleted until then, all its keys count."""


@dataclass(frozen=True)
class Change:
    """A change of a Secret's data.

    Attributes:
        secret: its name.
        uid: of the Secret.
        low: its revision before.
        high: its revision after.
        version: the resourceVersion of the first state that has it.
        seen_at: when we learned of it.
        owed: keys whose values differ from what the operator wrote before. Who uses one must restart.
        allowed: these, and keys that may have differed in between, by an edit of others. Who uses one may restart.
    """

    secret: str
    uid: str
    low: int
    high: int
    version: int
    seen_at: float
    owed: frozenset[str]
    allowed: frozenset[str]


@dataclass
class Ledger:
    """What became of all restarts.

    Attributes:
        owed: changes of Secrets times workloads that use them; one restart may serve several.
        made: restarts.
        lost: owed, and not served by any restart.
        double: restarts of a workload that had been restarted before, and that nobody owed it.
        needless: the same of a workload that had not.
        wrong: which, in words.
    """

    owed: int = 0
    made: int = 0
    lost: int = 0
    double: int = 0
    needless: int = 0
    wrong: list[str] = field(default_factory=list)

    def judge(
        self,
        name: str,
        states: Sequence[WorkloadState | None],
        uses: Mapping[str, Iterable[str]],
        changes: Mapping[str, Sequence[Change]],
    ) -> None:
        """Enter one workload.

        Args:
            name: in words.
            states: all of them, the oldest first.
            uses: keys by Secret.
            changes: by Secret.
        """
        relevant = [(change, frozenset(keys)) for secret, keys in uses.items() for change in changes.get(secret, ())]
        lives = list(_lives(states))
        for number, life in enumerate(lives):
            alive = number == len(lives) - 1 and states[-1] is not None
            self._judge_life(name, life, relevant, alive=alive)

    def _judge_life(
        self,
        name: str,
        life: Sequence[WorkloadState],
        relevant: Sequence[tuple[Change, frozenset[str]]],
        *,
        alive: bool,
    ) -> None:
        restarts = [
            (before, after) for before, after in itertools.pairwise(life) if before.restarted != after.restarted
        ]
        self.made += len(restarts)
        young = life[0].created_at - _CUT_S
        allowed = [change for change, used in relevant if change.allowed & used and change.seen_at > young]
        for number, (before, after) in enumerate(restarts):
            if any(_served(change, before, after) for change in allowed):
                continue
            if number:
                self.double += 1
            else:
                self.needless += 1
            self.wrong.append(
                f"{name}: restart {number + 1} at {after.version}, from {before.restarted} to {after.restarted}, "
                "brought nothing new"
            )
        if not alive:
            return
        for change, used in relevant:
            if not change.owed & used or change.version < life[0].version:
                continue
            self.owed += 1
            if not any(after.version > change.version or _carries(change, after) for _, after in restarts):
                self.lost += 1
                self.wrong.append(f"{name}: no restart for {change}")


def changes_of(
    name: str, states: Sequence[SecretState | None], *, keys: Iterable[str], everything: Iterable[str]
) -> list[Change]:
    """The changes of one Secret.

    Args:
        name: of the Secret.
        states: all of them, the oldest first; None where it was gone.
        keys: that it has while nobody else edits it.
        everything: keys that workloads may use.
    """
    found: list[Change] = []
    ours: SecretState | None = None
    before: SecretState | None = None
    pending: frozenset[str] = frozenset()
    written_at = 0.0
    for state in states:
        if state is None:
            continue
        if is_foreign(state, keys):
            before = state
            continue
        if ours is not None:
            owed, low = _differing(ours, state), ours.revision
            allowed = owed
            if state.uid != ours.uid:
                # Restarts that were pending are so for the Secret that replaces this one: who had one gets another.
                allowed, low = allowed | pending, 0
                # It may hold anything that its users do not know, unless it is of the same version of the item.
                known = state.item_version == ours.item_version and state.seen_at - written_at > _STATUS_S
                allowed |= frozenset() if known else frozenset(everything)
            elif before is not None and state.revision > ours.revision:
                allowed |= _differing(before, state)
            if state.item != ours.item:
                # Whoever asked for the other item is gone, with all that used it.
                owed, allowed = frozenset(), frozenset(everything)
            if allowed:
                change = Change(
                    name,
                    state.uid,
                    low=low,
                    high=state.revision,
                    version=state.version,
                    seen_at=state.seen_at,
                    owed=owed,
                    allowed=allowed,
                )
                found.append(change)
            pending = (pending | allowed) if state.owes else frozenset()
        if ours is None or (ours.uid, ours.item_version) != (state.uid, state.item_version):
            written_at = state.seen_at
        ours = before = state
    return found


def is_foreign(state: SecretState, keys: Iterable[str]) -> bool:
    """Whether a Secret is as somebody else has edited it."""
    return state.data.keys() != set(keys) or any(b64decode(each).startswith(FOREIGN) for each in state.data.values())


def _differing(one: SecretState, other: SecretState) -> frozenset[str]:
    return frozenset(key for key in one.data.keys() | other.data.keys() if one.data.get(key) != other.data.get(key))


def _served(change: Change, before: WorkloadState, after: WorkloadState) -> bool:
    """Whether a restart brought a change that the workload's pods had not seen."""
    uid, revision = after.stamps.get(change.secret, ("", 0))
    if not change.uid.startswith(uid) or not uid:
        return False
    old_uid, old = before.stamps.get(change.secret, ("", 0))
    seen = old if old_uid == uid else 0
    return seen < change.high and revision > change.low and revision > seen


def _carries(change: Change, state: WorkloadState) -> bool:
    uid, revision = state.stamps.get(change.secret, ("", 0))
    return bool(uid) and change.uid.startswith(uid) and revision >= change.high


def _lives(states: Sequence[WorkloadState | None]) -> Iterator[list[WorkloadState]]:
    """The states of each object that had the name, one after the other."""
    life: list[WorkloadState] = []
    for state in states:
        if life and (state is None or state.uid != life[-1].uid):
            yield life
            life = []
        if state is not None:
            life.append(state)
    if life:
        yield life
