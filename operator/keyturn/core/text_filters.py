"""The filters of the language that need no cryptography, as plain functions of bytes.

A function that must see text gets bytes that are known to be UTF-8. Each keeps its result within `MAX_SECRET_BYTES` without
making a larger one first, works in time that grows with its input and result alone, and raises errors that quote no value.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import shlex
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from keyturn.core.content import MAX_SECRET_BYTES
from keyturn.core.shape_errors import ShapeTooLarge, ValueInvalid

_SLICE: Final = 64 * 1024
"""Characters that are processed at once: Python needs up to twelve bytes for each of them in between."""


def trim(value: bytes) -> bytes:
    """The text without white space at both ends."""
    text = value.decode()
    trimmed = text.strip()
    # Most values have none, and a text of wide characters is four times larger than its bytes.
    return value if len(trimmed) == len(text) else trimmed.encode()


def upper(value: bytes) -> bytes:
    """The text in upper case."""
    return _by_slices(value, str.upper)


def lower(value: bytes) -> bytes:
    """The text in lower case."""
    return _by_slices(value, str.lower)


def replace_text(value: bytes, old: bytes, new: bytes) -> bytes:
    """The text with another in place of each occurrence of one.

    Raises:
        ValueInvalid: the text to replace is empty.
    """
    if not old:
        raise ValueInvalid("the text to replace is empty")
    check_size(len(value) + value.count(old) * (len(new) - len(old)))
    return value.replace(old, new)


def effort_to_find(value: bytes, old: bytes, _new: bytes) -> int:
    """At worst, a long text is compared in large part at each place before it turns out to be another."""
    return len(value) * (len(old) // 8)


def indent(value: bytes, width: int) -> bytes:
    """The text with so many more spaces before each line, but for the first one and blank ones."""
    check_size(len(value) + width * sum(1 for _ in _LATER_LINE.finditer(value)))
    return b"".join(_LATER_LINE.sub(b"\n" + b" " * width, each) for each in _slices_of_lines(value))


_LATER_LINE: Final = re.compile(rb"\n(?=[^\r\n])")


def effort_to_indent(value: bytes, _width: int) -> int:
    """A line costs about as much as twenty bytes."""
    return 20 * value.count(b"\n")


def _slices_of_lines(value: bytes) -> Iterator[bytes]:
    """The text in slices, each of which but the first begins with a line feed."""
    start = 0
    while start < len(value):
        end = value.find(b"\n", start + _SLICE)
        end = len(value) if end < 0 else end
        yield value[start:end]
        start = end


def json_string(value: bytes) -> bytes:
    """A string in JSON, which is also one in double quotes in YAML, TOML and HCL, and has the same meaning in all of them."""
    quoted = b'"%b"' % _by_slices(value, _escaped)
    for opening, escape in _HCL_ESCAPES:
        quoted = replace_text(quoted, opening, escape)
    check_size(len(quoted))
    return quoted


_JSON_ESCAPES: Final = {
    "\\": "\\\\",
    '"': '\\"',
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
} | {
    # HCL knows neither `\b` nor `\f`, TOML wants DEL escaped, and YAML takes some characters for line breaks or for binary.
    chr(code): f"\\u{code:04x}"
    for code in (*range(9), 0xB, 0xC, *range(0xE, 0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF)
}
_ESCAPED: Final = re.compile(f"[{re.escape(''.join(_JSON_ESCAPES))}]")

_HCL_ESCAPES: Final = ((b"${", rb"\u0024{"), (b"%{", rb"\u0025{"))
"""Openings of what HCL would evaluate."""


def _escaped(text: str) -> str:
    if _ESCAPED.search(text) is None:
        return text
    # The backslash comes first, because all others become one.
    for char, escape in _JSON_ESCAPES.items():
        text = text.replace(char, escape)
    return text


def json_object(values: Mapping[str, bytes]) -> bytes:
    """An object in JSON."""
    return b"{%b}" % _joined(b", ", (b'"%b": %b' % (key.encode(), json_string(values[key])) for key in values))


def urlencode(value: bytes) -> bytes:
    """The bytes with `%XX` in place of each that is not unreserved in URLs."""
    reserved = value.translate(None, _UNRESERVED)
    check_size(len(value) + 2 * len(reserved))
    if not reserved:
        return value
    slices = (value[at : at + _SLICE] for at in range(0, len(value), _SLICE))
    return b"".join(b"".join(map(_PERCENT.__getitem__, each)) for each in slices)


_UNRESERVED: Final = (string.ascii_letters + string.digits + "_.-~").encode()
_PERCENT: Final = tuple(bytes([code]) if code in _UNRESERVED else b"%%%02X" % code for code in range(256))


def effort_to_urlencode(value: bytes) -> int:
    """Each byte is looked up, unless none needs it."""
    return 2 * len(value) if value.translate(None, _UNRESERVED) else 0


def shell_word(value: bytes) -> bytes:
    """One word for a POSIX shell.

    Raises:
        ValueInvalid: no word can hold it.
    """
    if b"\0" in value:
        raise ValueInvalid("the value has a NUL byte, which no word of a shell can hold")
    check_size(len(value) + 4 * value.count(b"'") + 2)
    return shlex.quote(value.decode()).encode()


def b64encode(value: bytes, alphabet: str = "") -> bytes:
    """Base64 on one line, with padding.

    Args:
        value: what to encode.
        alphabet: `url` for the one that is safe in URLs.
    """
    check_size(len(value) * 4 // 3)
    return base64.urlsafe_b64encode(value) if alphabet else base64.b64encode(value)


def b64decode(value: bytes, alphabet: str = "") -> bytes:
    """What base64 stands for; white space in it is ignored.

    Args:
        value: what to decode.
        alphabet: `url` for the one that is safe in URLs, in which padding may be missing.

    Raises:
        ValueInvalid: it is no base64.
    """
    packed = value.translate(None, b" \t\r\n")
    if alphabet:
        packed = packed.translate(_FROM_URL)
        packed += b"" if packed.endswith(b"=") else b"=" * (-len(packed) % 4)
    try:
        return binascii.a2b_base64(packed, strict_mode=True)
    except binascii.Error:
        pass
    raise ValueInvalid(
        "the value is no base64url" if alphabet else 'the value is no base64 (for base64url: b64decode("url"))'
    )


_FROM_URL: Final = bytes.maketrans(b"-_+/", b"+/!!")
"""The alphabet of URLs into the usual one; what only the usual one has becomes illegal."""


def hexencode(value: bytes) -> bytes:
    """Two lower-case hex digits for each byte."""
    check_size(2 * len(value))
    return value.hex().encode()


def basicauth(user: bytes, password: bytes) -> bytes:
    """The credentials of HTTP's basic authentication.

    Raises:
        ValueInvalid: the user name has a colon, so that a server would read another one.
    """
    if b":" in user:
        raise ValueInvalid("the user name has a colon, which ends it")
    return b64encode(user + b":" + password)


def sha256(value: bytes) -> bytes:
    """The digest in hex."""
    return hashlib.sha256(value).hexdigest().encode()


def dotenv(values: Mapping[str, bytes]) -> bytes:
    """Lines of `NAME="value"`.

    Raises:
        ValueInvalid: a name is none of a variable.
    """
    return _joined(b"", (_variable(name, value) for name, value in values.items()))


_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOTENV_ESCAPES: Final = ((b"\\", rb"\\"), (b'"', rb"\""), (b"$", rb"\$"), (b"`", rb"\`"), (b"\n", rb"\n"))


def _variable(name: str, value: bytes) -> bytes:
    if _VARIABLE.fullmatch(name) is None:
        raise ValueInvalid(f'"{name}" is no name of a variable')
    for char, escape in _DOTENV_ESCAPES:
        value = value.replace(char, escape)
    return b'%b="%b"\n' % (name.encode(), value)


def properties(values: Mapping[str, bytes]) -> bytes:
    """Java properties, in ASCII, and hence in ISO-8859-1 and in UTF-8."""
    return _joined(b"", (b"%b=%b\n" % (name.encode(), _property(value)) for name, value in values.items()))


def _property(value: bytes) -> bytes:
    escaped = _by_slices(value, _escaped_property)
    # Java skips white space after the equals sign.
    return b"\\" + escaped if escaped.startswith(b" ") else escaped


def _escaped_property(text: str) -> str:
    # JSON's escapes are Java's, but for two. The result is ASCII, so another letter can stand for `\\` meanwhile.
    escaped = json.dumps(text)[1:-1].replace("\\\\", "\u0100")
    return escaped.replace('\\"', '"').replace("\\b", "\\u0008").replace("\u0100", "\\\\")


def check_size(size: int) -> None:
    """Refuse a result before it is made.

    Args:
        size: bytes.

    Raises:
        ShapeTooLarge: a Secret cannot hold it.
    """
    if size > MAX_SECRET_BYTES:
        raise ShapeTooLarge(f"the text would be larger than the {MAX_SECRET_BYTES} bytes that a Secret can hold")


def _by_slices(value: bytes, change: Callable[[str], str]) -> bytes:
    text = value.decode()
    if len(text) <= _SLICE:
        return change(text).encode()
    return _joined(b"", (change(text[at : at + _SLICE]).encode() for at in range(0, len(text), _SLICE)))


def _joined(separator: bytes, pieces: Iterable[bytes]) -> bytes:
    """Pieces in a row, made only while there is room for them."""
    made: list[bytes] = []
    size = 0
    for piece in pieces:
        made.append(piece)
        size += len(piece) + len(separator)
        check_size(size - len(separator))
    return separator.join(made)
