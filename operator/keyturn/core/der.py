"""DER, the encoding of keys and key stores: reads one element at a time, and as deep as a caller asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

INTEGER, OCTETS, NULL, OBJECT, SEQUENCE, EXPLICIT = 0x02, 0x04, 0x05, 0x06, 0x30, 0xA0
"""Tags. The last one is that of an element which an optional or chosen one is wrapped into."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its tag and its content, which may hold further elements.

    `element[2]` is the third element inside, also of an octet string that encloses DER.
    """

    tag: int
    content: bytes = field(repr=False)

    def __getitem__(self, index: int) -> Element:
        return self.inner[index]

    @property
    def inner(self) -> tuple[Element, ...]:
        """The elements inside.

        Raises:
            ValueError: the content is no DER.
        """
        return tuple(_elements(self.content))

    def of(self, *tags: int) -> tuple[Element, ...]:
        """The elements inside, which must have these tags.

        Raises:
            ValueError: they have others.
        """
        inner = self.inner
        if tuple(element.tag for element in inner) != tags:
            raise ValueError("DER of another form")
        return inner

    @property
    def number(self) -> int:
        """The content as an integer."""
        return int.from_bytes(self.content, "big", signed=True)


def read(data: bytes) -> Element:
    """The one element that bytes are.

    Raises:
        ValueError: they are no DER, or more than one element.
    """
    [element] = _elements(data)
    return element


def _elements(data: bytes) -> Iterator[Element]:
    start = 0
    while start < len(data):
        tag, length, start = data[start], _byte(data, start + 1), start + 2
        if length & 0x80:
            digits = length & 0x7F
            length, start = int.from_bytes(data[start : start + digits], "big"), start + digits
        if start + length > len(data):
            raise ValueError("DER that is cut")
        yield Element(tag, data[start : start + length])
        start += length


def _byte(data: bytes, index: int) -> int:
    if index >= len(data):
        raise ValueError("DER that is cut")
    return data[index]
