"""Parses the stream of a watch: bytes into lines, lines into events."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from keyturn.base.errors import translated
from keyturn.cluster.errors import Unavailable, from_status
from keyturn.cluster.resources import Resource

_LONGEST_LINE = 16 << 20


class BadStream(ValueError):
    """The stream holds a line that is no watch event. The text quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch.

    Attributes:
        type: `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
        object: as it is now; the repr leaves it out.
    """

    type: str
    object: dict[str, Any] = field(repr=False)

    @property
    def resource_version(self) -> str:
        """The place of this event in history; empty if it has none."""
        version = self.object.get("metadata", {}).get("resourceVersion", "")
        return version if isinstance(version, str) else ""


class LineSplitter:
    r"""Cuts a stream of chunks into lines at `\n`, however the chunks fall.

    An object's metadata may be larger than any buffer of a fixed size, so parts are collected until the line ends. Only a line
    that no API server sends (16 MiB, ten times etcd's limit for an object) is refused.
    """

    def __init__(self, longest: int = _LONGEST_LINE) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that a chunk completes; empty lines are left out.

        Raises:
            BadStream: a line is too long.
        """
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            line = b"".join((*self._parts, end))
            self._parts, self._size = [], 0
            if line.strip():
                yield line
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
            if self._size > self._longest:
                raise BadStream("a line of the watch is longer than any object can be")


def parse_event(line: bytes) -> WatchEvent:
    """Read one line.

    Raises:
        BadStream: it is no watch event.
    """
    event: Any = None
    # A JSON error holds the whole line, so it must not become the context of ours.
    with contextlib.suppress(ValueError):
        event = json.loads(line)
    if (
        not isinstance(event, dict)
        or not isinstance(event.get("type"), str)
        or not isinstance(event.get("object"), dict)
    ):
        raise BadStream("a line of the watch is no event")
    return WatchEvent(event["type"], event["object"])


async def checked_events(
    chunks: AsyncIterator[bytes], resource: Resource, template: str
) -> AsyncGenerator[WatchEvent, None]:
    """All events of a stream. A line that the end of the stream cut off is dropped: the next watch sends it again.

    Args:
        chunks: the stream.
        resource: the kind that is watched.
        template: path template of the watch, for error texts.

    Raises:
        ClusterError: the content of an ERROR event, mostly `Gone`; `Unavailable` for a line that is no event.
    """

    def translate(error: Exception) -> Unavailable | None:
        if isinstance(error, BadStream):
            return Unavailable(str(error), reason="BadAnswer", method="GET", path=template)
        return None

    splitter = LineSplitter()
    async for chunk in chunks:
        with translated(translate):
            events = [parse_event(line) for line in splitter.feed(chunk)]
        for event in events:
            if event.type == "ERROR":
                raise from_status(event.object, status=0, method="GET", path=template, quotable=resource.quotable)
            yield event
