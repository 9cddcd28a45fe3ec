"""Secret references, `op://vault/item[/section]/field`, as `op` and the clients of the broker write them.

1Password's page about their syntax allows letters, digits, `-`, `_`, `.` and spaces in a name. Here every other character is itself,
too, but for `/`, `?` and `%`, which may be percent-encoded. So what `op` reads means the same here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from keyturn.base.text import one_line, shorten
from keyturn.core.connection import ConnectionKey
from keyturn.core.request import DEFAULT_CONNECTION

SCHEME: Final = "op://"

LONGEST: Final = 4096
"""Characters of a reference: four names, each four times as long as any that 1Password's programs let a user type."""

ONE_TIME_PASSWORD: Final = "otp"  # noqa: S105 - a word
"""The attribute of a field that is the code which its seed gives now."""

_FORM = "op://<vault>/<item>/[<section>/]<field>"
_ATTRIBUTES: Final = {"otp": ONE_TIME_PASSWORD, "value": "", "content": ""}
_PARAMETERS: Final = {"attribute": "attribute", "attr": "attribute", "connection": "connection"}
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")


class BadReference(ValueError):
    """The text is no secret reference; the message says what is wrong with it, on one line."""


@dataclass(frozen=True, slots=True)
class SecretReference:
    """What a secret reference names.

    Attributes:
        vault: title or id.
        item: title or id.
        section: label or id; None if the reference names none.
        field: label or id of a field, or the name of a file.
        attribute: `ONE_TIME_PASSWORD`, or empty for the value.
        connection: `namespace/name`, or the name of the installation's; empty for any.
    """

    vault: str
    item: str
    section: str | None
    field: str
    attribute: str = ""
    connection: str = ""


def parse_secret_reference(text: str) -> SecretReference:
    """Read a secret reference.

    Raises:
        BadReference: the text is none.
    """
    if len(text) > LONGEST:
        raise BadReference(f"the reference is too long: more than {LONGEST} characters")
    if text[: len(SCHEME)].lower() != SCHEME:
        raise BadReference(f"{_quoted(text)} does not begin with {SCHEME}")
    path, has_parameters, query = text[len(SCHEME) :].partition("?")
    parts = [_decoded(part) for part in path.split("/")]
    if len(parts) > 4:
        raise BadReference(
            f"{_quoted(text)} has too many parts, it must be {_FORM}; write a / in a name as %2F, or use the id"
        )
    if len(parts) < 3:
        raise BadReference(f"{_quoted(text)} must name a vault, an item and a field: {_FORM}")
    if not all(parts):
        raise BadReference(f"{_quoted(text)} has an empty part, it must be {_FORM}")
    given = _parameters(query) if has_parameters and query else {}
    return SecretReference(
        vault=parts[0],
        item=parts[1],
        section=parts[2] if len(parts) == 4 else None,
        field=parts[-1],
        attribute=_attribute(given["attribute"]) if "attribute" in given else "",
        connection=_connection(given["connection"]) if "connection" in given else "",
    )


def _parameters(query: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for each in query.split("&"):
        if not each:
            raise BadReference("the reference has an empty parameter")
        name, equals, value = each.partition("=")
        known = _PARAMETERS.get(name.lower())
        if known is None or not equals:
            raise BadReference(
                f"the reference has a parameter {_quoted(_decoded(name))} that is not known or has no value; "
                "`attribute` and `connection` are, and a ? in a name is written as %3F"
            )
        if known in given:
            raise BadReference(f"the reference has the parameter `{known}` twice")
        given[known] = _decoded(value)
    return given


def _attribute(value: str) -> str:
    known = _ATTRIBUTES.get(value.lower())
    if known is None:
        raise BadReference(f"the attribute {_quoted(value)} is none that can be read; {', '.join(_ATTRIBUTES)} can")
    return known


def _connection(value: str) -> str:
    if value != DEFAULT_CONNECTION and ConnectionKey.parse(value) is None:
        raise BadReference(f"the connection {_quoted(value)} is neither <namespace>/<name> nor {DEFAULT_CONNECTION}")
    return value


def _decoded(part: str) -> str:
    """A part without its percent-encoding, in characters that a name may have.

    Raises:
        BadReference: it cannot be decoded, or has a control character.
    """
    if "%" in part:
        if _BAD_ESCAPE.search(part):
            raise BadReference(f"the part {_quoted(part)} has a percent sign that encodes nothing; write it as %25")
        try:
            part = b"".join(
                each.encode("utf-8", "surrogatepass") if not each.startswith("%") else unquote_to_bytes(each)
                for each in re.split(r"((?:%[0-9A-Fa-f]{2})+)", part)
            ).decode()
        except UnicodeDecodeError:
            raise BadReference(f"the part {_quoted(part)} has a percent-encoding that is no UTF-8") from None
    if _CONTROL.search(part):
        raise BadReference(f"the part {_quoted(part)} has a control character")
    return part


def _quoted(text: str) -> str:
    return f'"{one_line(shorten(text, 80))}"'
