"""The filter `pem`, and the blocks of a PEM text that it and other filters choose from."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field

from keyturn.core.shape_errors import ValueInvalid

CERTIFICATE = "CERTIFICATE"
# What each kind chooses, by the labels of blocks. A public key is no `KEY`: who asks for one wants the key of a certificate.
_CHOSEN = {
    CERTIFICATE: lambda label: label == CERTIFICATE,
    "PRIVATE KEY": lambda label: label == "PRIVATE KEY",
    "KEY": lambda label: label.endswith("PRIVATE KEY"),
}
KINDS = tuple(_CHOSEN)
_BEGIN, _END, _DASHES = b"-----BEGIN ", b"-----END ", b"-----"


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a PEM text.

    Attributes:
        label: what its first line says it is.
        text: all its lines, with plain line feeds, the last one included.
    """

    label: str
    text: bytes = field(repr=False)

    @property
    def body(self) -> bytes:
        """The bytes that the block encodes.

        Raises:
            ValueError: it is no base64, or has headers.
        """
        return binascii.a2b_base64(b"".join(self.text.splitlines()[1:-1]), strict_mode=True)


def pem(value: bytes, kind: str) -> bytes:
    """The blocks of one kind, in their order: certificates of a bundle, or its private key.

    Args:
        value: a text with blocks; what stands between them is left out.
        kind: one of `KINDS`; `KEY` is a private key in whatever format, also an encrypted one.

    Raises:
        ValueInvalid: there is none, or one has no end.
    """
    chosen = [block.text for block in blocks(value) if _CHOSEN[kind](block.label)]
    if not chosen:
        raise ValueInvalid(f"the value has no PEM block of the kind {kind}")
    return b"".join(chosen)


def blocks(value: bytes) -> Iterator[Block]:
    """All blocks of a text, in their order, in one pass over its lines.

    Raises:
        ValueInvalid: a block has no end: the text was cut.
    """
    lines: list[bytes] = []
    label = b""
    for line in map(bytes.strip, value.splitlines()):
        if line.startswith(_BEGIN) and line.endswith(_DASHES):
            if lines:
                break
            label = line[len(_BEGIN) : -len(_DASHES)]
            lines = [line]
        elif lines:
            lines.append(line)
            if line == _END + label + _DASHES:
                yield Block(label.decode(errors="replace"), b"\n".join(lines) + b"\n")
                lines = []
    if lines:
        raise ValueInvalid("a PEM block of the value has no end, or has lost its line breaks")
