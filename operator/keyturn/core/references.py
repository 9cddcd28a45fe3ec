"""References: how a spec names a field of an item, and which field of the item that is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keyturn.base.text import enumerated, one_line, shorten
from keyturn.core.content import DEFAULT_MAPPING, ordered_urls, plan_content
from keyturn.core.hints import closest
from keyturn.core.shape_errors import FieldAmbiguous, FieldNotFound, InvalidTemplate
from keyturn.core.vault import Field, FieldKind, Item

MANY: Final = "*"
"""Stands for all fields of an item or of a section."""

RESERVED_PREFIX: Final = "keyturn "
"""Fields whose label begins so are selected only by their whole name."""

_MOST_NAMED = 5

_URLS: Final = 1
"""The place of URLs in the order of precedence. The best of several URLs counts: each has the same label until somebody labels it."""


@dataclass(frozen=True, slots=True)
class FieldReference:
    """A field of an item, or all of them.

    Attributes:
        text: as the spec has it.
        alias: of the item; empty for the main one.
        section: label or id; None if the reference names none.
        name: label or id of the field, or `MANY`.
    """

    text: str
    alias: str
    section: str | None
    name: str


@dataclass(frozen=True, slots=True)
class KeyReference:
    """The finished bytes of another explicit key of the same Secret.

    Attributes:
        text: as the spec has it.
        key: the other key.
    """

    text: str
    key: str


def parse_reference(text: str, aliases: Collection[str]) -> FieldReference | KeyReference:
    """Read a reference. Which part is an alias depends on the spec alone, so nothing in a vault changes the meaning.

    Args:
        text: as the spec has it.
        aliases: of the further items.

    Raises:
        InvalidTemplate: it is none; the message does not say where it stands.
    """
    if text.startswith("@"):
        return KeyReference(text=text, key=text[1:].strip())
    parts = [part.strip() for part in text.split("/")]
    alias = parts.pop(0) if len(parts) > 1 and parts[0] in aliases else ""
    if len(parts) > 2:
        if len(parts) == 3 and not alias:
            raise InvalidTemplate(f"{quoted(text)}: {quoted(parts[0])} is no alias{_hint(parts[0], aliases)}")
        raise InvalidTemplate(f"{quoted(text)} has too many parts; name a label that contains '/' by its id")
    section, name = parts if len(parts) == 2 else (None, parts[0])
    if not name or section == "":
        raise InvalidTemplate(f"{quoted(text)} has an empty part")
    if (name.startswith(MANY) and name != MANY) or (section is not None and section.startswith(MANY)):
        raise InvalidTemplate(
            f"{quoted(text)}: '*' stands alone, or at the end; name a label that begins with it by its id"
        )
    return FieldReference(text=text, alias=alias, section=section, name=name)


class Fields:
    """The fields, URLs and files of one item, found by reference.

    Args:
        item: with its values.
        alias: of the item; empty for the main one.
    """

    def __init__(self, item: Item, alias: str) -> None:
        self._item = item
        self._where = item_name(alias)
        urls = [Field(id="", label=url.label, value=url.href) for url in reversed(ordered_urls(item.ref.urls))]
        # In the order of precedence. Of several kinds, the first that has a value counts.
        self._kinds: Final[Sequence[Sequence[Field]]] = (
            [each for each in item.fields if each.kind is not FieldKind.FILE],
            urls,
            [each for each in item.fields if each.kind is FieldKind.FILE],
        )
        self._labels = _indexed(self._kinds, lambda each: each.label)
        self._ids: dict[str, list[tuple[int, Field]]] | None = None
        self._many: dict[str | None, Mapping[str, bytes]] = {}

    def find(self, reference: FieldReference) -> Field | None:
        """The field that a reference means, or None if there is none that has a value.

        Letters of any case fit. Of several fields, those in the exact case come first, then fields before URLs before
        files, then those without a section, unless the reference names one.

        Raises:
            FieldAmbiguous: several are left.
        """
        found = self._named(reference)
        for kind in range(len(self._kinds)):
            fits = [field for each, field in found if each == kind]
            if reference.section is None:
                fits = [each for each in fits if each.section is None] or fits
            valued = [each for each in fits if has_value(each)]
            if len(valued) > 1 and kind != _URLS:
                raise self._ambiguous(reference, valued)
            if valued:
                return valued[0]
        return None

    def missing(self, reference: FieldReference) -> FieldNotFound:
        """Why a reference finds no value, with the name that was probably meant."""
        wanted = quoted(reference.text)
        if self._named(reference):
            return FieldNotFound(f"{wanted} has no value in {self._where}")
        section = reference.section
        if section is not None and not any(_is_in(each, section) for each in self._item.fields):
            sections = {each.section for each in self._item.fields if each.section is not None}
            return FieldNotFound(
                f"{wanted}: {self._where} has no section {quoted(section)}{_hint(section, sorted(sections))}"
            )
        if reference.name == MANY:
            return FieldNotFound(f"{wanted}: no field of {self._where} has a value")
        labels = {each.label for kind in self._kinds for each in kind if section is None or _is_in(each, section)}
        return FieldNotFound(f"{wanted} is no field of {self._where}{_hint(reference.name, sorted(labels))}")

    def many(self, reference: FieldReference) -> Mapping[str, bytes]:
        """What all fields of an item or a section hold, by the keys that `include` would make of them, sorted.

        Files, empty values and reserved labels are left out.
        """
        section = None if reference.section is None else reference.section.casefold()
        if section not in self._many:
            chosen = choose(
                self._item,
                lambda each: (
                    each.kind is not FieldKind.FILE
                    and not is_reserved_label(each.label)
                    and (section is None or _is_in(each, section))
                ),
            )
            self._many[section] = dict(sorted(plan_content(chosen, DEFAULT_MAPPING).data.items()))
        return self._many[section]

    def _named(self, reference: FieldReference) -> Sequence[tuple[int, Field]]:
        """Everything that a reference fits: by label, else by id; only the exact case if it occurs."""
        name, section = reference.name, reference.section
        folded = name.casefold()
        found = _within(self._labels.get(folded, ()), section)
        if found:
            return [each for each in found if each[1].label == name] or found
        if self._ids is None:
            self._ids = _indexed(self._kinds, lambda each: each.id)
        found = _within(self._ids.get(folded, ()), section)
        return [each for each in found if each[1].id == name] or found

    def _ambiguous(self, reference: FieldReference, fits: Sequence[Field]) -> FieldAmbiguous:
        names = [f"{_path(each)} (id {one_line(shorten(each.id, 80))})" for each in fits]
        return FieldAmbiguous(
            f"{quoted(reference.text)} fits {len(fits)} fields of {self._where}: {enumerated(names, _MOST_NAMED)};"
            " name the section, or the id"
        )


def has_value(field: Field) -> bool:
    """Whether a field has a value, as far as that is known before files are downloaded."""
    return field.size != 0 if field.kind is FieldKind.FILE else bool(field.value)


def is_reserved_label(label: str) -> bool:
    """Whether a field is left out unless a spec names it."""
    return label.startswith(RESERVED_PREFIX)


def choose(item: Item, chosen: Callable[[Field], bool]) -> Item:
    """The item with only some of its fields, files and URLs; a URL counts as a field without id and section."""
    urls = tuple(url for url in item.ref.urls if chosen(Field(id="", label=url.label)))
    return Item(replace(item.ref, urls=urls), tuple(each for each in item.fields if chosen(each)))


def quoted(name: str) -> str:
    """A name from outside as it stands in a message: in quotes, short, on one line."""
    return f'"{one_line(shorten(name, 80))}"'


def item_name(alias: str) -> str:
    """An item as it stands in a message."""
    return f"item {quoted(alias)}" if alias else "the main item"


def _indexed(kinds: Sequence[Sequence[Field]], name: Callable[[Field], str]) -> dict[str, list[tuple[int, Field]]]:
    """Fields by name in any case, with their kind's place in the order of precedence."""
    found: dict[str, list[tuple[int, Field]]] = {}
    for kind, fields in enumerate(kinds):
        for each in fields:
            found.setdefault(name(each).casefold(), []).append((kind, each))
    return found


def _within(found: Sequence[tuple[int, Field]], section: str | None) -> Sequence[tuple[int, Field]]:
    """Those in a section; all if there is none. Of sections that differ only in case, the exact one counts."""
    if section is None:
        return found
    fits = [each for each in found if _is_in(each[1], section)]
    return [each for each in fits if section in {each[1].section, each[1].section_id}] or fits


def _is_in(field: Field, section: str) -> bool:
    if field.section is None:
        return False
    folded = section.casefold()
    return folded in {field.section.casefold(), field.section_id.casefold()}


def _path(field: Field) -> str:
    label = one_line(shorten(field.label, 80))
    return label if field.section is None else f"{one_line(shorten(field.section, 80))}/{label}"


def _hint(name: str, known: Iterable[str]) -> str:
    meant = closest(name, known)
    return "" if meant is None else f"; did you mean {quoted(meant)}?"
