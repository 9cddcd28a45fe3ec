"""Notes the moment at which objects change: one watch of the API server per kind, read by a thread."""

import contextlib
import http.client
import json
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from demo.signs import Manifest, Sign
from localcluster import LocalCluster

_CHECK_S = 0.25


class NotSeen(Exception):
    """What was waited for did not happen in time."""


class Watch:
    """A watch that has begun when the `with` block does, so that no event is missed and each is timed when it comes.

    Args:
        cluster: whose API server to watch, as its administrator.
        path: of a collection, such as `/api/v1/namespaces/default/secrets`.
        check: called now and then while waiting; raises if there is nothing left to wait for.
    """

    def __init__(self, cluster: LocalCluster, path: str, *, check: Callable[[], None]) -> None:
        self.path = path
        self._check = check
        authority = cluster.certificates
        tls = ssl.create_default_context(cafile=str(authority.files.certificate))
        tls.load_cert_chain(authority.folder / "admin.crt", authority.folder / "admin.key")
        self._connection = http.client.HTTPSConnection(urlsplit(cluster.server).netloc, context=tls, timeout=30)
        self._events: queue.Queue[tuple[float, str, Manifest]] = queue.Queue()

    def __enter__(self) -> Self:
        self._connection.request("GET", f"{self.path}?watch=1&timeoutSeconds=300")
        answer = self._connection.getresponse()
        if answer.status != 200:
            raise NotSeen(f"{self.path} cannot be watched: the API server answers {answer.status}")
        self._connection.sock.settimeout(None)
        self._reader = threading.Thread(target=self._read, args=(answer,), daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            # Closing alone would leave the thread asleep in its read.
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._connection.close()
        self._reader.join(5)

    def until(self, seen: Sign, *, what: str, timeout: float = 60.0) -> float:
        """Wait for an event. Returns the moment it came, on the monotonic clock.

        Raises:
            NotSeen: it did not come in time; `what` says what that would have been.
        """
        return self.until_all([seen], what=what, timeout=timeout)[0]

    def until_all(self, wanted: Sequence[Sign], *, what: str, timeout: float = 60.0) -> list[float]:
        """Wait for several events, in whatever order they come. Returns the moment of each.

        Raises:
            NotSeen: not all came in time; `what` says what they would have been.
        """
        moments: dict[int, float] = {}
        deadline = time.monotonic() + timeout
        while len(moments) < len(wanted):
            self._check()
            if time.monotonic() > deadline:
                raise NotSeen(f"{what}: {len(moments)} of {len(wanted)} within {timeout:.0f} s")
            with contextlib.suppress(queue.Empty):
                moment, kind, manifest = self._events.get(timeout=_CHECK_S)
                for place, seen in enumerate(wanted):
                    if place not in moments and seen(kind, manifest):
                        moments[place] = moment
        return [moments[place] for place in range(len(wanted))]

    def _read(self, answer: http.client.HTTPResponse) -> None:
        try:
            for line in answer:
                moment = time.monotonic()
                event = json.loads(line)
                self._events.put((moment, event["type"], event["object"]))
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            # The connection was closed under our hands: the block is over, or `until` will say that nothing comes.
            return
