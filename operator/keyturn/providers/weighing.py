"""Counts what a text of JSON would become, while it comes and before anything is built from it."""

from __future__ import annotations

_OBJECT = 6
"""What an object weighs, in members: a model of ours takes about 700 bytes, whatever the object holds."""


class Scale:
    """Weighs a text of JSON that comes in pieces. What stands in strings weighs nothing.

    Attributes:
        weight: of everything so far. It says nothing about a text that is not JSON.
    """

    def __init__(self) -> None:
        self.weight = 0
        self._in_string = False
        self._escape = b""

    def add(self, piece: bytes) -> int:
        """Weigh the next piece. Returns the weight of everything so far."""
        text = (self._escape + piece).replace(b"\\\\", b"").replace(b'\\"', b"")
        self._escape = b"\\" if text.endswith(b"\\") else b""
        # Every second part stands outside of strings.
        parts = text.split(b'"')
        outside = b" ".join(parts[int(self._in_string) :: 2])
        self._in_string ^= len(parts) % 2 == 0
        self.weight += outside.count(b",") + outside.count(b"[") + _OBJECT * outside.count(b"{")
        return self.weight
