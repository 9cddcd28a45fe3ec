"""Which field manager owns which field of an object, as far as tests need it: server-side apply on plain dicts."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

Path = tuple[str, ...]
"""A field as `fieldsV1` spells it: `("f:data", "f:password")`, `("f:metadata", "f:ownerReferences", 'k:{"uid":"1"}')`."""

_UNOWNED = frozenset({("f:apiVersion",), ("f:kind",)}) | {
    ("f:metadata", f"f:{name}")
    for name in (
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "managedFields",
        "creationTimestamp",
        "deletionTimestamp",
    )
}
_KEYED_LISTS = {"f:ownerReferences": "uid", "f:conditions": "type"}


class FieldConflict(Exception):
    """An apply that is not forced changes fields of another manager.

    Attributes:
        fields: of the other managers, as the API server prints them: `.data.password`.
    """

    def __init__(self, fields: tuple[str, ...]) -> None:
        super().__init__(", ".join(fields))
        self.fields = fields


def leaves(value: Any, path: Path = ()) -> dict[Path, Any]:
    """The fields of an object that can be owned, with their values. A list is one field, unless it has a key per element."""
    if path in _UNOWNED:
        return {}
    if isinstance(value, Mapping) and (value or not path):
        return {
            leaf: found for name, each in value.items() for leaf, found in leaves(each, (*path, f"f:{name}")).items()
        }
    if path and (key := _KEYED_LISTS.get(path[-1])) and isinstance(value, list):
        return {(*path, f"k:{json.dumps({key: each.get(key)}, separators=(',', ':'))}"): each for each in value}
    if path == ("f:metadata", "f:finalizers"):
        return {(*path, f"v:{json.dumps(each)}"): each for each in value}
    return {path: value}


def updated(
    old: Mapping[str, Any], new: Mapping[str, Any], *, manager: str, subresource: str, now: str
) -> dict[str, Any]:
    """The new state of an object with the ownership of all that changed given to a manager, as any patch or update gives it."""
    before, after = leaves(old), leaves(new)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    moved = changed | (before.keys() - after.keys())
    owners = {entry: owned - moved for entry, owned in _owners(new).items()}
    mine = (manager, "Update", subresource)
    owners[mine] = owners.get(mine, set()) | changed
    return _with_owners(old, new, owners, actor=mine, now=now)


def applied(
    old: Mapping[str, Any], body: Mapping[str, Any], *, manager: str, subresource: str, force: bool, now: str
) -> dict[str, Any]:
    """The state of an object after a server-side apply.

    Raises:
        FieldConflict: it is not forced, and another manager owns a field with another value.
    """
    mine = (manager, "Apply", subresource)
    owners, before, wanted = _owners(old), leaves(old), leaves(body)
    earlier = owners.pop(mine, set())
    contested = {path for path, value in wanted.items() if before.get(path) != value}
    taken = {path for owned in owners.values() for path in owned & contested}
    if taken and not force:
        raise FieldConflict(tuple(sorted(_printed(path) for path in taken)))
    owners = {entry: owned - contested for entry, owned in owners.items()}
    kept = {path for owned in owners.values() for path in owned}
    new = copy.deepcopy(dict(old))
    for path in earlier - wanted.keys() - kept:
        _remove(new, path)
    for path, value in wanted.items():
        _put(new, path, copy.deepcopy(value))
    owners[mine] = set(wanted)
    return _with_owners(old, new, owners, actor=mine, now=now)


_Entry = tuple[str, str, str]


def _entry(raw: Mapping[str, Any]) -> _Entry:
    return raw.get("manager", ""), raw.get("operation", ""), raw.get("subresource", "")


def _owners(manifest: Mapping[str, Any]) -> dict[_Entry, set[Path]]:
    raw = manifest["metadata"].get("managedFields") or []
    return {_entry(each): _paths(each.get("fieldsV1") or {}) for each in raw if each}


def _with_owners(
    old: Mapping[str, Any], new: Mapping[str, Any], owners: Mapping[_Entry, set[Path]], *, actor: _Entry, now: str
) -> dict[str, Any]:
    written = {_entry(each): each for each in new["metadata"].get("managedFields") or [] if each}
    before = _owners(old)
    changed = leaves(old) != leaves(new)
    entries = []
    for entry, owned in owners.items():
        if not owned:
            continue
        manager, operation, subresource = entry
        fresh = entry == actor and (changed or owned != before.get(entry))
        time = now if fresh else written.get(entry, {}).get("time", now)
        member = {"manager": manager, "operation": operation, "apiVersion": new.get("apiVersion", "v1"), "time": time}
        member |= {"fieldsType": "FieldsV1", "fieldsV1": _tree(owned)}
        entries.append(member | ({"subresource": subresource} if subresource else {}))
    return {**new, "metadata": {**new["metadata"], "managedFields": entries}}


def _paths(tree: Mapping[str, Any], path: Path = ()) -> set[Path]:
    found: set[Path] = set()
    for name, below in tree.items():
        if name == ".":
            continue
        # The API server lists the fields of an element, too; here an element is owned as a whole.
        deeper = _paths(below, (*path, name)) if not name.startswith("k:") else set()
        found |= deeper or {(*path, name)}
    return found


def _tree(paths: set[Path]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path in sorted(paths):
        below = tree
        for name in path:
            below = below.setdefault(name, {})
    return tree


def _printed(path: Path) -> str:
    return "".join(f".{name[2:]}" if name.startswith("f:") else f"[{name[2:]}]" for name in path)


def _put(manifest: dict[str, Any], path: Path, value: Any) -> None:
    *parents, last = path
    if last.startswith("f:"):
        holder = _holder(manifest, parents)
        holder[last[2:]] = value
        return
    *parents, member = parents
    holder = _holder(manifest, parents)
    elements = [each for each in holder.get(member[2:]) or [] if not _is(each, last)]
    position = next((at for at, each in enumerate(holder.get(member[2:]) or []) if _is(each, last)), len(elements))
    holder[member[2:]] = [*elements[:position], value, *elements[position:]]


def _remove(manifest: dict[str, Any], path: Path) -> None:
    *parents, last = path
    if last.startswith("f:"):
        _holder(manifest, parents).pop(last[2:], None)
    else:
        holder, member = _holder(manifest, parents[:-1]), parents[-1][2:]
        holder[member] = [each for each in holder.get(member) or [] if not _is(each, last)]
    # What is empty is left out, as the API server does for what an apply has emptied.
    if parents and len(parents) > 1 and not (above := _holder(manifest, parents[:-1])).get(parents[-1][2:]):
        above.pop(parents[-1][2:], None)


def _holder(manifest: dict[str, Any], parents: list[str]) -> dict[str, Any]:
    holder = manifest
    for name in parents:
        if not isinstance(holder.get(name[2:]), dict):
            holder[name[2:]] = {}
        holder = holder[name[2:]]
    return holder


def _is(element: Any, name: str) -> bool:
    wanted = json.loads(name[2:])
    if name.startswith("v:"):
        return bool(element == wanted)
    return all(element.get(key) == value for key, value in wanted.items())
