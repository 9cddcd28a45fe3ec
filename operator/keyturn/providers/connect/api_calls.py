"""A request to Connect as data, before any I/O: what is sent, whether it may be repeated, how large its answer may be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from keyturn.providers.connect.bounds import ANSWER, Bounds
from keyturn.providers.connect.connect_errors import BadRequest

MEDIA_TYPE = "application/json"

_LONGEST = 1000
"""Characters of an id or title that may stand in a request's target."""


class Kind(StrEnum):
    """What a call does, which decides whether it may be repeated."""

    READ = "read"
    CONTENT = "content"
    WRITE = "write"
    HEARTBEAT = "heartbeat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request.

    Attributes:
        route: the template of the path; the only part of the target that messages, metrics and logs may name.
        target: path and query as sent; the query may hold a title.
        authorized: whether the bearer token goes with it.
        limit: decoded bytes that a successful answer may have which is not JSON; None if it is JSON.
        bounds: what a successful answer in JSON may hold.
        redact: texts of the request that are masked in a message of the server.
    """

    method: str
    route: str
    target: str = field(repr=False)
    kind: Kind = Kind.READ
    accept: str = MEDIA_TYPE
    authorized: bool = True
    body: bytes | None = field(default=None, repr=False)
    limit: int | None = None
    bounds: Bounds = ANSWER
    redact: tuple[str, ...] = field(default=(), repr=False)

    @property
    def place(self) -> str:
        """What the request is about, by its path: a vault's list, an item, a file; empty for the server as a whole."""
        return self.target.partition("?")[0] if "{" in self.route else ""


HEARTBEAT = Call(
    method="GET",
    route="/heartbeat",
    target="/heartbeat",
    kind=Kind.HEARTBEAT,
    accept="text/plain",
    authorized=False,
    limit=4096,
)
"""Needs no token."""


def read_call(
    route: str,
    *,
    filter: str | None = None,  # noqa: A002 - Connect's word
    query: str = "",
    bounds: Bounds = ANSWER,
    **ids: str,
) -> Call:
    """A GET of JSON.

    Args:
        route: template, as `/v1/vaults/{vault}`.
        filter: a filter made by `equals`, encoded here as a whole.
        query: any other query, already encoded.
        bounds: what the answer may hold.
        ids: fill the template.
    """
    redact: tuple[str, ...] = ()
    if filter is not None:
        query = f"filter={quote(filter, safe='')}"
        redact = (filter, filter.split('"', 1)[-1].rstrip('"'))
    return Call(method="GET", route=route, target=_fill(route, ids, query), bounds=bounds, redact=redact)


def content_call(route: str, *, limit: int, **ids: str) -> Call:
    """A GET of a file's bytes."""
    return Call(
        method="GET",
        route=route,
        target=_fill(route, ids, ""),
        kind=Kind.CONTENT,
        accept="application/octet-stream",
        limit=limit,
    )


def write_call(method: str, route: str, *, body: Any, **ids: str) -> Call:
    """A POST or PATCH with a body of JSON; every text of the body counts as secret."""
    return Call(
        method=method,
        route=route,
        target=_fill(route, ids, ""),
        kind=Kind.WRITE,
        body=json.dumps(body, separators=(",", ":")).encode(),
        redact=tuple(_texts(body)),
    )


def equals(attribute: str, text: str) -> str | None:
    """A filter `attribute eq "text"`, or None if the text cannot stand in a filter.

    Connect documents no way to escape a quote or a backslash in a filter. For such a text the caller must list everything
    and compare itself.
    """
    if len(text) > _LONGEST or not text.isprintable() or '"' in text or "\\" in text:
        return None
    return f'{attribute} eq "{text}"'


def _fill(route: str, ids: Mapping[str, str], query: str) -> str:
    for text in ids.values():
        # No encoding protects a dot segment: clients and proxies remove it, and the request would go elsewhere.
        if text.strip(".") == "" or len(text) > _LONGEST or not text.isprintable():
            raise BadRequest(
                "an id is empty, too long or has unprintable characters", status=400, server_message="invalid uuid"
            )
    path = route.format_map({name: quote(text, safe="") for name, text in ids.items()})
    return f"{path}?{query}" if query else path


def _texts(body: Any) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    elif isinstance(body, Mapping):
        for value in body.values():
            yield from _texts(value)
    elif isinstance(body, list | tuple):
        for value in body:
            yield from _texts(value)
