"""Who got at an item: the records of the audit that name it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from keyturn.core.paths import BadPath, parse_item_path


def is_about(record: Mapping[str, Any], by_ids: Collection[str]) -> bool:
    """Whether a record is about one of these items.

    Args:
        record: as `read_record` gives it.
        by_ids: paths of items by ids.
    """
    match record:
        case {"vault": {"id": str(vault)}, "item": {"id": str(item)}}:
            return f"vaults/{vault}/items/{item}" in by_ids
    return False


def joined_to(record: Mapping[str, Any]) -> str:
    """Id of the record that says more of a request that a vault has in its log; empty for all other records.

    Any client can send such an id. Only if there is that record, and it is about the same item, has the request been recorded.
    """
    joined = record.get("record")
    return joined if isinstance(joined, str) else ""


def time_of(record: Mapping[str, Any]) -> datetime | None:
    """When a record was written; None if it does not say so, or without its zone."""
    try:
        time = datetime.fromisoformat(str(record.get("time")))
    except ValueError:
        return None
    return time if time.tzinfo else None


def is_by_ids(path: str) -> bool:
    """Whether a path is probably by ids alone: those of 1Password are 26 small letters and digits, those of Bitwarden UUIDs."""
    try:
        parsed = parse_item_path(path)
    except BadPath:
        return False
    return _is_id(parsed.vault) and _is_id(parsed.item)


def _is_id(text: str) -> bool:
    if len(text) == 36:
        return text.count("-") == 4 and all(char in "0123456789abcdef-" for char in text)
    return len(text) == 26 and text.isascii() and text.isalnum() and text == text.lower()


def line_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """A record in words, for a table: time, who, pod, action, outcome, fields, version, grant."""
    actor, item, grant = (_mapping(record.get(name)) for name in ("actor", "item", "grant"))
    fields = record.get("fields")
    outcome = " ".join(str(record.get(name) or "") for name in ("outcome", "reason")).strip()
    return (
        str(record.get("time") or ""),
        _who(record, actor),
        str(actor.get("pod") or ""),
        str(record.get("action") or ""),
        outcome,
        ", ".join(map(str, fields)) if isinstance(fields, list) else "",
        str(item.get("version") or ""),
        f"{grant['namespace']}/{grant['name']}" if {"namespace", "name"} <= grant.keys() else "",
    )


def _who(record: Mapping[str, Any], actor: Mapping[str, Any]) -> str:
    """A service account, or what the log of a vault says of others."""
    if actor.get("name"):
        return f"{actor.get('namespace')}/{actor['name']}"
    if record.get("process"):
        return f"keyturn {record['process']}"
    foreign = "unrecorded " if joined_to(record) else "foreign " if record.get("foreign") is True else ""
    return f"{foreign}{actor.get('type') or 'unknown'} {actor.get('jti') or ''}".strip()


def _mapping(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {}
