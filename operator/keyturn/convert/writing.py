"""Writes objects as YAML that people read: block style, fields in the given order, texts of several lines as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from keyturn.convert.outputs import TODO_VAULT

_TODO: Final = "  # TODO vault"


class _Dumper(yaml.SafeDumper):
    """Block style throughout, lines of any length, and no references from one place to another."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's
        """Never."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - PyYAML's
        """Indent lists, too."""
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def write_manifest(manifest: Mapping[str, Any]) -> str:
    """An object as one document, without a separator."""
    return "".join(f"{line}\n" for line in _lines(manifest))


def write_anything(value: Mapping[str, Any]) -> str:
    """An object of any shape as one document; parts that stand in it several times stay references."""
    return yaml.dump(value, Dumper=yaml.SafeDumper, sort_keys=False, allow_unicode=True, width=10**9)


def _lines(mapping: Mapping[str, Any]) -> Iterator[str]:
    for key, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield _dumped({key: None}).removesuffix(" null")
            yield from (line and f"  {line}" for line in _lines(value))
            continue
        written = _dumped({key: value})
        todo = isinstance(value, str) and value.startswith(TODO_VAULT)
        yield from (f"{written}{_TODO}" if todo else written).split("\n")


def _dumped(value: Mapping[str, Any]) -> str:
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=10**9
    ).rstrip("\n")
