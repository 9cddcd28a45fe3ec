"""References: how a spec names a field of an item, and which field of the item that is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

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

_WHOLE_PATHS: Final = ("op:", "vaults")
"""How the paths of 1Password and of `itemPath` begin."""

_FIELD, _URL, _FILE = range(3)
"""The kinds in their order of precedence: of several, the first that has a value counts."""

_Ranked: TypeAlias = tuple[int, Field]
_Name: TypeAlias = tuple[bool, str]
"""Whether the case is exact, and the name, else case-folded."""


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
        return KeyReference(text=text, key=text[1:])
    parts = [part.strip() for part in text.split("/")]
    alias = parts.pop(0) if len(parts) > 1 and parts[0] in aliases else ""
    if len(parts) > 2:
        if parts[0] in _WHOLE_PATHS:
            raise InvalidTemplate(
                f"{quoted(text)} names a vault and an item; give the item an alias in `items`, and write alias/field"
            )
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


class _Group:
    """Fields of one name in whatever case, in the order of precedence of their kinds."""

    __slots__ = ("_best", "_spelled", "fields")

    def __init__(self) -> None:
        self.fields: list[tuple[str, _Ranked]] = []
        self._spelled: dict[str, list[_Ranked]] | None = None
        self._best: dict[str | None, Sequence[Field]] = {}

    def best(self, name: str) -> Sequence[Field]:
        """Those that have a value and are meant before all others. If they are several, nothing decides between them."""
        if len(self.fields) == 1:
            # As with most names: nothing is to be compared.
            only = self.fields[0][1][1]
            return (only,) if has_value(only) else ()
        if self._spelled is None:
            self._spelled = {}
            for spelling, ranked in self.fields:
                self._spelled.setdefault(spelling, []).append(ranked)
        exact = name if name in self._spelled else None
        if exact not in self._best:
            fits = [ranked for _, ranked in self.fields] if exact is None else self._spelled[exact]
            self._best[exact] = _best_of(fits)
        return self._best[exact]


def _best_of(ranked: Sequence[_Ranked]) -> Sequence[Field]:
    for kind in (_FIELD, _URL, _FILE):
        fits = [each for rank, each in ranked if rank == kind]
        # An index of one section holds no others. Else, an empty field in none does not make way for one of a section.
        fits = [each for each in fits if each.section is None] or fits
        if valued := [each for each in fits if has_value(each)]:
            # Each URL has the same label until somebody labels it, so the best one counts.
            return valued[:1] if kind == _URL else valued
    return ()


class Fields:
    """The fields, URLs and files of one item, found by reference. The time for all references together is bounded.

    Args:
        item: with its values.
        alias: of the item; empty for the main one.
        further: the further items by alias, if it is the main one, for what may have been meant.
    """

    def __init__(self, item: Item, alias: str, further: Mapping[str, Item] | None = None) -> None:
        self._item = item
        self._alias = alias
        self._further = further or {}
        self._where = item_name(alias)
        urls = [Field(id="", label=url.label, value=url.href) for url in reversed(ordered_urls(item.ref.urls))]
        self._all = [
            *((_FIELD, each) for each in item.fields if each.kind is not FieldKind.FILE),
            *((_URL, each) for each in urls),
            *((_FILE, each) for each in item.fields if each.kind is FieldKind.FILE),
        ]
        self._indexes: dict[tuple[_Name | None, bool], Mapping[str, _Group]] = {}
        self._sections: Mapping[_Name, Sequence[_Ranked]] | None = None
        self._many: dict[str | None, Mapping[str, bytes]] = {}

    def find(self, reference: FieldReference) -> Field | None:
        """The field that a reference means, or None if there is none that has a value.

        Letters of any case fit. Of several fields, those in the exact case come first, then fields before URLs before
        files, then those without a section, unless the reference names one.

        Raises:
            FieldAmbiguous: several are left.
        """
        group = self._named(reference)
        best = () if group is None else group.best(reference.name)
        if len(best) > 1:
            raise self._ambiguous(reference, best)
        return best[0] if best else None

    def missing(self, reference: FieldReference) -> FieldNotFound:
        """Why a reference finds no value, with the name that was probably meant."""
        wanted = quoted(reference.text)
        if self._named(reference):
            return FieldNotFound(f"{wanted} has no value in {self._where}")
        section = reference.section
        inside = [each for _, each in (self._all if section is None else self._in(section))]
        if section is not None and not inside:
            sections = {each.section for each in self._item.fields if each.section is not None}
            hint = _hint(section, sorted(sections | self._further.keys()))
            # What stands before the first `/` may have been meant as an alias.
            other = "" if self._alias else f", and `items` has no alias {quoted(section)}"
            return FieldNotFound(f"{wanted}: {self._where} has no section {quoted(section)}{other}{hint}")
        if reference.name == MANY:
            return FieldNotFound(f"{wanted}: no field of {self._where} has a value")
        hint = _hint(reference.name, sorted({each.label for each in inside}))
        if not hint and section is None:
            hint = self._in_further(reference.name)
        return FieldNotFound(f"{wanted} is no field of {self._where}{hint}")

    def _in_further(self, name: str) -> str:
        """The hint that further items have a field of this label."""
        folded = name.casefold()
        holders = [
            quoted(f"{alias}/{name}")
            for alias, item in sorted(self._further.items())
            if any(each.label.casefold() == folded for each in item.fields)
        ]
        return f"; did you mean {enumerated(holders, _MOST_NAMED)}?" if holders else ""

    def many(self, reference: FieldReference) -> Mapping[str, bytes]:
        """What all fields of an item or a section hold, by the keys that `include` would make of them, sorted.

        Files, empty values and reserved labels are left out.
        """
        section = None if reference.section is None else reference.section.casefold()
        if section not in self._many:
            if section is None:
                item = self._item
            else:
                inside = (each for _, each in self._in(section))
                item = Item(replace(self._item.ref, urls=()), tuple(inside))
            chosen = choose(item, lambda each: not is_reserved_label(each.label))
            self._many[section] = dict(sorted(plan_content(chosen, DEFAULT_MAPPING).data.items()))
        return self._many[section]

    def _named(self, reference: FieldReference) -> _Group | None:
        """Everything that a reference fits, in whatever case: by label, else by id; in the exact section, else in any case."""
        places: Sequence[_Name | None] = (None,) if reference.section is None else _spellings(reference.section)
        folded = reference.name.casefold()
        for by_id in (False, True):
            for place in places:
                found = self._index(place, by_id=by_id).get(folded)
                if found is not None:
                    return found
        return None

    def _index(self, place: _Name | None, *, by_id: bool) -> Mapping[str, _Group]:
        """The fields of a section, or all, by name; made when it is first needed."""
        known = self._indexes.get((place, by_id))
        if known is not None:
            return known
        if place is not None and place not in self._by_section():
            return {}
        fields = self._all if place is None else self._by_section()[place]
        groups: dict[str, _Group] = {}
        for ranked in fields:
            name = ranked[1].id if by_id else ranked[1].label
            folded = name.casefold()
            group = groups.get(folded)
            if group is None:
                group = groups[folded] = _Group()
            group.fields.append((name, ranked))
        self._indexes[place, by_id] = groups
        return groups

    def _in(self, section: str) -> Sequence[_Ranked]:
        """The fields and files of all sections that a name fits."""
        return self._by_section().get((False, section.casefold()), ())

    def _by_section(self) -> Mapping[_Name, Sequence[_Ranked]]:
        if self._sections is None:
            found: dict[_Name, list[_Ranked]] = {}
            for ranked in self._all:
                if ranked[1].section is not None:
                    names = {*_spellings(ranked[1].section), *_spellings(ranked[1].section_id)}
                    for name in names:
                        found.setdefault(name, []).append(ranked)
            self._sections = found
        return self._sections

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


def _spellings(name: str) -> tuple[_Name, _Name]:
    """A name in its exact case, and in any case."""
    return (True, name), (False, name.casefold())


def _path(field: Field) -> str:
    label = one_line(shorten(field.label, 80))
    return label if field.section is None else f"{one_line(shorten(field.section, 80))}/{label}"


def _hint(name: str, known: Iterable[str]) -> str:
    meant = closest(name, known)
    return "" if meant is None else f"; did you mean {quoted(meant)}?"
