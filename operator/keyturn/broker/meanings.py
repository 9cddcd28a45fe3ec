"""What a reference means in an item that a caller has opened: a field, a file, or a one-time password. Nobody is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from keyturn.base.errors import translated
from keyturn.broker.errors import Ambiguous, UnreadableRequest
from keyturn.core.one_time_passwords import one_time_password
from keyturn.core.references import FieldReference, Fields
from keyturn.core.secret_references import ONE_TIME_PASSWORD, SecretReference
from keyturn.core.shape_errors import ShapeError
from keyturn.core.vault import Field, FieldKind


@dataclass(frozen=True, slots=True)
class ReferenceValue:
    """What one reference means.

    Attributes:
        revision: of the item; 1Password counts them.
        is_file: whether it is a file, which may hold any bytes.
    """

    data: bytes = field(repr=False)
    revision: str
    is_file: bool = False


def meant_by(reference: SecretReference, fields: Fields) -> Field | None:
    """The field or file that a reference means; None if there is none.

    Args:
        reference: to this item.
        fields: of the item, as many of them as are there for the caller.

    Raises:
        Ambiguous: there are several.
    """
    wanted = FieldReference(text=reference.field, alias="", section=reference.section, name=reference.field)
    with translated(lambda error: Ambiguous() if isinstance(error, ShapeError) else None):
        return fields.find(wanted)


def means_bytes(reference: SecretReference, meant: Field) -> bool:
    """Whether a reference means the bytes of a file, which are still to be fetched."""
    return meant.kind is FieldKind.FILE and reference.attribute != ONE_TIME_PASSWORD


def value_text(reference: SecretReference, meant: Field, *, now: datetime) -> bytes:
    """The value of a field, or the one-time password that it gives now, in UTF-8.

    Raises:
        UnreadableRequest: the field holds no seed of one-time passwords.
    """
    text = meant.value or ""
    if reference.attribute == ONE_TIME_PASSWORD:
        code = one_time_password(text, now.timestamp())
        if code is None:
            raise UnreadableRequest("the field holds no seed of one-time passwords")
        text = code
    return text.encode("utf-8", "surrogatepass")
