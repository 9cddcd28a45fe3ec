"""The shape of a Secret: what its spec asks for, read and checked without a vault, and then made from items."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from keyturn.base.text import seconds_of
from keyturn.core.content import MappingOptions, Skipped
from keyturn.core.key_plans import MAX_HOLE_CHARS, KeyPlan, check_most, plan_keys, random_keys
from keyturn.core.keys import is_legal_key
from keyturn.core.references import MANY, Fields, quoted
from keyturn.core.rendering import MAX_FILTERED_BYTES, Renderer
from keyturn.core.selection import Patterns, Selection, parse_pattern
from keyturn.core.shape_errors import InvalidTemplate
from keyturn.core.text_filters import check_size
from keyturn.core.vault import Field, Item

MAX_ITEMS: Final = 16
MAX_PATTERNS: Final = 256
MIN_PREVIOUS_S: Final = 60
MAX_PREVIOUS_S: Final = 720 * 3600

_DIGEST_DIGITS: Final = 12

_ALIAS = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class Previous:
    """Which keys hold for a while what another key held before its last change.

    Attributes:
        seconds: how long after the change.
        keys: (key, the key whose previous bytes it holds), sorted.
    """

    seconds: float
    keys: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """The shaping fields of a spec as they are written. It holds no values, and equal specs are equal.

    Attributes:
        items: further items, (alias, path), sorted.
        keys: (key, hole without braces), sorted.
        templates: (key, text with holes), sorted.
        include: patterns of fields that keep their label as key, sorted; None if the spec has none.
        exclude: patterns that are taken away from `include`, sorted.
        previous: None if no key holds previous bytes.
    """

    items: tuple[tuple[str, str], ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    templates: tuple[tuple[str, str], ...] = ()
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    previous: Previous | None = None

    @classmethod
    def read(cls, spec: Mapping[str, Any]) -> Self:
        """The shape that a spec asks for. What has the wrong type counts as absent: the CRD refuses it anyway."""
        include = spec.get("include")
        return cls(
            items=_texts(spec.get("items")),
            keys=_texts(spec.get("keys")),
            templates=_texts(spec.get("templates")),
            include=_patterns(include) if isinstance(include, list | tuple) else None,
            exclude=_patterns(spec.get("exclude")),
            previous=_previous(spec.get("previous")),
        )

    @property
    def is_plain(self) -> bool:
        """Whether the Secret is made as for a `OnePasswordItem`: of all fields of one item, each by its label."""
        return self == Shape()

    @property
    def pieces(self) -> int:
        """About how many holes and filters its keys and templates have; it is not yet known whether they are right."""
        holes = len(self.keys) + sum(text.count("{{") for _, text in self.templates)
        return holes + sum(text.count("|") for _, text in (*self.keys, *self.templates))

    def digest(self) -> str:
        """12 hex digits that differ between different shapes: of the spec's public text, never of a value."""
        fields: dict[str, Any] = {
            name: dict(pairs)
            for name, pairs in (("items", self.items), ("keys", self.keys), ("templates", self.templates))
            if pairs
        }
        if self.include is not None:
            fields["include"] = self.include
        if self.exclude:
            fields["exclude"] = self.exclude
        if self.previous is not None:
            fields["previous"] = {"for": self.previous.seconds, "keys": dict(self.previous.keys)}
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:_DIGEST_DIGITS]


@dataclass(frozen=True, slots=True)
class Rendered:
    """The finished data of a Secret.

    Attributes:
        data: all keys, but those of `Shape.previous`.
        skipped: labels that `include` selects and that cannot become a key.
        shared: the keys by `include` that several fields or files become, sorted.
    """

    data: Mapping[str, bytes] = field(repr=False)
    skipped: tuple[Skipped, ...] = ()
    shared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShapePlan:
    """A shape that is known to be right as far as that can be said without a vault.

    Attributes:
        origins: (key, references as written, sorted) of each explicit key, sorted.
        random_keys: those whose bytes differ at each rendering without the old ones, also through other keys.
    """

    origins: tuple[tuple[str, tuple[str, ...]], ...]
    random_keys: frozenset[str]
    _keys: tuple[KeyPlan, ...] = field(repr=False)
    _selection: Selection = field(repr=False)
    _taken: frozenset[str] = field(repr=False)
    _previous: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def uses_random(self) -> bool:
        """Whether the old bytes must be at hand, and a thread, because to make and to check random ones takes long."""
        return bool(self.random_keys)

    def files(self, items: Mapping[str, Item], options: MappingOptions) -> tuple[tuple[str, Field], ...]:
        """The files to download before rendering, as (alias, file); the main item's alias is empty.

        Args:
            items: the main item under the empty alias, and each further item under its own.
            options: for the fields that come by `include`.

        Raises:
            FieldNotFound: a required field does not exist, or has no value.
            FieldAmbiguous: a reference fits several fields.
            KeyConflict: two items give the same key.
            ShapeTooLarge: what is known of the sizes is too much already.
        """
        included = self._selection.included(items, options, taken=self._taken)
        size = sum(map(len, included.data.values())) + sum(file.size or 0 for _, file in included.files.values())
        found = {(alias, file.id): file for alias, file in included.files.values()}
        fields = _fields(items)
        for each in self._keys:
            needed = each.files(fields)
            found |= {(alias, file.id): file for alias, file in needed}
            # Filters may make less of a file, but what they are given is bounded, too.
            declared = [file.size or 0 for _, file in needed]
            check_size(max(declared, default=0))
            size += declared[0] if declared and each.is_verbatim else 0
        check_size(size)
        return tuple((alias, file) for (alias, _), file in found.items())

    def render(
        self,
        items: Mapping[str, Item],
        files: Mapping[tuple[str, str], bytes],
        options: MappingOptions,
        old: Mapping[str, bytes],
        *,
        most: int = MAX_FILTERED_BYTES,
    ) -> Rendered:
        """Make all keys, or raise.

        Args:
            items: as for `files`.
            files: the bytes of each file that `files` names, by (alias, id of the file).
            options: as for `files`.
            old: the data of the present Secret, from which random filters keep bytes that are still right.
            most: bytes that filters may process.

        Raises:
            ShapeError: why some key cannot be made.
        """
        included = self._selection.included(items, options, taken=self._taken)
        data = dict(included.data)
        for key, (alias, file) in included.files.items():
            content = files[alias, file.id]
            if content or options.allow_empty_values:
                data[key] = content
        size = sum(map(len, data.values()))
        check_size(size)
        renderer = Renderer(_fields(items), files, old=old, size=size, most=most)
        for each in self._keys:
            renderer.render(each.name, each.parts, is_text=each.is_text)
        # At most times they hold the current bytes once more.
        made = sum(map(len, data.values())) + sum(map(len, renderer.data.values()))
        check_size(made + sum(len(renderer.data[source]) for _, source in self._previous))
        return Rendered(data | renderer.data, included.skipped, included.shared)


def plan_shape(shape: Shape) -> ShapePlan:
    """Parse and check a shape. It takes some tens of microseconds for each template and asks no vault.

    Raises:
        InvalidTemplate: what is wrong, with key and line.
    """
    aliases = _checked_aliases(shape)
    keys = plan_keys(shape.keys, shape.templates, aliases)
    explicit = frozenset(each.name for each in keys)
    include = shape.include
    if include is None:
        include = () if explicit else (MANY,)
    return ShapePlan(
        origins=tuple(sorted((each.name, each.origins) for each in keys)),
        random_keys=random_keys(keys),
        _keys=keys,
        _selection=Selection(
            _patterns_of(include, aliases, "include"), _patterns_of(shape.exclude, aliases, "exclude")
        ),
        _taken=explicit | _checked_previous(shape.previous, explicit),
        _previous=() if shape.previous is None else shape.previous.keys,
    )


def _checked_aliases(shape: Shape) -> frozenset[str]:
    check_most(len(shape.items), MAX_ITEMS, "items")
    for alias, _ in shape.items:
        if _ALIAS.fullmatch(alias) is None:
            raise InvalidTemplate(
                f"items: {quoted(alias)} is no alias: a lower-case letter, then at most 31 of a-z, 0-9 and '-'"
            )
    return frozenset(alias for alias, _ in shape.items)


def _patterns_of(written: tuple[str, ...], aliases: frozenset[str], where: str) -> Patterns:
    check_most(len(written), MAX_PATTERNS, f"patterns in {where}")
    found = []
    for each in written:
        check_most(len(each), MAX_HOLE_CHARS, f"characters in a pattern in {where}")
        try:
            found.append(parse_pattern(each, aliases))
        except InvalidTemplate as error:
            why = str(error)
        else:
            continue
        raise InvalidTemplate(f"{where}: {why}")
    return Patterns(found)


def _checked_previous(previous: Previous | None, explicit: frozenset[str]) -> frozenset[str]:
    """The keys that hold previous bytes."""
    if previous is None:
        return frozenset()
    if not MIN_PREVIOUS_S <= previous.seconds <= MAX_PREVIOUS_S:
        raise InvalidTemplate("previous: a time is from 1m to 720h")
    for key, other in previous.keys:
        if not is_legal_key(key):
            raise InvalidTemplate(f"previous: {quoted(key)} is no legal key of a Secret")
        if key in explicit:
            raise InvalidTemplate(f"previous: {quoted(key)} stands in keys or templates, too")
        if other not in explicit:
            raise InvalidTemplate(f"previous: {quoted(other)} names no key of keys or templates")
    return frozenset(key for key, _ in previous.keys)


def _fields(items: Mapping[str, Item]) -> Mapping[str, Fields]:
    further = {alias: item for alias, item in items.items() if alias}
    return {alias: Fields(item, alias, None if alias else further) for alias, item in items.items()}


def _texts(value: Any) -> tuple[tuple[str, str], ...]:
    """The entries of a map that are texts, sorted."""
    if not isinstance(value, Mapping):
        return ()
    return tuple(sorted((key, text) for key, text in value.items() if isinstance(key, str) and isinstance(text, str)))


def _patterns(value: Any) -> tuple[str, ...]:
    """The entries of a list that are texts, each once, sorted."""
    return tuple(sorted({each for each in value if isinstance(each, str)})) if isinstance(value, list | tuple) else ()


def _previous(value: Any) -> Previous | None:
    if not isinstance(value, Mapping):
        return None
    seconds, keys = seconds_of(value.get("for")), _texts(value.get("keys"))
    return None if seconds is None or not keys else Previous(seconds=seconds, keys=keys)
