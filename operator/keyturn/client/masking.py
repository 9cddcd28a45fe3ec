"""Masking of values in a stream of bytes, in the forms in which programs print them, however the stream is cut into pieces."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from keyturn.client.value_forms import forms_of

MASK = b"<concealed by Keyturn>"
"""What stands in place of each run of bytes that belong to a form of a value."""

LONGEST_FORM = 512
"""Bytes. A longer form is looked for in parts of this size: otherwise a stream would be held back, and searched again, for all of it."""

# Forms begin in few ways, so a search for their first bytes leaves little to compare. A search for very many takes too long to prepare.
_HEAD = 4
_MANY_HEADS, _SHORT_HEAD = 2000, 2


class ValueForms:
    """All forms of all values, ready to be found. No repr shows them."""

    def __init__(self, forms: Iterable[bytes]) -> None:
        self._forms = sorted({part for form in forms if form for part in _parts(form)})
        self._longest = max(map(len, self._forms), default=0)
        by_head: dict[bytes, list[bytes]] = {}
        for each in self._forms:
            by_head.setdefault(each[:_HEAD], []).append(each)
        # The longest first: at one place, it covers all others.
        self._by_head = {head: sorted(group, key=len, reverse=True) for head, group in by_head.items()}
        self._head_lengths = sorted({len(head) for head in by_head}, reverse=True)
        heads = by_head if len(by_head) < _MANY_HEADS else {head[:_SHORT_HEAD] for head in by_head}
        self._starts = re.compile(b"(?=" + (_trie_pattern(sorted(heads)) or b"(?!)") + b")")

    @classmethod
    def of_values(cls, values: Iterable[bytes]) -> ValueForms:
        """The forms of these values."""
        return cls(form for value in values for form in forms_of(value))

    def __bool__(self) -> bool:
        return bool(self._forms)

    def found(self, data: bytes) -> Iterator[tuple[int, int]]:
        """The parts of `data` that are a form, by begin and end, in the order of their begins; they may overlap."""
        for at in (match.start() for match in self._starts.finditer(data)):
            longest = 0
            for length in self._head_lengths:
                for form in self._by_head.get(data[at : at + length], ()):
                    if len(form) > longest and data.startswith(form, at):
                        longest = len(form)
                        break
            if longest:
                yield at, at + longest

    def open_at(self, data: bytes) -> int:
        """Where the longest end of `data` begins that more bytes could make a form; the length of `data` if there is none."""
        end = len(data)
        first = max(0, end - self._longest + 1)
        last_head = max(first, end - _HEAD + 1)
        starts: list[int] = [match.start() for match in self._starts.finditer(data, first)]
        candidates: list[int] = [*(each for each in starts if each < last_head), *range(last_head, end)]
        for at in candidates:
            rest = data[at:]
            place = bisect_left(self._forms, rest)
            # Equal is not enough: a form that is complete waits only for a longer one.
            if place < len(self._forms) and self._forms[place] == rest:
                place += 1
            if place < len(self._forms) and self._forms[place].startswith(rest):
                return at
        return end


class Masker:
    """Masks one stream. What it holds back is the longest end of the stream that might become a form, and nothing more."""

    def __init__(self, forms: ValueForms) -> None:
        self._forms = forms
        self._held = b""
        # How many of the held bytes belong to a form that was found, and whether the byte before them did.
        self._covered = 0
        self._masked = False

    def feed(self, data: bytes) -> bytes:
        """Take more of the stream; returns what may be printed now."""
        self._held += data
        return self._print(self._forms.open_at(self._held))

    def end(self) -> bytes:
        """The rest, after the stream has ended."""
        return self._print(len(self._held))

    def _print(self, decided: int) -> bytes:
        """What of the held bytes is decided, masked; keeps the rest."""
        data, shown = self._held, []
        for begin, end in [*self._forms.found(data), (decided, decided)]:
            if self._covered < min(begin, decided):
                shown.append(data[self._covered : min(begin, decided)])
                self._masked = False
            if begin >= decided:
                break
            if not self._masked:
                shown.append(MASK)
                self._masked = True
            self._covered = max(self._covered, end)
        self._covered = max(0, self._covered - decided)
        self._held = data[decided:]
        return b"".join(shown)


def _parts(form: bytes) -> Iterator[bytes]:
    """A form, or parts of it that cover all of it: where one ends another begins, so a whole form is still one mask."""
    if len(form) <= LONGEST_FORM:
        yield form
        return
    yield from (form[at : at + LONGEST_FORM] for at in range(0, len(form) - LONGEST_FORM, LONGEST_FORM))
    yield form[-LONGEST_FORM:]


def _trie_pattern(heads: Sequence[bytes]) -> bytes:
    """An expression that matches if one of these begins here, and that looks at each byte once."""
    if not heads or b"" in heads:
        return b""
    by_byte: dict[bytes, list[bytes]] = {}
    for each in heads:
        by_byte.setdefault(each[:1], []).append(each[1:])
    branches = (re.escape(byte) + _trie_pattern(rests) for byte, rests in by_byte.items())
    return b"(?:" + b"|".join(branches) + b")"
