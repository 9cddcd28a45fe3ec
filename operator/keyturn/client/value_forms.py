"""The forms in which programs print a value: as it is, line by line, in base64, percent-encoded, and escaped for JSON."""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from urllib.parse import quote

SHORTEST_VALUE = 3
"""Bytes without the white space around them. A shorter value is not masked: what stands for each `a` of a text would say where they are, and hide everything else."""

SHORTEST_LINE = 4
"""Bytes of a line of a value that is masked by itself; shorter ones are brackets and the like."""

SHORTEST_BASE64 = 4
"""Characters of base64 that are masked; fewer occur in any text."""

LARGEST_ENCODED = 128 * 1024
"""Bytes of a value that is looked for in other forms than its own: the search for more takes seconds to prepare."""

# Where `base64` and `openssl base64` break lines.
_BASE64_WIDTHS = (76, 64)
# What encoders leave as it is beside letters, digits and `-_.~`: all of RFC 3986, Python, JavaScript's two.
_URL_SAFE = ("", "/", "!'()*", "!'()*;,/?:@&=+$#")
# For each byte what stands for it: with a space as %20 or as +, and with digits in upper or lower case.
_URL_ESCAPES = [
    [space if byte == ord(" ") else digits(quote(bytes([byte]), safe=safe)).encode() for byte in range(256)]
    for safe in _URL_SAFE
    for space in (b"%20", b"+")
    for digits in (str, lambda escape: escape.lower() if len(escape) > 1 else escape)
]
_LOWER_UNICODE = re.compile(rb"\\u[0-9a-f]{4}")


def forms_of(value: bytes) -> Iterator[bytes]:
    """Each form of a value that must not be printed; a form may come more than once."""
    # What a shell prints has lost the white space around it.
    bare = value.strip()
    if len(bare) < SHORTEST_VALUE:
        return
    yield value
    if len(value) > LARGEST_ENCODED:
        return
    text = _text(value)
    if text is not None:
        yield from (line.strip() for line in value.splitlines() if len(line.strip()) >= SHORTEST_LINE)
        yield from _in_json(text)
        yield from _in_json(text.strip())
    for each in {value, bare}:
        yield from _in_base64(each)
        yield from _in_urls(each)


def _text(value: bytes) -> str | None:
    """A value as text; None if it is none."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _in_base64(value: bytes) -> Iterator[bytes]:
    """In base64, with anything before and after it: those characters that depend on the value alone."""
    for encode in (b64encode, urlsafe_b64encode):
        for before in range(3):
            bits = 8 * before
            encoded = encode(bytes(before) + value)
            first, beyond = -(-bits // 6), (bits + 8 * len(value)) // 6
            # The second is that of a value at the end, whose last bits are known as well.
            for form in (encoded[first:beyond], encoded[first:], encoded[first:].rstrip(b"=")):
                if beyond - first >= SHORTEST_BASE64:
                    yield form
        alone = encode(value)
        for width in _BASE64_WIDTHS:
            if len(alone) > width:
                # Something behind it, such as the line break of `echo`, changes the end of the last line.
                for form in (alone, alone[: 8 * len(value) // 6]):
                    lines = [form[at : at + width] for at in range(0, len(form), width)]
                    yield from (each for each in lines if len(each) >= SHORTEST_BASE64)
                    # A last line that is too short to be masked by itself.
                    yield b"\n".join(lines)


def _in_urls(value: bytes) -> Iterator[bytes]:
    """Percent-encoded, as different encoders do it."""
    for escapes in _URL_ESCAPES:
        yield b"".join(map(escapes.__getitem__, value))


def _in_json(text: str) -> Iterator[bytes]:
    """Escaped in a JSON string, as different encoders do it."""
    for ascii_only in (True, False):
        escaped = json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode()
        # Go escapes what HTML would read, PHP escapes slashes, and some write the digits of an escape in upper case.
        for_html = escaped.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")
        for form in (escaped, for_html, escaped.replace(b"/", b"\\/")):
            yield form
            yield _LOWER_UNICODE.sub(lambda found: b"\\u" + found[0][2:].upper(), form)
