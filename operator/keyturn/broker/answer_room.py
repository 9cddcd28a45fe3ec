"""How much of items' values the answers that are under way may hold: one of them, and all together."""

from __future__ import annotations

from typing import Final

from keyturn.broker.errors import NotAvailable, TooManyBytes

LARGEST_ANSWER: Final = 10 << 20
"""Bytes of all values and files of one answer."""

LARGEST_TOGETHER: Final = 4 * LARGEST_ANSWER
"""Bytes of all answers that are under way. An answer stays in memory until its client has read it, which may be slow."""

ALWAYS_ROOM: Final = 64 << 10
"""Bytes that any answer may hold, whatever others do: values are mostly small, and nobody may keep others from theirs."""


class AnswerMemory:
    """What all answers share.

    Attributes:
        left: bytes that no answer holds; less than 0 if small ones took what was not there.
    """

    def __init__(self) -> None:
        self.left = LARGEST_TOGETHER


class AnswerRoom:
    """What one answer may hold. Close it once the answer is out.

    Args:
        memory: that it takes from.
    """

    def __init__(self, memory: AnswerMemory) -> None:
        self._memory = memory
        self._taken = 0

    @property
    def left(self) -> int:
        """Bytes that still fit into the answer."""
        return LARGEST_ANSWER - self._taken

    def take(self, size: int) -> None:
        """Take some bytes before they are in memory.

        Raises:
            TooManyBytes: they do not fit into the answer.
            NotAvailable: other answers hold too much now.
        """
        if size > self.left:
            raise TooManyBytes(f"this is more than the {LARGEST_ANSWER >> 20} MiB that one answer may have")
        if self._taken + size > ALWAYS_ROOM and size > self._memory.left:
            raise NotAvailable("too many large answers are under way", retry_after=1, reason="AnswersTooLarge")
        self._memory.left -= size
        self._taken += size

    def close(self) -> None:
        """Give back what was taken."""
        self._memory.left += self._taken
        self._taken = 0
