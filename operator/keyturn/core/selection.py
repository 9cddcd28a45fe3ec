"""What `include` and `exclude` select: the fields that keep their label as key."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from keyturn.core.content import MappingOptions, Skipped, plan_content
from keyturn.core.references import (
    MANY,
    FieldReference,
    KeyReference,
    choose,
    is_reserved_label,
    item_name,
    parse_reference,
    quoted,
)
from keyturn.core.shape_errors import InvalidTemplate, KeyConflict
from keyturn.core.vault import Field, Item


@dataclass(frozen=True, slots=True)
class _Names:
    """The names that patterns for one section, or for all, select; case-folded.

    Attributes:
        exact: whole labels and ids.
        prefixes: what labels begin with.
    """

    exact: frozenset[str]
    prefixes: tuple[str, ...]

    def fit(self, field: Field) -> bool:
        label = field.label.casefold()
        if label in self.exact or (field.id and field.id.casefold() in self.exact):
            return True
        return label.startswith(self.prefixes) and not is_reserved_label(field.label)


class Patterns:
    """Patterns of fields: a reference, or one that ends in `*`. The time to judge a field does not grow with their number.

    Args:
        found: the patterns as references.
    """

    def __init__(self, found: Iterable[FieldReference]) -> None:
        sorted_out: dict[str, dict[str | None, list[str]]] = {}
        for each in found:
            section = None if each.section is None else each.section.casefold()
            sorted_out.setdefault(each.alias, {}).setdefault(section, []).append(each.name.casefold())
        self._items: Mapping[str, Mapping[str | None, _Names]] = {
            alias: {section: _names(names) for section, names in sections.items()}
            for alias, sections in sorted_out.items()
        }

    @property
    def aliases(self) -> Collection[str]:
        """The items of which they may select something."""
        return self._items.keys()

    def fit(self, field: Field, alias: str) -> bool:
        """Whether one of them selects a field of an item."""
        sections = self._items.get(alias)
        if not sections:
            return False
        places = [None] if field.section is None else [None, field.section.casefold(), field.section_id.casefold()]
        return any(names.fit(field) for place in places if (names := sections.get(place)) is not None)


@dataclass(frozen=True, slots=True)
class Included:
    """What comes into a Secret by patterns.

    Attributes:
        data: what fields and URLs give.
        files: which file's bytes go under which key, with the alias of its item; none of these keys is in `data`.
        skipped: what could not become a key.
        shared: the keys that several fields or files become, sorted.
    """

    data: Mapping[str, bytes] = field(repr=False)
    files: Mapping[str, tuple[str, Field]]
    skipped: tuple[Skipped, ...]
    shared: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which fields of which items keep their label as key."""

    include: Patterns
    exclude: Patterns

    def included(self, items: Mapping[str, Item], options: MappingOptions, *, taken: Collection[str]) -> Included:
        """The keys that labels become.

        Args:
            items: by alias.
            options: of the mapping.
            taken: keys that the spec names otherwise, which come before those of labels.

        Raises:
            KeyConflict: two items give the same key.
        """
        data: dict[str, bytes] = {}
        files: dict[str, tuple[str, Field]] = {}
        skipped: dict[Skipped, None] = {}
        shared: set[str] = set()
        sources: dict[str, str] = {}
        for alias in self.include.aliases:
            plan = plan_content(self._selected(items[alias], alias), options)
            keys = {*plan.data, *plan.files}.difference(taken)
            if conflicts := [key for key in keys if sources.setdefault(key, alias) != alias]:
                # Always the same one, so that the status stays as it is.
                key = min(conflicts)
                raise KeyConflict(
                    f"key {quoted(key)} comes from both {item_name(sources[key])} and {item_name(alias)};"
                    " exclude it from one, or name it in keys"
                )
            data |= {key: value for key, value in plan.data.items() if key not in taken}
            files |= {key: (alias, file) for key, file in plan.files.items() if key not in taken}
            skipped |= dict.fromkeys(plan.skipped)
            shared.update(key for key in plan.shared if key not in taken)
        return Included(data, files, tuple(skipped), tuple(sorted(shared)))

    def _selected(self, item: Item, alias: str) -> Item:
        return choose(item, lambda each: self.include.fit(each, alias) and not self.exclude.fit(each, alias))


def parse_pattern(text: str, aliases: Collection[str]) -> FieldReference:
    """Read a pattern: a reference that may end in one `*`.

    Raises:
        InvalidTemplate: it is none.
    """
    written = text.strip()
    if any(sign in written for sign in ("|", ",", ")", "}}")):
        raise InvalidTemplate(
            f"{quoted(text)} is no pattern; a label that contains '|', ',', ')' or '}}}}' is named by its id"
        )
    if MANY in written[:-1]:
        raise InvalidTemplate(f"{quoted(text)}: a pattern has one '*' at most, at its end")
    found = parse_reference(written, aliases)
    if isinstance(found, KeyReference):
        raise InvalidTemplate(f"{quoted(text)}: a pattern names fields, not keys")
    return found


def _names(names: Iterable[str]) -> _Names:
    return _Names(
        exact=frozenset(names) - {MANY},
        prefixes=tuple({name.removesuffix(MANY) for name in names if name.endswith(MANY)}),
    )
