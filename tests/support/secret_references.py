"""Where a pod template can refer to a Secret, by the API server's own description, and a slow reading by nothing but that."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

Json = Mapping[str, Any]

OPENAPI: Final = "/openapi/v3/apis/apps/v1"
"""Path of the description that holds the pod template."""

TABLE: Final = Path(__file__).with_suffix(".json")
"""What `described` makes of that description, for tests without an API server."""

_ROOT = "io.k8s.api.core.v1.PodTemplateSpec"

PULL_KEYS: Final = frozenset({".dockerconfigjson", ".dockercfg"})

EVERY: Final = "every key"
"""Stands among the keys that are used for all there are."""


class References(NamedTuple):
    """Where Secrets are referred to.

    Attributes:
        places: name of the type, or `string`, by its path below the template; `[]` stands for each of a list.
        members: names of the members of each such type.
    """

    places: dict[str, str]
    members: dict[str, list[str]]


def described(openapi: Json) -> References:
    """Every place whose own name or the name of whose type speaks of a secret."""
    schemas = openapi["components"]["schemas"]
    places: dict[str, str] = {}
    members: dict[str, list[str]] = {}

    def walk(schema: str, path: str, above: frozenset[str]) -> None:
        for name, value in schemas[schema].get("properties", {}).items():
            many = value.get("type") == "array"
            kind = _referenced(value["items"] if many else value)
            place = f"{path}.{name}" + ("[]" if many else "")
            if "secret" in name.lower() or "secret" in kind.lower():
                places[place] = kind.rsplit(".", 1)[-1] or str(value.get("type"))
                if kind:
                    members[places[place]] = sorted(schemas[kind]["properties"])
            elif kind in schemas and kind not in above:
                walk(kind, place, above | {kind})

    walk(_ROOT, "", frozenset())
    return References(dict(sorted(places.items())), dict(sorted(members.items())))


def _referenced(value: Json) -> str:
    for each in (value, *value.get("allOf", ())):
        if "$ref" in each:
            return str(each["$ref"]).rsplit("/", 1)[-1]
    return ""


def known() -> References:
    """The committed table."""
    return References(**json.loads(TABLE.read_text()))


def read_slowly(template: Json, places: Mapping[str, str]) -> dict[str, set[str]]:
    """The keys that a pod template uses, by the name of the Secret."""
    used: dict[str, set[str]] = {}
    for place, kind in places.items():
        for found in _at([template], place.strip(".").split(".")):
            name, keys = _meaning(found, place, kind)
            if name:
                used.setdefault(name, set()).update(keys)
    return used


def _at(holders: list[Any], steps: list[str]) -> list[Any]:
    for step in steps:
        members = [holder[step.removesuffix("[]")] for holder in holders if step.removesuffix("[]") in holder]
        holders = [each for member in members for each in member] if step.endswith("[]") else members
    return holders


def _meaning(found: Any, place: str, kind: str) -> tuple[str, set[str]]:
    if place.endswith(".secretFile"):
        # A path on the node.
        return "", set()
    if kind == "string":
        return found, {EVERY}
    if kind == "SecretKeySelector":
        return found["name"], {found["key"]}
    if kind in {"SecretVolumeSource", "SecretProjection"}:
        name = found["secretName" if kind == "SecretVolumeSource" else "name"]
        return name, {item["key"] for item in found.get("items", ())} or {EVERY}
    if kind == "LocalObjectReference" and place.endswith(".imagePullSecrets[]"):
        return found["name"], set(PULL_KEYS)
    if kind in {"LocalObjectReference", "SecretEnvSource"}:
        return found["name"], {EVERY}
    raise AssertionError(f"{place} is of the type {kind}, of which nobody knows how it names a Secret")


def put(template: dict[str, Any], place: str, value: Any, *, beside: bool = False) -> None:
    """Add a reference to a pod template.

    Args:
        template: the pod template.
        place: where.
        value: what refers to a Secret there.
        beside: whether the lists on the way but for the last are gone down at their last element, rather than at a new one.
    """
    *way, last = place.strip(".").split(".")
    holder = template
    lists = [step for step in way if step.endswith("[]")]
    for step in way:
        if step.endswith("[]"):
            elements = holder.setdefault(step.removesuffix("[]"), [])
            if not (beside and elements and step is not lists[-1]):
                elements.append({})
            holder = elements[-1]
        else:
            holder = holder.setdefault(step, {})
    if last.endswith("[]"):
        holder.setdefault(last.removesuffix("[]"), []).append(value)
    else:
        holder[last] = value


def values(kind: str, name: str, keys: tuple[str, ...]) -> Iterator[Any]:
    """What may stand at a place of a type to refer to a Secret, and to keys of it where that is possible."""
    if kind == "string":
        yield name
    elif kind == "SecretKeySelector":
        yield from ({"name": name, "key": key} for key in keys)
        yield {"name": name, "key": "one", "optional": True}
    elif kind in {"SecretVolumeSource", "SecretProjection"}:
        member = "secretName" if kind == "SecretVolumeSource" else "name"
        yield {member: name, "items": [{"key": key, "path": key} for key in keys], "optional": True}
        yield {member: name}
    else:
        yield {"name": name}
