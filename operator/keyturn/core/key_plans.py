"""Reads the keys and templates of a spec into parts, checks them, and puts them into an order in which they can be rendered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from keyturn.core.hints import closest
from keyturn.core.holes import Hole, Operand, Parts, parse_hole, parse_template
from keyturn.core.keys import is_legal_key
from keyturn.core.references import Fields, KeyReference, quoted
from keyturn.core.rendering import needed_files, with_place
from keyturn.core.shape_errors import InvalidTemplate, ShapeError
from keyturn.core.vault import Field

MAX_KEYS: Final = 256
MAX_TEMPLATES: Final = 64
MAX_HOLE_CHARS: Final = 1024
MAX_TEMPLATE_CHARS: Final = 16 * 1024
MAX_HOLES: Final = 2000
MAX_HASHES: Final = 16
MAX_DEPTH: Final = 8
"""How many keys in a row may each be made of the next."""


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """One explicit key.

    Attributes:
        name: the key.
        parts: what its bytes are made of, in order.
        is_text: whether it is a text with holes, and not one hole whose bytes are taken as they are.
        holes: those among its parts.
        operands: everything that its holes may take a value from.
    """

    name: str
    parts: Parts
    is_text: bool
    holes: tuple[Hole, ...]
    operands: tuple[Operand, ...]

    @classmethod
    def of(cls, name: str, parts: Parts, *, is_text: bool) -> Self:
        """The plan of a key, with what is asked of it again and again."""
        holes = tuple(each for each in parts if isinstance(each, Hole))
        return cls(name, parts, is_text, holes, tuple(each for hole in holes for each in hole.operands))

    @property
    def origins(self) -> tuple[str, ...]:
        """All references in it as they are written, sorted."""
        return tuple(sorted({each.text for each in self.operands if not isinstance(each, str)}))

    @property
    def is_verbatim(self) -> bool:
        """Whether its bytes are those of its operand."""
        return not self.is_text and not any(hole.calls for hole in self.holes)

    @property
    def is_random(self) -> bool:
        """Whether its bytes differ at each rendering, so that the old ones must be at hand."""
        return any(call.filter.is_random for hole in self.holes for call in hole.calls)

    def files(self, fields: Mapping[str, Fields]) -> list[tuple[str, Field]]:
        """The files, with their alias, that it may need; of several for one hole, the likeliest comes first.

        Raises:
            FieldNotFound: a field that it needs does not exist or has no value.
            FieldAmbiguous: a reference fits several fields.
        """
        found: list[tuple[str, Field]] = []
        for hole in self.holes:
            try:
                found += needed_files(hole, fields)
            except ShapeError as error:
                failure = with_place(error, self.name, hole)
            else:
                continue
            # Outside of `except`, so that the error has no context.
            raise failure
        return found


def plan_keys(
    keys: Sequence[tuple[str, str]], templates: Sequence[tuple[str, str]], aliases: Collection[str]
) -> tuple[KeyPlan, ...]:
    """Parse and check all explicit keys; each comes after those that it refers to.

    Args:
        keys: (key, hole without braces).
        templates: (key, text with holes).
        aliases: of the further items.

    Raises:
        InvalidTemplate: what is wrong, with key and line.
    """
    check_most(len(keys), MAX_KEYS, "keys")
    check_most(len(templates), MAX_TEMPLATES, "templates")
    planned: dict[str, KeyPlan] = {}
    for name, text in keys:
        with_key = _parsed(name, text, lambda hole: (parse_hole(hole, aliases),), MAX_HOLE_CHARS)
        planned[name] = KeyPlan.of(name, with_key, is_text=False)
    for name, text in templates:
        if name in planned:
            raise InvalidTemplate(f"key {quoted(name)} stands in both keys and templates")
        with_text = _parsed(name, text, lambda template: parse_template(template, aliases), MAX_TEMPLATE_CHARS)
        planned[name] = KeyPlan.of(name, with_text, is_text=True)
    _check_filters(planned.values())
    return _ordered(planned)


def random_keys(keys: Sequence[KeyPlan]) -> frozenset[str]:
    """The keys whose bytes differ at each rendering without the old ones, also through other keys.

    Args:
        keys: each after those that it refers to.
    """
    found: set[str] = set()
    for plan in keys:
        if plan.is_random or any(isinstance(each, KeyReference) and each.key in found for each in plan.operands):
            found.add(plan.name)
    return frozenset(found)


def check_most(count: int, most: int, what: str) -> None:
    """Refuse too many of something.

    Raises:
        InvalidTemplate: there are more than the limit.
    """
    if count > most:
        raise InvalidTemplate(f"{count} {what}; at most {most} are allowed")


def _parsed(name: str, text: str, parse: Callable[[str], Parts], longest: int) -> Parts:
    if not is_legal_key(name):
        raise InvalidTemplate(f"{quoted(name)} is no legal key of a Secret")
    if len(text) > longest:
        check_most(len(text), longest, f"characters in key {quoted(name)}")
    try:
        return parse(text)
    except InvalidTemplate as error:
        why = str(error)
    raise InvalidTemplate(f"key {quoted(name)}, {why}")


def _check_filters(keys: Collection[KeyPlan]) -> None:
    """Check what depends on more than one hole: how many there are, and whether random bytes are a key's whole value."""
    check_most(sum(len(key.holes) for key in keys), MAX_HOLES, "holes")
    calls = [(key, hole, call.filter) for key in keys for hole in key.holes for call in hole.calls]
    hashes = sum(1 for *_, each in calls if each.is_hash)
    check_most(hashes, MAX_HASHES, "password hashes")
    for key, hole, each in calls:
        if each.is_random and len(key.parts) > 1:
            raise with_place(
                InvalidTemplate(f"{each.name} stands in a hole that is the whole value of its key"), key.name, hole
            )


def _ordered(planned: Mapping[str, KeyPlan]) -> tuple[KeyPlan, ...]:
    """The keys, each after those that it refers to."""
    depths: dict[str, int] = {}

    def depth(name: str, path: tuple[str, ...]) -> int:
        if name in path:
            cycle = " -> ".join(quoted(each) for each in (*path[path.index(name) :], name))
            raise InvalidTemplate(f"keys refer to each other in a circle: {cycle}")
        if len(path) > MAX_DEPTH:
            raise InvalidTemplate(f"key {quoted(path[0])} is made of keys in more than {MAX_DEPTH} steps")
        if name not in depths:
            below = (depth(each.key, (*path, name)) for each in _keys_in(planned[name], planned))
            depths[name] = max((1 + each for each in below), default=0)
        if depths[name] > MAX_DEPTH:
            raise InvalidTemplate(f"key {quoted(name)} is made of keys in more than {MAX_DEPTH} steps")
        return depths[name]

    if not any(isinstance(each, KeyReference) for key in planned.values() for each in key.operands):
        # As with most shapes: none comes before another.
        return tuple(planned[name] for name in sorted(planned))
    return tuple(sorted(planned.values(), key=lambda each: (depth(each.name, ()), each.name)))


def _keys_in(plan: KeyPlan, planned: Mapping[str, KeyPlan]) -> Iterator[KeyReference]:
    """The other keys that a key is made of."""
    for hole in plan.holes:
        for each in hole.operands:
            if not isinstance(each, KeyReference):
                continue
            if each.key not in planned:
                meant = closest(each.key, planned)
                hint = f"; did you mean {quoted('@' + meant)}?" if meant else ""
                why = f"{quoted(each.text)} names no key of keys or templates{hint}"
                raise with_place(InvalidTemplate(why), plan.name, hole)
            yield each
