"""Revision stamps: annotations that say which revision of which Secret an object has seen."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final, Self

from keyturn.core.names import REVISION

_MOST_WRITTEN: Final = 64 * 1024
"""Characters of one annotation: all of an object share 256 KiB. A stamp of a Secret with the longest name takes about 280."""


@dataclass(frozen=True, slots=True)
class RevisionStamp:
    """One revision of one Secret, as an annotation of another object carries it.

    Attributes:
        secret: the first part of the Secret's uid. It tells the Secret from an earlier one of the same name, whose revisions
            counted from 1, too.
        revision: of the Secret; 0 if the annotation holds none that can be read.
    """

    secret: str
    revision: int

    def __str__(self) -> str:
        return f"{self.secret}.{self.revision}"

    @classmethod
    def of(cls, uid: str, revision: int) -> Self:
        """The stamp of a Secret with this uid."""
        return cls(uid.split("-", 1)[0], revision)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a stamp. Text of any other form is a stamp of no revision."""
        secret, _, revision = text.partition(".")
        return cls(secret, parse_revision(revision))


def parse_revision(text: str) -> int:
    """A revision as an annotation holds it; 0 if it is no whole number, since anyone may edit an annotation."""
    return int(text) if len(text) <= 18 and text.isascii() and text.isdecimal() else 0


def read_stamps(annotations: Mapping[str, str], under: str = REVISION) -> dict[str, str]:
    """The stamps that an object carries, each as text, by the name of the Secret.

    Args:
        annotations: of the object.
        under: the annotation that holds the stamps.
    """
    pairs = annotations.get(under, "").split(",")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def written_stamps(stamps: Mapping[str, str], *, needed: Container[str] = ()) -> str:
    """The value of an annotation that holds these stamps, as many as fit.

    Args:
        stamps: each as text, by its name.
        needed: the names of those that must not be left out for others.
    """
    pairs = []
    room = _MOST_WRITTEN
    for name in sorted(stamps, key=lambda name: (name not in needed, name)):
        pair = f"{name}={stamps[name]}"
        room -= len(pair) + 1
        if room < 0:
            break
        pairs.append(pair)
    return ",".join(sorted(pairs))
