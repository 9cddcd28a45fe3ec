"""Writes docs/schemas/, a JSON Schema of each of our kinds, with which editors and kubeconform check manifests.

The source is `crds/`. What only an API server can check is left out, but for rules that are one regular expression.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from generated import ROOT, generate

FOLDER = ROOT / "docs" / "schemas"

# `duration` is another format in JSON Schema than in a definition, and the sizes of integers are none there.
_FORMATS: Final = {"date-time"}
_COPIED: Final = (
    *("type", "description", "required", "enum", "pattern", "default"),
    *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minimum", "maximum"),
)
# RE2, as API servers have it, and ECMAScript agree on what these expressions use.
_VALUE = re.compile(r"self\.matches\('([^']*)'\)")
_NAMES = re.compile(r"self\.all\((\w+), (?:[^|!']* && )?\1\.matches\('([^']*)'\)(?: && [^|]*)?\)")


def schemas() -> dict[str, str]:
    """Each file that docs/schemas/ must hold, by name; the names are those that kubeconform looks for."""
    return {
        f"{names['kind'].lower()}_{version['name']}.json": _written(spec, version)
        for spec in _definitions()
        for names in (spec["names"],)
        for version in spec["versions"]
    }


def _definitions() -> Iterator[Mapping[str, Any]]:
    for file in sorted((ROOT / "crds").glob("*.yaml")):
        for crd in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            yield crd["spec"]


def _written(spec: Mapping[str, Any], version: Mapping[str, Any]) -> str:
    schema = _converted(version["schema"]["openAPIV3Schema"])
    properties = schema["properties"]
    properties["apiVersion"]["const"] = f"{spec['group']}/{version['name']}"
    properties["kind"]["const"] = spec["names"]["kind"]
    properties["metadata"]["required"] = ["name"]
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": spec["names"]["kind"]}
    required = ["apiVersion", "kind", "metadata", *schema.pop("required", ())]
    return json.dumps({**head, "required": required, **schema}, indent=2) + "\n"


def _converted(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A part of a definition as JSON Schema, in which an unknown field is an error, as for `kubectl apply`."""
    made: dict[str, Any] = {key: schema[key] for key in _COPIED if key in schema}
    if schema.get("format") in _FORMATS:
        made["format"] = schema["format"]
    for rule in schema.get("x-kubernetes-validations", ()):
        if found := _VALUE.fullmatch(rule["rule"].strip()):
            made["pattern"] = found[1]
        elif (found := _NAMES.fullmatch(rule["rule"].strip())) and "propertyNames" not in made:
            made["propertyNames"] = {"pattern": found[2]}
    if "items" in schema:
        made["items"] = _converted(schema["items"])
    if isinstance(more := schema.get("additionalProperties"), Mapping):
        made["additionalProperties"] = _converted(more)
    if "properties" in schema:
        made["properties"] = {name: _converted(part) for name, part in schema["properties"].items()}
        made["additionalProperties"] = False
    return made


def main() -> int:
    """Write the files; with `--check` only say whether they are current."""
    wanted = {FOLDER / name: text for name, text in schemas().items()}
    return generate(wanted, present=set(FOLDER.glob("*.json")), command="make pages")


if __name__ == "__main__":
    sys.exit(main())
