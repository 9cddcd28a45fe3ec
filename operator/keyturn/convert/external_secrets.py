"""Rewrites an ExternalSecret as a KeyturnSecret."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from keyturn.convert import fields
from keyturn.convert.errors import NotConvertible, named
from keyturn.convert.functions import NoFilter, Surroundings, joined, translate
from keyturn.convert.go_templates import UnreadTemplate, parse
from keyturn.convert.holes import Finished, NewHole, Piece, Sourced, Unwritable, checked_label, write_hole, write_text
from keyturn.convert.outputs import Converted, is_transient, item_path, kept_metadata, keyturn_secret
from keyturn.convert.sources import Sources, read_sources
from keyturn.core.names import is_copied

EXTERNAL_GROUP: Final = "external-secrets.io"
VERSIONS: Final = ("v1", "v1beta1")

_POLICIES: Final = {
    "": "",
    "Owner": "",
    "Orphan": "creationPolicy Orphan: the Secret will go with its KeyturnSecret; to keep it, delete with --cascade=orphan",
}
_ENGINES: Final = {"": "", "v2": "v2"}
_MERGED: Final = {"": "", "Replace": "", "Merge": "Merge"}
_DROPPED: Final = ("data", "dataFrom", "secretStoreRef", "target")


def convert_external_secret(manifest: Mapping[str, Any], vault: str | None) -> Converted:
    """The KeyturnSecret that makes the same Secret.

    Args:
        manifest: of kind ExternalSecret.
        vault: in which all items are; None leaves a mark in its place.

    Raises:
        NotConvertible: it uses something that a KeyturnSecret cannot say.
    """
    if manifest["apiVersion"].removeprefix(f"{EXTERNAL_GROUP}/") not in VERSIONS:
        raise NotConvertible("apiVersion", f"only {' and '.join(VERSIONS)} can be converted")
    metadata = fields.mapping(manifest, "metadata", "")
    spec = fields.mapping(manifest, "spec", "")
    fields.only(spec, "spec", (*_DROPPED, *(name for name in spec if str(name).startswith("refresh"))))
    target = fields.mapping(spec, "target", "spec")
    fields.only(target, "spec.target", ("name", "creationPolicy", "deletionPolicy", "template"))
    note = fields.choice(target, "creationPolicy", "spec.target", _POLICIES)
    template = fields.mapping(target, "template", "spec.target")

    content = _Content(read_sources(spec, "spec"), notes=[note] if note else [])
    content.read(template)
    name = fields.text(target, "name", "spec.target", fields.text(metadata, "name", "metadata"))
    return keyturn_secret(
        metadata=kept_metadata(metadata, name),
        spec=content.written(vault) | _secret(metadata, template),
        notes=content.notes,
    )


def _secret(metadata: Mapping[str, Any], template: Mapping[str, Any]) -> dict[str, Any]:
    """`secret`: its type, labels and annotations."""
    where = "spec.target.template"
    secret: dict[str, Any] = {}
    if template.get("type"):
        secret["type"] = _constant(fields.text(template, "type", where), f"{where}.type")
    if template:
        about = fields.mapping(template, "metadata", where)
        fields.only(about, f"{where}.metadata", ("labels", "annotations"))
        for kind in ("labels", "annotations"):
            found = fields.texts(about, kind, f"{where}.metadata")
            inside = f"{where}.metadata.{kind}"
            secret[kind] = {key: _constant(each, fields.at(inside, key)) for key, each in found.items()}
    else:
        # Without a template, External Secrets copies them from its object.
        found = fields.texts(metadata, "annotations", "metadata")
        secret["annotations"] = {key: each for key, each in found.items() if is_copied(key) and not is_transient(key)}
    secret = {name: each for name, each in secret.items() if each}
    return {"secret": secret} if secret else {}


def _constant(template: str, where: str) -> str:
    """A text that must not hold values, since everybody may read it."""
    pieces = _translated(template, where, Surroundings(resolve=_no_value, finished=_no_key))
    if any(isinstance(piece, NewHole) for piece in pieces):
        raise NotConvertible(where, "a value of an item, where everybody can read it")
    return "".join(str(piece) for piece in pieces)


def _no_value(_: str) -> NewHole:
    raise NoFilter("a value of an item, where everybody can read it")


def _no_key(_: Sequence[Piece]) -> NewHole:
    raise NoFilter("a composed text")


def _translated(template: str, where: str, around: Surroundings) -> list[Piece]:
    try:
        return joined([piece for each in parse(template) for piece in translate(each, around)])
    except UnreadTemplate as error:
        why = f"the template uses {error}"
    except NoFilter as error:
        why = str(error)
    raise NotConvertible(where, why)


@dataclass(slots=True)
class _Content:
    """The keys of the Secret, collected and then written.

    Attributes:
        sources: of all values.
        notes: what the user should know about the result.
    """

    sources: Sources
    notes: list[str]
    _texts: dict[str, list[Piece]] = field(default_factory=dict)
    _included: list[Sourced] = field(default_factory=list)

    def read(self, template: Mapping[str, Any]) -> None:
        """Read which keys the Secret gets."""
        where = "spec.target.template"
        fields.only(template, where, ("engineVersion", "type", "metadata", "data", "mergePolicy"))
        data = fields.texts(template, "data", where)
        if data:
            fields.choice(template, "engineVersion", where, _ENGINES)
        if not data or fields.choice(template, "mergePolicy", where, _MERGED):
            self._take_all()
        for key, text in data.items():
            self._translate(key, text, fields.at(f"{where}.data", key))

    def _take_all(self) -> None:
        """All values under their own names."""
        for key, hole in self.sources.single.items():
            self._texts[key] = [hole]
        self._included = list(dict.fromkeys(extract.included() for extract in self.sources.extracts))
        if len({each.item for each in self._included}) > 1:
            self.notes.append(
                "dataFrom: if two items have a field of the same label, the KeyturnSecret says KeyConflict; "
                "External Secrets takes the last one"
            )

    def _translate(self, key: str, template: str, where: str) -> None:
        helpers = 0

        def finished(pieces: Sequence[Piece]) -> NewHole:
            """A further key, which holds the composed text, so that a filter can take it."""
            nonlocal helpers
            helpers += 1
            helper = f"{key}.text" if helpers == 1 else f"{key}.text-{helpers}"
            if helper in self._texts:
                raise NoFilter(f"a function of a composed text, for which the key {named(helper)} is needed")
            self._texts[helper] = list(pieces)
            self.notes.append(f"the Secret gets a further key {named(helper)}, of which {named(key)} is made")
            return NewHole(Finished(helper))

        self._texts[key] = _translated(template, where, Surroundings(self.sources.resolve, finished))

    def written(self, vault: str | None) -> dict[str, Any]:
        """The fields of the spec."""
        aliases = _aliases(self._used_items())
        keys: dict[str, str] = {}
        templates: dict[str, str] = {}
        for key, pieces in self._texts.items():
            try:
                match pieces:
                    case [NewHole() as hole]:
                        keys[key] = write_hole(hole, aliases)
                    case _:
                        templates[key] = write_text(pieces, aliases)
            except Unwritable as error:
                raise NotConvertible(fields.at("data", key), str(error)) from None
        main, *further = aliases
        spec: dict[str, Any] = {
            "itemPath": item_path(vault, main),
            "items": {aliases[item]: item_path(vault, item) for item in further},
            "keys": keys,
            "templates": templates,
            "include": self._patterns(aliases),
        }
        return {name: each for name, each in spec.items() if each}

    def _used_items(self) -> list[str]:
        """The items that the Secret is made of, in the order of the ExternalSecret; if there is none, the first one."""
        holes = [piece for pieces in self._texts.values() for piece in pieces if isinstance(piece, NewHole)]
        used = {operand.item for hole in holes for operand in hole.operands if isinstance(operand, Sourced)}
        used |= {each.item for each in self._included}
        return [item for item in self.sources.items if item in used] or [self.sources.items[0]]

    def _patterns(self, aliases: Mapping[str, str]) -> list[str]:
        """`include`; nothing if it would say what holds without it."""
        if self._included == [Sourced(next(iter(aliases)), "*")] and not self._texts:
            return []
        patterns = []
        for each in self._included:
            try:
                label = "*" if each.label == "*" else checked_label(each.label)
            except Unwritable as error:
                raise NotConvertible("spec.dataFrom.extract.property", str(error)) from None
            patterns.append("/".join(filter(None, (aliases[each.item], label))))
        return patterns


_NO_ALIAS = re.compile(r"[^a-z0-9]+")


def _aliases(items: Sequence[str]) -> dict[str, str]:
    """An alias for each item but the first: its title as far as it can be one."""
    aliases: dict[str, str] = {}
    for item in items:
        if not aliases:
            aliases[item] = ""
            continue
        plain = _NO_ALIAS.sub("-", item.rpartition("/")[2].lower()).strip("-")
        start = plain if plain[:1].isalpha() else f"item-{plain}".strip("-")
        alias, number = start[:32].rstrip("-"), 1
        while alias in aliases.values():
            number += 1
            alias = f"{start[:28]}-{number}"
        aliases[item] = alias
    return aliases
