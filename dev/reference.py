"""Writes docs/reference.md, the page that lists every public name: kinds and fields, annotations and labels, reasons, settings.

Its sources are `crds/`, `core/names.py`, `core/reasons.py`, `core/events.py`, and the README's tables of settings, which a test compares with
`settings.py`. Only the meaning of an annotation stands here, because no other file needs it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from generated import ROOT, generate

PAGE = ROOT / "docs" / "reference.md"
CORE = ROOT / "operator" / "keyturn" / "core"
PREFIXES = ("keyturn.dev/", "operator.1password.io/", "operator.1password.io:", "onepassword.com/")
# On which objects a name stands, who writes it, and what it means. Names are those of core/names.py, and of the chart's policy.
MEANINGS: Mapping[str, tuple[str, str, str]] = {
    "operator.1password.io/item-path": (
        "Deployment, StatefulSet, DaemonSet, or their pod template",
        "you",
        "requests a Secret with this item ([annotated workloads](workloads.md)); on a Secret, Keyturn writes the path with ids",
    ),
    "operator.1password.io/item-name": ("the same", "you", "the name of that Secret"),
    "operator.1password.io/auto-restart": (
        "OnePasswordItem, KeyturnSecret, workload, Namespace",
        "you",
        '`"true"` or `"false"`: whether workloads restart ([restarts](restarts.md#which-workloads-restart))',
    ),
    "operator.1password.io/item-version": ("Secret", "Keyturn", "the version of the item in the Secret"),
    "operator.1password.io/last-restarted": ("pod template", "Keyturn", "when Keyturn last restarted the workload"),
    "operator.1password.io:ignore-secret": (
        "item in 1Password, as a tag",
        "you",
        "the Secret stays as it is; the object has the reason `Frozen`",
    ),
    "onepassword.com/finalizer.secret": (
        "OnePasswordItem, workload",
        "1Password's operator",
        "a finalizer that Keyturn removes",
    ),
    "keyturn.dev/adopt": (
        "Secret",
        "you",
        '`"true"`: Keyturn may take over this Secret, which it did not create (reason [`SecretNotOurs`](status.md#reasons))',
    ),
    "keyturn.dev/refresh-mounts": (
        "OnePasswordItem, KeyturnSecret, pod template",
        "you",
        '`"true"` or `"false"`: whether [mounted files are refreshed at once](mounts.md)',
    ),
    "keyturn.dev/sync-requested": (
        "OnePasswordItem, KeyturnSecret, Connection",
        "you",
        "any new text: Keyturn [looks at its vaults now](troubleshooting.md#sync-now), without waiting for the next poll",
    ),
    "keyturn.dev/vaults": (
        "Namespace",
        "you",
        "which vaults its objects may name, if the chart's [policy](tenants.md) is on",
    ),
    "keyturn.dev/revision": (
        "Secret, pod template",
        "Keyturn",
        "on a Secret: its revision, which each change of its data raises; on a pod template: for which revisions it was restarted",
    ),
    "keyturn.dev/restart-owed": (
        "Secret",
        "Keyturn",
        "the [pending restarts](restarts.md#exactly-once): which keys changed, at which revision, and when",
    ),
    "keyturn.dev/restart-declined": (
        "Secret",
        "Keyturn",
        "uids of workloads that did not request the pending restart",
    ),
    "keyturn.dev/options": ("Secret", "Keyturn", "settings that affect its content and differ from their defaults"),
    "keyturn.dev/keys": (
        "Secret",
        "Keyturn",
        "on the Secret of an annotated workload, the names of its keys",
    ),
    "keyturn.dev/items": (
        "Secret",
        "Keyturn",
        "on the Secret of a KeyturnSecret, alias, path with ids and version of each further item",
    ),
    "keyturn.dev/shape": (
        "Secret",
        "Keyturn",
        "on the Secret of a KeyturnSecret, a digest of the fields of `spec` that shape it; nothing of it comes from a value",
    ),
    "keyturn.dev/connection": (
        "Secret",
        "Keyturn",
        "the [Connection](connections.md) through which it was filled, as namespace/name; missing if it was that of the installation",
    ),
    "keyturn.dev/allow-reveal": (
        "Namespace",
        "you",
        '`"true"`: [AccessGrants](access.md#limit-what-may-be-granted) of the namespace may allow `reveal`',
    ),
    "keyturn.dev/disconnect": (
        "Connection",
        "Keyturn",
        "a finalizer: the Secrets that were filled through it are [deleted with it](connections.md#disconnect)",
    ),
    "keyturn.dev/previous": (
        "Secret",
        "Keyturn",
        "until when which keys of `spec.previous` hold the value of before the last change",
    ),
    "keyturn.dev/refreshed": ("Pod", "Keyturn", "the revisions for which its mounted files were refreshed"),
}
"""One entry for each name; `page` refuses a name without one."""

INTRODUCTION = """\
<!-- written by `make pages` from crds/, operator/keyturn/core and README.md -->

# Reference

All public names in one place. They stay as they are within a minor version; see [the changelog](../CHANGELOG.md). Metrics, Events and lines
of the log are on the page [Troubleshooting](troubleshooting.md), the chart's values in
[its README](../helm/keyturn/README.md#values), and what becomes a key of a Secret on the page [How an item becomes keys](items-to-keys.md).
"""


class UndocumentedName(Exception):
    """A public name without a meaning, or a meaning without a name."""


def page() -> str:
    """What docs/reference.md must hold.

    Raises:
        UndocumentedName: see there.
    """
    parts = (INTRODUCTION, _kinds(), _names(), _reasons(), _settings())
    return "\n".join(parts)


def _kinds() -> str:
    lines = ["## Kinds\n"]
    for file in sorted((ROOT / "crds").glob("*.yaml")):
        for crd in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            spec = crd["spec"]
            names = spec["names"]
            for version in spec["versions"]:
                schema = version["schema"]["openAPIV3Schema"]
                short = ", ".join(f", short name `{name}`" for name in names.get("shortNames", ()))
                lines += [
                    f"### {names['kind']}\n",
                    f"`{spec['group']}/{version['name']}`{short}. {_text(schema['description'])}\n",
                    "| field | type | meaning |",
                    "|---|---|---|",
                    *(f"| `{path}` | {kind} | {meaning} |" for path, kind, meaning in _fields(schema)),
                    "",
                    "`kubectl get` shows these columns; those marked as wide need `-o wide`:\n",
                    "| column | shows |",
                    "|---|---|",
                    *(
                        f"| `{column['name'].upper()}`{' (wide)' if column.get('priority') else ''} | `{_code(column['jsonPath'])}` |"
                        for column in version["additionalPrinterColumns"]
                    ),
                    "",
                ]
    return "\n".join(lines)


def _fields(schema: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Each field that has a description: its path, its type, and the description."""
    for name, part in schema.get("properties", {}).items():
        listed = part["type"] == "array"
        path = f"{prefix}{name}{'[]' if listed and 'properties' in part['items'] else ''}"
        if "description" in part:
            kind = f"list of {part['items']['type']}s" if listed else part["type"]
            if "additionalProperties" in part:
                kind = f"map of {part['additionalProperties']['type']}s"
            yield path, kind, _text(part["description"])
        yield from _fields(part["items"] if listed else part, f"{path}.")


def _names() -> str:
    strings = [
        value for value in _constants(CORE / "names.py") if value.startswith(PREFIXES) and not value.endswith("/")
    ]
    policy = (ROOT / "helm" / "keyturn" / "templates" / "vaultpolicy.yaml").read_text(encoding="utf-8")
    found = {*strings, *re.findall(r'"(keyturn\.dev/[a-z-]+)"', policy)}
    if wrong := found ^ MEANINGS.keys():
        raise UndocumentedName(f"MEANINGS in dev/reference.py and core/names.py differ in {', '.join(sorted(wrong))}")
    rows = [f"| `{name}` | {where} | {writer} | {meaning} |" for name, (where, writer, meaning) in MEANINGS.items()]
    return "\n".join(
        [
            "## Annotations, tags and labels\n",
            "You set those that say `you`. The others are Keyturn's records; do not edit them.\n",
            "| name | on | written by | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
            "Each Secret that Keyturn manages has the label `app.kubernetes.io/managed-by: keyturn`. Labels of a `OnePasswordItem` or `KeyturnSecret`",
            "are copied to its Secret, except those by which other tools track their objects:",
            "",
            *(f"- `{entry}{'*' if entry.endswith('/') else ''}`" for entry in _tuple(CORE / "names.py", "TRACKING")),
            "",
        ]
    )


def _reasons() -> str:
    status = dict(_members(CORE / "reasons.py", "Reason"))
    events = dict(_members(CORE / "events.py", "EventReason"))
    return "\n".join(
        [
            "## Reasons\n",
            "Of conditions in the status of an object, and of Events with the type Warning or Normal. The page on the status says",
            "[what to do about each](status.md#reasons); those of [Connections](connections.md#reasons) and [AccessGrants](access.md#reasons) are on",
            "their pages.\n",
            "| reason | meaning |",
            "|---|---|",
            *(f"| `{reason}` | {_text(meaning)} |" for reason, meaning in status.items()),
            "",
            "Only of Events:\n",
            "| reason | meaning |",
            "|---|---|",
            *(f"| `{reason}` | {_text(meaning)} |" for reason, meaning in events.items()),
            "",
        ]
    )


def _settings() -> str:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    parts = ["## Settings\n", "Environment variables of the operator:\n", _table(readme, "variable")]
    parts += ["Flags of `keyturn operator`:\n", _table(readme, "flag")]
    return "\n".join(parts).rstrip("\n") + "\n"


def _table(page: str, head: str) -> str:
    """A table of the README, with its links as they are from here."""
    (table,) = re.findall(rf"^\| {head} \| default \|.*\n(?:\|.*\n)+", page, re.MULTILINE)
    return str(table).replace("](docs/", "](")


def _tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def _constants(module: Path) -> Iterator[str]:
    """The texts that a module gives a name."""
    for node in _tree(module).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)


def _tuple(module: Path, name: str) -> tuple[str, ...]:
    """The texts of a tuple of a module."""
    for node in _tree(module).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name and node.value is not None:
            found: tuple[str, ...] = ast.literal_eval(node.value)
            return found
    raise UndocumentedName(f"{module.name} has no {name}")


def _members(module: Path, enum: str) -> Iterator[tuple[str, str]]:
    """The value of each member of an enum, with the text below it."""
    for node in _tree(module).body:
        if isinstance(node, ast.ClassDef) and node.name == enum:
            for member, text in zip(node.body, node.body[1:], strict=False):
                if isinstance(member, ast.Assign):
                    if not (isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)):
                        raise UndocumentedName(f"{enum}.{ast.unparse(member.targets[0])} has no text below it")
                    yield ast.literal_eval(member.value), str(text.value.value)


def _text(text: str) -> str:
    """One line, fit for a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "\\<")


def _code(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Write the page; with `--check` only say whether it is current."""
    return generate({PAGE: page()}, command="make pages")


if __name__ == "__main__":
    sys.exit(main())
