"""Counts what an operator asked of the API server, by the server's own audit log."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

USER = "keyturn-bench"
# One line for each request of the operator under measurement, when it is answered, and none for anybody else's.
POLICY = f"""\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - level: Metadata
    users: [{USER}]
  - level: None
"""
_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_POLL_S = 0.02


class TooSlow(Exception):
    """What was waited for did not come in time; the message is one line."""


@dataclass(frozen=True, slots=True)
class Request:
    """One answered request; `at` is when, in seconds since 1970 by the server's clock, which is this machine's."""

    verb: str
    resource: str
    subresource: str
    status: int
    at: float

    @property
    def writes(self) -> bool:
        """Whether it changes something, or tries to."""
        return self.verb in _WRITES


class AuditLog:
    """Reads on from where it stopped.

    Args:
        path: of the log; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new(self) -> list[Request]:
        """The requests since the last call."""
        return list(self._read())

    def until_created(self, resource: str, count: int, *, within: float, check: Callable[[], None]) -> list[Request]:
        """The requests since the last call, as soon as so many objects of a kind were created.

        Args:
            resource: the kind, in the plural.
            count: how many.
            within: seconds.
            check: called while waiting; raises if there is nothing left to wait for.

        Raises:
            TooSlow: there were fewer when the time was up.
        """

        def created(request: Request) -> bool:
            return request.verb == "create" and request.resource == resource and request.status == 201

        return self.until(created, count, within=within, check=check, what=f"{resource} were created")

    def until(
        self,
        counts: Callable[[Request], bool],
        number: int,
        *,
        within: float,
        check: Callable[[], None],
        what: str = "requests were seen",
    ) -> list[Request]:
        """The requests since the last call, as soon as there are so many that count.

        Args:
            counts: tells which.
            number: how many.
            within: seconds.
            check: called while waiting; raises if there is nothing left to wait for.
            what: in words, after the number.

        Raises:
            TooSlow: there were fewer when the time was up.
        """
        deadline = time.monotonic() + within
        seen: list[Request] = []
        while True:
            seen += self._read()
            found = sum(map(counts, seen))
            if found >= number:
                return seen
            check()
            if time.monotonic() > deadline:
                raise TooSlow(f"{found} of {number} {what} within {within:.0f} s")
            # The log is a file, which nothing announces.
            time.sleep(_POLL_S)

    def _read(self) -> Iterator[Request]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                yield _request(json.loads(line))


def _request(event: dict[str, object]) -> Request:
    target = event.get("objectRef") or {}
    answer = event.get("responseStatus") or {}
    assert isinstance(target, dict) and isinstance(answer, dict)  # noqa: PT018 - for the reader
    return Request(
        verb=str(event["verb"]),
        resource=str(target.get("resource", "")),
        subresource=str(target.get("subresource", "")),
        status=int(answer.get("code", 0)),
        at=datetime.fromisoformat(str(event["stageTimestamp"])).timestamp(),
    )
