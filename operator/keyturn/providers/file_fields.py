"""Makes a field of a file of 1Password's, which has the same parts through Connect and through the SDK."""

from __future__ import annotations

from typing import Protocol

from keyturn.core.vault import Field, FieldKind

Place = tuple[str | None, str]
"""Label and id of a section; None and an empty text for what people see outside of any section."""


class DescribedFile(Protocol):
    """A file as an item describes it, without its content."""

    @property
    def id(self) -> str:
        """Of the file."""

    @property
    def name(self) -> str:
        """Becomes the label."""

    @property
    def size(self) -> int | None:
        """In bytes; None if it is not known."""


def file_field(found: DescribedFile, place: Place) -> Field:
    """The field of a file."""
    section, section_id = place
    return Field(
        id=found.id, label=found.name, kind=FieldKind.FILE, section=section, size=found.size, section_id=section_id
    )
