"""Reads the rewrite rules of an ExternalSecret backwards: which label is behind the name that the rules made of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from keyturn.convert.errors import NotConvertible
from keyturn.convert.go_templates import GoText, GoVariable, UnreadTemplate, parse

# Regular expressions that match a whole name and remember it as their first group.
_WHOLE: Final = frozenset(
    f"{start}{body}{end}" for start in ("", "^") for body in ("(.*)", "(.+)") for end in ("", "$")
)
_UNREMEMBERED: Final = frozenset(source.replace("(", "").replace(")", "") for source in _WHOLE)

# What Go puts in the place of a match: a group in braces, or one whose number is not followed by a letter.
_TARGET = re.compile(r"(?P<before>[^$]*)\$(?:\{(?P<braced>[01])\}|(?P<plain>[01])(?!\w))(?P<after>[^$]*)")

_ONE_NAME = re.compile(r"\^([\w -]+)\$")
_CHARACTERS = re.compile(r"\[\^?[\w .-]+\]\+?")


@dataclass(frozen=True, slots=True)
class Affix:
    """A rule that puts something around each name."""

    before: str
    after: str

    def label_of(self, name: str) -> str | None:
        """The name before this rule; None if the rule makes no such name."""
        fits = name.startswith(self.before) and name.endswith(self.after)
        return name[len(self.before) : len(name) - len(self.after)] or None if fits else None


@dataclass(frozen=True, slots=True)
class Renaming:
    """A rule that gives one label another name."""

    label: str
    name: str

    def label_of(self, name: str) -> str | None:
        """The name before this rule; None if the rule makes no such name."""
        if name == self.name:
            return self.label
        return None if name == self.label else name


@dataclass(frozen=True, slots=True)
class Replacement:
    """A rule that replaces some characters by another one. A name that it leaves as it is counts as the label itself."""

    characters: str
    by: str

    def label_of(self, name: str) -> str | None:
        """The name before this rule; None if the rule makes no such name."""
        return name if re.sub(self.characters, self.by, name) == name else None


Rewrite = Affix | Renaming | Replacement


def label_behind(name: str, rules: Sequence[Rewrite]) -> str | None:
    """The label of which several rules, one after another, make a name; None if they make no such name."""
    label: str | None = name
    for rule in reversed(rules):
        label = None if label is None else rule.label_of(label)
    return label


def read_rewrites(rules: Sequence[Any], where: str) -> tuple[Rewrite, ...]:
    """Read rules that can be followed backwards.

    Raises:
        NotConvertible: one cannot.
    """
    return tuple(_read(rule, f"{where}[{number}]") for number, rule in enumerate(rules))


def _read(rule: Any, where: str) -> Rewrite:
    found: Rewrite | None = None
    match rule:
        case {"regexp": {"source": str(source), "target": str(target), **more}, **others} if not more and not others:
            found = _regexp(source, target)
        case {"transform": {"template": str(template), **more}, **others} if not more and not others:
            found = _transform(template)
    if found is None:
        raise NotConvertible(where, "a rule that does not just put a prefix or suffix around each name")
    return found


def _regexp(source: str, target: str) -> Rewrite | None:
    if "$" not in target:
        return _literal(source, target)
    found = _TARGET.fullmatch(target)
    if found is None:
        return None
    remembered = _WHOLE if (found["braced"] or found["plain"]) == "1" else _WHOLE | _UNREMEMBERED
    return Affix(found["before"], found["after"]) if source in remembered else None


def _literal(source: str, target: str) -> Rewrite | None:
    """A rule whose target is the same for all that it matches."""
    if source in {"^", "$"}:
        return Affix(target, "") if source == "^" else Affix("", target)
    if one := _ONE_NAME.fullmatch(source):
        return Renaming(one[1], target)
    return (
        Replacement(source, target) if target == "_" and _CHARACTERS.fullmatch(source) and _compiles(source) else None
    )


def _compiles(source: str) -> bool:
    try:
        re.compile(source)
    except re.error:
        return False
    return True


def _transform(template: str) -> Rewrite | None:
    try:
        parts = parse(template)
    except UnreadTemplate:
        return None
    match parts:
        case [GoVariable(name="value")]:
            return Affix("", "")
        case [GoText(text=before), GoVariable(name="value")]:
            return Affix(before, "")
        case [GoVariable(name="value"), GoText(text=after)]:
            return Affix("", after)
        case [GoText(text=before), GoVariable(name="value"), GoText(text=after)]:
            return Affix(before, after)
    return None
