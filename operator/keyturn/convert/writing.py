"""Writes objects as YAML that people read: block style, fields in the given order, texts of several lines as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from keyturn.convert.outputs import UNKNOWN_VAULT

_STYLE: Final[Mapping[str, Any]] = {"sort_keys": False, "allow_unicode": True, "width": 10**9}

_OTHER_BREAKS = re.compile("[\r\x85\u2028\u2029\ufeff]")
"""What some readers of YAML take for the end of a line."""

_VAULT_COMMENT: Final = "  # TODO vault"
"""Stands behind each path whose vault its user must write; editors and reviewers look for this word."""


class _Dumper(yaml.SafeDumper):
    """Block style throughout, lines of any length, and no references from one place to another."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's
        """Never."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - PyYAML's
        """Indent lists, too."""
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if _OTHER_BREAKS.search(text):
        style = '"'
    elif "\n" in text:
        # Several line feeds at the end would need a mark that few readers know.
        style = '"' if text.endswith("\n\n") or not text.strip() else "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def write_manifest(manifest: Mapping[str, Any]) -> str:
    """An object as one document, without a separator."""
    return "".join(f"{line}\n" for line in _lines(manifest))


def write_anything(value: Mapping[str, Any]) -> str:
    """An object of any shape as one document; parts that stand in it several times stay references."""
    return str(yaml.safe_dump(value, **_STYLE))


def _lines(mapping: Mapping[str, Any], *place: str) -> Iterator[str]:
    for key, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield f"{_key(key)}:"
            yield from (line and f"  {line}" for line in _lines(value, *place, key))
            continue
        written = _key(key) + _dumped({"k": value}).removeprefix("k")
        *lines, last = written.split("\n")
        yield from lines
        # Behind the last of several lines, the comment could be a part of the text.
        yield last if lines or not _lacks_vault(value, (*place, key)) else f"{last}{_VAULT_COMMENT}"


def _lacks_vault(value: object, place: tuple[str, ...]) -> bool:
    """Whether this is the path of an item whose vault is not known. A text elsewhere may begin in the same way."""
    is_path = place == ("spec", "itemPath") or place[:2] == ("spec", "items")
    return is_path and isinstance(value, str) and value.startswith(UNKNOWN_VAULT)


def _key(key: str) -> str:
    """The name of a field on one line, however odd it is."""
    written = yaml.safe_dump({key: 1}, **_STYLE).removesuffix(": 1\n")
    simple = len(written.splitlines()) == 1 and not written.startswith("? ")
    return str(written if simple else yaml.safe_dump(key, default_style='"', **_STYLE)).rstrip("\n")


def _dumped(value: Mapping[str, Any]) -> str:
    return str(yaml.dump(value, Dumper=_Dumper, default_flow_style=False, **_STYLE)).rstrip("\n")
