"""Reads from `metadata.managedFields` who owns which key of a Secret, and gathers that ownership in our hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from keyturn.core.names import SECRET_MANAGER

_DATA = "f:data"


def data_owners(managed_fields: Sequence[Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    """Which keys under `data` each field manager owns. Managers that own none are left out."""
    owners: dict[str, frozenset[str]] = {}
    for entry in managed_fields:
        keys = _data_keys(entry)
        if keys:
            manager = str(entry.get("manager", ""))
            owners[manager] = owners.get(manager, frozenset()) | keys
    return owners


def is_drifted(managed_fields: Sequence[Mapping[str, Any]], expected: Iterable[str]) -> bool:
    """Whether somebody else owns a key of the data, or we own other keys than we wrote.

    An edit by anyone moves the ownership of what it changed, so drift shows without reading a single value.
    """
    owners = data_owners(managed_fields)
    ours = owners.pop(SECRET_MANAGER, frozenset())
    return bool(owners) or ours != frozenset(expected)


def must_take_over(managed_fields: Sequence[Mapping[str, Any]], obsolete: Iterable[str]) -> bool:
    """Whether our next apply could not rid the data of other owners, or of `obsolete` keys.

    An apply removes only what it alone owned by an earlier apply; what another manager holds too, survives.
    """
    applied = frozenset[str]()
    others = frozenset[str]()
    for entry in managed_fields:
        if entry.get("manager") == SECRET_MANAGER and entry.get("operation") == "Apply":
            applied |= _data_keys(entry)
        elif entry.get("manager") == SECRET_MANAGER:
            others |= _data_keys(entry) & frozenset(obsolete)
        else:
            others |= _data_keys(entry)
    return bool(others) or not frozenset(obsolete) <= applied


def taken_over(managed_fields: Sequence[Mapping[str, Any]], keys: Iterable[str]) -> list[dict[str, Any]]:
    """The managed fields with all of `data` owned by our apply alone; everything else stays as it was.

    Args:
        managed_fields: as the API server gave them.
        keys: the keys present in the data, owned by anyone or no one.
    """
    rest = []
    ours: dict[str, Any] | None = None
    for original in managed_fields:
        fields = {name: deepcopy(owned) for name, owned in (original.get("fieldsV1") or {}).items() if name != _DATA}
        entry = {**original, "fieldsV1": fields}
        if (
            entry.get("manager") == SECRET_MANAGER
            and entry.get("operation") == "Apply"
            and not entry.get("subresource")
        ):
            ours = entry
        elif fields:
            rest.append(entry)
    if ours is None:
        ours = {
            "manager": SECRET_MANAGER,
            "operation": "Apply",
            "apiVersion": "v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {},
        }
    ours["fieldsV1"][_DATA] = {".": {}} | {f"f:{key}": {} for key in sorted(keys)}
    return [*rest, ours]


def _data_keys(entry: Mapping[str, Any]) -> frozenset[str]:
    data = (entry.get("fieldsV1") or {}).get(_DATA) or {}
    return frozenset(name.removeprefix("f:") for name in data if name.startswith("f:"))
