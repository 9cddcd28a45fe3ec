"""PATCH: the subset of RFC 6902 that Connect knows, in which `/fields/...` names fields by id instead of index."""

import copy
from collections.abc import Callable
from typing import Any

from connect_emulator.errors import ApiError

Json = dict[str, Any]
ATTRIBUTES = frozenset({"title", "favorite", "tags", "urls", "sections", "fields"})
"""Members of an item that PATCH may change; category, id, version and times may not (inferred)."""
_OPERATIONS = frozenset({"add", "remove", "replace"})


def apply(document: Json, operations: object) -> Json:
    """`document` with all `operations` applied; the argument stays as it was, so a failure changes nothing.

    Raises:
        ApiError: 400 for a body, operation or path that real servers refuse.
    """
    if not isinstance(operations, list):
        raise ApiError(400, "Invalid patch: expected an array of operations")
    patched = copy.deepcopy(document)
    for operation in operations:
        if not isinstance(operation, dict):
            raise ApiError(400, "Invalid patch: an operation must be an object")
        name, path = operation.get("op"), operation.get("path")
        if not isinstance(name, str) or name not in _OPERATIONS:
            raise ApiError(400, "Invalid patch: op must be add, remove or replace")
        if not isinstance(path, str) or not path.startswith("/"):
            raise ApiError(400, "Invalid patch: path must start with a slash")
        if name != "remove" and "value" not in operation:
            raise ApiError(400, "Invalid patch: value is missing")
        patched = _applied(patched, name, pointer(path), copy.deepcopy(operation.get("value")))
    return patched


def pointer(path: str) -> list[str]:
    """The segments of a JSON pointer (RFC 6901); `/` alone is the whole item here."""
    if path == "/":
        return []
    return [segment.replace("~1", "/").replace("~0", "~") for segment in path[1:].split("/")]


def _applied(document: Json, name: str, segments: list[str], value: object) -> Json:
    if not segments:
        if name != "replace" or not isinstance(value, dict):
            raise ApiError(400, "Invalid patch: the whole item can only be replaced by an item")
        return value
    if segments[0] not in ATTRIBUTES:
        raise ApiError(400, f"Invalid patch: unknown path /{segments[0]}")
    if segments[0] == "fields" and len(segments) > 1:
        _on_field(document, name, segments[1:], value)
    elif segments == ["fields"] and name == "add":
        document["fields"] = [*_list(document.get("fields")), value]
    else:
        _walk(document, name, segments, value)
    return document


def _on_field(document: Json, name: str, segments: list[str], value: object) -> None:
    fields = _list(document.get("fields"))
    place = next(
        (n for n, field in enumerate(fields) if isinstance(field, dict) and field.get("id") == segments[0]), None
    )
    if place is None:
        raise ApiError(400, "Invalid patch: unknown field id")
    if len(segments) > 1:
        _walk(fields[place], name, segments[1:], value)
    elif name == "remove":
        del fields[place]
    elif name == "replace" and isinstance(value, dict):
        # The field keeps its id unless the new one says otherwise.
        fields[place] = {"id": segments[0], **value}
    else:
        raise ApiError(400, "Invalid patch: a field can be replaced by a field, or removed")


def _walk(target: object, name: str, segments: list[str], value: object) -> None:
    for segment in segments[:-1]:
        target = _child(target, segment)
    _leaf(target, segments[-1])(name, value)


def _child(target: object, segment: str) -> object:
    if isinstance(target, dict) and segment in target:
        return target[segment]
    if isinstance(target, list):
        return target[_index(segment, len(target) - 1)]
    raise ApiError(400, "Invalid patch: the path does not exist")


def _leaf(target: object, segment: str) -> Callable[[str, object], None]:
    def on_object(name: str, value: object) -> None:
        if not isinstance(target, dict):
            raise ApiError(400, "Invalid patch: the path does not exist")
        if name == "remove":
            # Members without a value are not stored, so removing one again is no error.
            target.pop(segment, None)
        else:
            target[segment] = value

    def on_array(name: str, value: object) -> None:
        entries = _list(target)
        if name == "add":
            entries.insert(len(entries) if segment == "-" else _index(segment, len(entries)), value)
        elif name == "replace":
            entries[_index(segment, len(entries) - 1)] = value
        else:
            del entries[_index(segment, len(entries) - 1)]

    return on_array if isinstance(target, list) else on_object


def _index(segment: str, last: int) -> int:
    if not (segment.isascii() and segment.isdecimal()) or (segment != "0" and segment.startswith("0")):
        raise ApiError(400, "Invalid patch: not an index")
    if len(segment) > 9 or int(segment) > last:
        raise ApiError(400, "Invalid patch: index out of range")
    return int(segment)


def _list(value: object) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ApiError(400, "Invalid patch: not a list")
    return value
