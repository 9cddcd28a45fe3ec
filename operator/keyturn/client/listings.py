"""What `items`, `grants` and `sync` print, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keyturn.client.failures import ImplausibleAnswer


def as_json(answer: Any) -> str:
    """An answer as it is, for programs."""
    return json.dumps(answer, indent=2) + "\n"


def items_table(answer: Any) -> str:
    """The items that the caller finds: one a line."""
    rows = [
        (
            _text(item, "label"),
            _text(item, "vaultName"),
            _text(item, "connectionId"),
            ",".join(_text(each, "label") for each in _objects(item.get("fieldMetadata"))),
            ",".join(str(each) for each in _list(item.get("domains"))),
        )
        for item in _members(answer, "items")
    ]
    return table(("ITEM", "VAULT", "CONNECTION", "FIELDS", "DOMAINS"), rows)


def grants_table(answer: Any) -> str:
    """The caller's grants: one item of each a line."""
    rows = [
        (
            f"{_text(grant, 'namespace')}/{_text(grant, 'name')}",
            _text(grant, "connection"),
            _text(item, "path"),
            ",".join(str(each) for each in _list(item.get("fields"))),
            ",".join(str(each) for each in _list(item.get("actions"))),
            _text(grant, "expiresAt"),
        )
        for grant in _members(answer, "grants")
        for item in _objects(grant.get("items"))
    ]
    return table(("GRANT", "CONNECTION", "ITEM", "FIELDS", "ACTIONS", "EXPIRES"), rows)


def sync_line(answer: Any) -> str:
    """What a sync found, on one line."""
    summary = answer.get("sync_summary") if isinstance(answer, dict) else None
    if not isinstance(summary, dict):
        raise ImplausibleAnswer("the broker's answer has no summary of the sync")
    counts = (f"{_count(summary.get(each))} {each}" for each in ("added", "updated", "removed"))
    return ", ".join(counts) + "\n"


def sync_errors(answer: Any) -> list[str]:
    """The connections that could not be looked at, each with what the broker says about it."""
    errors = answer.get("errors") if isinstance(answer, dict) else None
    if isinstance(errors, dict):
        return [_clean(f"{connection}: {reason}") for connection, reason in errors.items()]
    found = []
    for each in _list(errors):
        if isinstance(each, dict):
            said = (_text(each, name) for name in ("connectionId", "code", "message"))
            found.append(_clean(": ".join(part for part in said if part != "-")))
        else:
            found.append(_clean(str(each)))
    return found


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns that stand below each other, as kubectl prints them; an empty cell is a dash."""
    lines = [tuple(head), *(tuple(_clean(cell) or "-" for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "".join("   ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in lines)


def _clean(text: str) -> str:
    """Without control characters: titles are written by others, and a terminal obeys them."""
    return "".join(each if each.isprintable() else " " for each in text)


def _members(answer: Any, name: str) -> list[Mapping[str, Any]]:
    members = answer.get(name) if isinstance(answer, dict) else answer
    if not isinstance(members, list):
        raise ImplausibleAnswer(f"the broker's answer lists no {name}")
    return _objects(members)


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in _list(value) if isinstance(each, dict)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) and value else "-"


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
