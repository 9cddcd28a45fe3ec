"""Reads from `metadata.managedFields` which field manager owns which key of a Secret, and moves that ownership to Keyturn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keyturn.core.names import SECRET_MANAGER

_DATA = "f:data"


def data_owners(managed_fields: Sequence[Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    """The keys under `data` that each field manager owns. Managers that own none are left out."""
    owners: dict[str, frozenset[str]] = {}
    for entry in managed_fields:
        keys = _data_keys(entry)
        if keys:
            manager = str(entry.get("manager", ""))
            owners[manager] = owners.get(manager, frozenset()) | keys
    return owners


def present_keys(managed_fields: Sequence[Mapping[str, Any]]) -> frozenset[str] | None:
    """The keys that a Secret of Keyturn's has; None if no entry is Keyturn's, so that they are unknown."""
    if not any(map(_is_ours, managed_fields)):
        return None
    return frozenset().union(*map(_data_keys, managed_fields))


def is_drifted(managed_fields: Sequence[Mapping[str, Any]], expected: Iterable[str]) -> bool:
    """Whether another manager owns a key of the data, or Keyturn owns other keys than it wrote.

    Any edit moves the ownership of what it changes, so drift shows without a read of a single value.

    Args:
        managed_fields: from the API server.
        expected: the keys that Keyturn wrote.
    """
    owners = data_owners(managed_fields)
    ours = owners.pop(SECRET_MANAGER, frozenset())
    return bool(owners) or ours != frozenset(expected)


def owned_metadata(managed_fields: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The labels and annotations that Keyturn owns, whether it wrote them by POST or by apply."""
    return frozenset().union(*(_metadata_keys(entry) for entry in managed_fields if _is_ours(entry)))


def owned_by_others(managed_fields: Sequence[Mapping[str, Any]], *, ours: str = SECRET_MANAGER) -> frozenset[str]:
    """The labels and annotations that anyone else wrote, or wrote as well.

    Args:
        managed_fields: from the API server.
        ours: the field manager of Keyturn's that writes the annotation in question.
    """
    return frozenset().union(*(_metadata_keys(entry) for entry in managed_fields if entry.get("manager") != ours))


def must_take_over(managed_fields: Sequence[Mapping[str, Any]], obsolete: Iterable[str]) -> bool:
    """Whether the next apply alone could not remove other owners of the data, or obsolete keys, from the Secret.

    An apply removes only what it alone owned by an earlier apply; what another entry also holds stays.

    Args:
        managed_fields: from the API server.
        obsolete: keys of the data, labels and annotations of Keyturn's that must go.
    """
    gone = frozenset(obsolete)
    applied = frozenset[str]()
    others = frozenset[str]()
    for entry in managed_fields:
        if _is_ours(entry) and entry.get("operation") == "Apply":
            applied |= _data_keys(entry) | _metadata_keys(entry)
        elif _is_ours(entry):
            others |= (_data_keys(entry) | _metadata_keys(entry)) & gone
        else:
            others |= _data_keys(entry)
    return bool(others) or not gone <= applied


def taken_over(managed_fields: Sequence[Mapping[str, Any]], keys: Iterable[str]) -> list[dict[str, Any]]:
    """The managed fields in which Keyturn's apply alone owns all data and all other fields of Keyturn's; the rest is unchanged.

    Args:
        managed_fields: from the API server.
        keys: all keys that are in the data, whatever their owners.
    """
    rest = []
    ours: dict[str, Any] = {
        "manager": SECRET_MANAGER,
        "operation": "Apply",
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
    }
    fields: dict[str, Any] = {}
    for entry in managed_fields:
        others = {name: owned for name, owned in (entry.get("fieldsV1") or {}).items() if name != _DATA}
        if not _is_ours(entry):
            if others:
                rest.append({**entry, "fieldsV1": others})
            continue
        fields = _merged(fields, others)
        if entry.get("operation") == "Apply":
            ours = {**ours, **entry}
    return [*rest, {**ours, "fieldsV1": {**fields, _DATA: {".": {}} | {f"f:{key}": {} for key in sorted(keys)}}}]


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return entry.get("manager") == SECRET_MANAGER and not entry.get("subresource")


def _data_keys(entry: Mapping[str, Any]) -> frozenset[str]:
    return _names((entry.get("fieldsV1") or {}).get(_DATA))


def _metadata_keys(entry: Mapping[str, Any]) -> frozenset[str]:
    metadata = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
    return _names(metadata.get("f:labels")) | _names(metadata.get("f:annotations"))


def _names(owned: Mapping[str, Any] | None) -> frozenset[str]:
    return frozenset(name.removeprefix("f:") for name in owned or () if name.startswith("f:"))


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two sets of owned fields in one."""
    both = {name: _merged(one[name], other[name]) for name in one.keys() & other.keys()}
    return {**one, **other, **both}
