"""Reads fields of an object that anybody may have written: of the right type, or left out by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from keyturn.base.text import one_line, shorten
from keyturn.convert.errors import NotConvertible

_REASONS: Final = {
    "templateFrom": "templates from ConfigMaps and Secrets; write the text into the template",
    "find": "a search for items",
    "generatorRef": "a generator",
    "immutable": "an immutable Secret cannot follow a rotation",
    "manifest": "a target that is no Secret",
    "storeRef": "a second store",
    "version": "a pinned version",
    "finalizers": "finalizers of the Secret",
}
"""What is known of a field that no KeyturnSecret can say."""


def mapping(value: Mapping[str, Any], name: str, where: str) -> Mapping[Any, Any]:
    """An object in a field; an absent one is empty.

    Raises:
        NotConvertible: it is something else.
    """
    found = value.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise NotConvertible(inside(where, name), "this is no object")
    return found


def entries(value: Mapping[str, Any], name: str, where: str) -> list[Mapping[str, Any]]:
    """A list of objects in a field; an absent one is empty.

    Raises:
        NotConvertible: it is something else.
    """
    found = value.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise NotConvertible(inside(where, name), "this is no list of objects")
    return found


def text(value: Mapping[str, Any], name: str, where: str, default: str | None = None) -> str:
    """A text in a field, which must not be empty.

    Raises:
        NotConvertible: it is something else, or absent without a default.
    """
    found = value.get(name)
    if found is None and default is not None:
        return default
    if not isinstance(found, str) or not found:
        raise NotConvertible(inside(where, name), "a text must stand here")
    return found


def texts(value: Mapping[str, Any], name: str, where: str) -> dict[str, str]:
    """An object whose members are all texts, as labels are; an absent one is empty.

    Raises:
        NotConvertible: it is something else.
    """
    found = mapping(value, name, where)
    for key, each in found.items():
        if not isinstance(key, str) or not isinstance(each, str):
            raise NotConvertible(at(inside(where, name), key), "a text must stand here")
    return dict(found)


def choice(value: Mapping[str, Any], name: str, where: str, allowed: Mapping[str, str]) -> str:
    """What a word in a field means.

    Args:
        value: the object.
        name: of the field; if it is absent, its word is empty.
        where: the object's own field.
        allowed: the meaning of each word that can be said.

    Raises:
        NotConvertible: it is another word.
    """
    found = value.get(name) or ""
    if not isinstance(found, str) or found not in allowed:
        known = ", ".join(filter(None, allowed))
        raise NotConvertible(inside(where, name), f"of its values, only these can be converted: {known}")
    return allowed[found]


def only(value: Mapping[str, Any], where: str, allowed: Iterable[str]) -> None:
    """Refuse an object that has other fields than these, unless they are empty.

    Raises:
        NotConvertible: it has one.
    """
    for name in sorted(value.keys() - set(allowed), key=str):
        if value[name] not in (None, False, "", [], {}):
            raise NotConvertible(inside(where, name), _REASONS.get(name, "a field that the converter does not know"))


def inside(where: str, name: object) -> str:
    """The path of a field: `spec.target`."""
    written = shorten(one_line(str(name)), 80)
    return f"{where}.{written}" if where else written


def at(where: str, key: object) -> str:
    """The path of an entry: `spec.data[KEY]`."""
    return f"{where}[{shorten(one_line(str(key)), 80)}]"
