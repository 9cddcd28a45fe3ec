"""Secret references, as far as the client must understand them: where one ends in a text, and whether it can be one at all.

The broker reads them, too, and decides. A mistake that is found here is found before anything is asked.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from keyturn.client.failures import Misuse

FORM = "op://<vault>/<item>/[<section>/]<field>"

# The broker refuses longer ones.
_LONGEST = 4096
_ATTRIBUTES = ("otp", "value", "content")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPES = re.compile(r"((?:%[0-9A-Fa-f]{2})+)")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_CONNECTION = re.compile(r"installation|[^/]+/[^/]+")


class BadSecretReference(Misuse):
    """The text is no secret reference; the message says why."""


def is_reference(text: str) -> bool:
    """Whether a text is meant as a secret reference: the whole of it, from its first character on."""
    return text[:5].lower() == "op://"


def check_reference(text: str) -> None:
    """Make sure that a text can be a secret reference.

    Raises:
        BadSecretReference: it cannot.
    """
    if len(text) > _LONGEST:
        raise BadSecretReference(f"a reference is too long: more than {_LONGEST} characters")
    shown = shown_text(text)
    if not is_reference(text):
        raise BadSecretReference(f"{shown} does not begin with op://")
    path, _, query = text[5:].partition("?")
    parts = [_decoded(part, shown) for part in path.split("/")]
    if len(parts) > 4:
        raise BadSecretReference(f"{shown} has too many parts: it must be {FORM}; write a / in a name as %2F")
    if len(parts) < 3:
        raise BadSecretReference(f"{shown} must name a vault, an item and a field: {FORM}")
    if "" in parts:
        raise BadSecretReference(f"{shown} has an empty part: it must be {FORM}")
    if query:
        _check_parameters(query, shown)


def _check_parameters(query: str, shown: str) -> None:
    seen = set()
    for each in query.split("&"):
        name, _, value = (_decoded(part, shown) for part in each.partition("="))
        if not each:
            raise BadSecretReference(f"{shown} has an empty parameter")
        kind = "attribute" if name.lower() in {"attribute", "attr"} else name.lower()
        if kind not in {"attribute", "connection"}:
            raise BadSecretReference(
                f"{shown} has the unknown parameter {shown_text(name)}: only attribute and connection are known; "
                "write a ? in a name as %3F"
            )
        if kind in seen:
            raise BadSecretReference(f"{shown} has {kind} twice")
        seen.add(kind)
        if kind == "attribute" and value.lower() not in _ATTRIBUTES:
            raise BadSecretReference(f"{shown} asks for an unknown attribute: {', '.join(_ATTRIBUTES)} are known")
        if kind == "connection" and not _CONNECTION.fullmatch(value):
            raise BadSecretReference(f"{shown} must name a connection as <namespace>/<name>, or as installation")


def _decoded(part: str, shown: str) -> str:
    """A part without its percent-encoding."""
    if "%" in part:
        if _BAD_ESCAPE.search(part):
            raise BadSecretReference(f"{shown} has a percent sign that encodes nothing: write it as %25")
        pieces = _ESCAPES.split(part)
        try:
            part = b"".join(
                unquote_to_bytes(each) if each[:1] == "%" else each.encode("utf-8", "surrogatepass") for each in pieces
            ).decode()
        except UnicodeDecodeError:
            raise BadSecretReference(f"{shown} has a percent-encoding that is no UTF-8") from None
    if _CONTROL.search(part):
        raise BadSecretReference(f"{shown} has a control character")
    return part


def shown_text(text: str, longest: int = 80) -> str:
    """A text for a message: in quotes, on one line, and shortened."""
    line = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text[:longest])
    return f'"{line}…"' if len(text) > longest else f'"{line}"'
