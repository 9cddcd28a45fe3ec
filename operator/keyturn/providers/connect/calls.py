"""A request to Connect as data, before any I/O: what is asked, how it may be repeated, how large its answer may be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from .errors import BadRequest

JSON = "application/json"

LONGEST = 1000
"""Characters of an id or title that may stand in a request's target."""


class Kind(StrEnum):
    """How a call may be repeated."""

    READ = "read"
    CONTENT = "content"
    WRITE = "write"
    DELETE = "delete"
    PROBE = "probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request.

    Attributes:
        route: the template of the path; the only part of the target that messages, metrics and logs may name.
        target: path and query as sent; the query may hold a title.
        authorized: whether the bearer token goes with it.
        limit: decoded bytes that a successful answer may have; None means the client's limit for JSON.
        sent: texts that a message of the server must not bring back.
    """

    method: str
    route: str
    target: str = field(repr=False)
    kind: Kind = Kind.READ
    accept: str = JSON
    authorized: bool = True
    body: bytes | None = field(default=None, repr=False)
    limit: int | None = None
    sent: tuple[str, ...] = field(default=(), repr=False)


def read(route: str, *, filter: str | None = None, query: str = "", **ids: str) -> Call:  # noqa: A002 - Connect's word
    """A GET of JSON.

    Args:
        route: template, as `/v1/vaults/{vault}`.
        filter: a filter made by `equals`, encoded here as a whole.
        query: any other query, already encoded.
        ids: what stands in the template's places.
    """
    sent: tuple[str, ...] = ()
    if filter is not None:
        query = f"filter={quote(filter, safe='')}"
        sent = (filter, filter.split('"', 1)[-1].rstrip('"'))
    return Call(method="GET", route=route, target=_fill(route, ids, query), sent=sent)


def content(route: str, *, limit: int, **ids: str) -> Call:
    """A GET of a file's bytes."""
    return Call(
        method="GET",
        route=route,
        target=_fill(route, ids, ""),
        kind=Kind.CONTENT,
        accept="application/octet-stream",
        limit=limit,
    )


def plain(route: str, *, kind: Kind = Kind.READ, limit: int | None = None, accept: str = "text/plain") -> Call:
    """A GET without a token: heartbeat, health, metrics."""
    return Call(method="GET", route=route, target=route, kind=kind, accept=accept, authorized=False, limit=limit)


def write(method: str, route: str, *, body: Any, **ids: str) -> Call:
    """A POST, PUT or PATCH with a body of JSON; every text of the body counts as secret."""
    return Call(
        method=method,
        route=route,
        target=_fill(route, ids, ""),
        kind=Kind.WRITE,
        body=json.dumps(body, separators=(",", ":")).encode(),
        sent=tuple(_texts(body)),
    )


def delete(route: str, **ids: str) -> Call:
    """A DELETE."""
    return Call(method="DELETE", route=route, target=_fill(route, ids, ""), kind=Kind.DELETE)


def equals(attribute: str, text: str) -> str | None:
    """A filter `attribute eq "text"`, or None where the text cannot stand in one.

    No way to escape a quote or a backslash inside a filter is published: whoever gets None must list everything and
    compare on its own.
    """
    if len(text) > LONGEST or not text.isprintable() or '"' in text or "\\" in text:
        return None
    return f'{attribute} eq "{text}"'


def _fill(route: str, ids: Mapping[str, str], query: str) -> str:
    for text in ids.values():
        # No encoding saves a dot segment: clients and proxies fold it away, and the request would go elsewhere.
        if text.strip(".") == "" or len(text) > LONGEST or not text.isprintable():
            raise BadRequest("an id is empty, too long or not made of characters", status=400, said="invalid uuid")
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
