"""The history of a run: every state of every Secret and workload, in the order in which the API server made them."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from keyturn.core.names import ITEM_PATH, ITEM_VERSION, LAST_RESTARTED, RESTART_OWED, REVISION


class State(Protocol):
    """One state of an object."""

    @property
    def version(self) -> int:
        """Its resourceVersion, which orders the states of all objects."""


_S = TypeVar("_S", bound=State)


@dataclass(frozen=True)
class SecretState:
    """A Secret as it was.

    Attributes:
        version: its resourceVersion.
        uid: of the Secret.
        data: as the API server has it, in base64.
        revision: that its annotation names.
        item: the path of the item, by ids, that another annotation names.
        item_version: of that item, likewise.
        owes: whether restarts are pending.
        seen_at: when we learned of it, in seconds since 1970.
    """

    version: int
    uid: str
    data: Mapping[str, str] = field(repr=False)
    revision: int
    item: str
    item_version: str
    owes: bool
    seen_at: float

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "SecretState":
        """Read a Secret."""
        metadata = manifest["metadata"]
        annotations = metadata.get("annotations") or {}
        return cls(
            version=int(metadata["resourceVersion"]),
            uid=metadata["uid"],
            data=manifest.get("data") or {},
            revision=int(annotations.get(REVISION, 0)),
            item=annotations.get(ITEM_PATH, ""),
            item_version=annotations.get(ITEM_VERSION, ""),
            owes=RESTART_OWED in annotations,
            seen_at=time.time(),
        )


@dataclass(frozen=True)
class WorkloadState:
    """A workload as it was.

    Attributes:
        version: its resourceVersion.
        uid: of the workload.
        created_at: in seconds since 1970, cut to the second.
        restarted: the annotations that restart it; equal ones mean that it was not restarted in between.
    """

    version: int
    uid: str
    created_at: float
    restarted: tuple[str, str]

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "WorkloadState":
        """Read a workload."""
        metadata = manifest["metadata"]
        annotations = manifest["spec"]["template"]["metadata"].get("annotations") or {}
        return cls(
            version=int(metadata["resourceVersion"]),
            uid=metadata["uid"],
            created_at=datetime.fromisoformat(metadata["creationTimestamp"]).timestamp(),
            restarted=(annotations.get(LAST_RESTARTED, ""), annotations.get(REVISION, "")),
        )

    @property
    def stamps(self) -> dict[str, tuple[str, int]]:
        """Which revision of which Secret its pods have seen: the beginning of the uid and the revision, by name."""
        pairs = (pair.split("=", 1) for pair in self.restarted[1].split(",") if pair)
        return {name: (stamp.rsplit(".", 1)[0], int(stamp.rsplit(".", 1)[1])) for name, stamp in pairs}


class History(Generic[_S]):
    """The states of all objects of one kind.

    Args:
        read: makes a state of a manifest.
    """

    def __init__(self, read: Callable[[Mapping[str, Any]], _S]) -> None:
        self._read = read
        self._states: dict[str, list[_S | None]] = defaultdict(list)

    def note(self, manifest: Mapping[str, Any]) -> None:
        """An object is now like this."""
        states, state = self._states[manifest["metadata"]["name"]], self._read(manifest)
        last = next((each for each in reversed(states) if each is not None), None)
        if last is None or state.version > last.version:
            states.append(state)

    def note_gone(self, name: str) -> None:
        """There is no such object now."""
        if self._states[name] and self._states[name][-1] is not None:
            self._states[name].append(None)

    def present(self) -> set[str]:
        """The names of the objects that are there now."""
        return {name for name, states in self._states.items() if states and states[-1] is not None}

    def names(self) -> list[str]:
        """The names of all objects that ever were there, sorted."""
        return sorted(self._states)

    def of(self, name: str) -> list[_S | None]:
        """All states of an object, the oldest first; None where it was gone."""
        return self._states.get(name, [])
