"""What the core of 1Password's SDK answers, as tolerant models: unknown members and words pass, and values never show."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.alias_generators import to_camel

from keyturn.providers.reading import READING


def _time_or_none(value: Any, read: ValidatorFunctionWrapHandler) -> datetime | None:
    try:
        time: datetime | None = read(value)
    except ValidationError:
        return None
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


SdkId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
"""An id: 26 lower-case letters and digits."""

SdkTime = Annotated[datetime | None, WrapValidator(_time_or_none)]
"""A time in UTC; whatever cannot be read as one is absent."""


class SdkModel(BaseModel):
    """The base of everything read from the SDK."""

    model_config = ConfigDict(**READING, alias_generator=to_camel, validate_by_name=True, extra="ignore", frozen=True)


class SdkVault(SdkModel):
    """A vault that the service account can see. Its `content_version` changes with each change of an item."""

    id: SdkId
    title: str
    content_version: int | None = None
    active_item_count: int | None = None
    created_at: SdkTime = None


class SdkWebsite(SdkModel):
    """A web address of an item."""

    url: str = Field(default="", repr=False)
    label: str = ""


class SdkOverview(SdkModel):
    """An item as lists show it: without a value, and without a version."""

    id: SdkId
    title: str
    category: str = ""
    vault_id: str = ""
    websites: tuple[SdkWebsite, ...] = ()
    tags: tuple[str, ...] = ()
    created_at: SdkTime = None
    updated_at: SdkTime = None
    state: str = "active"


class SdkSection(SdkModel):
    """A section of an item."""

    id: str = ""
    title: str = ""


class SdkKeyPair(SdkModel):
    """What belongs to a private key of SSH, and stands beside its value."""

    public_key: str = ""
    fingerprint: str = ""
    key_type: str = ""


class SdkDetails(SdkModel):
    """What a field holds beside its value; only that of SSH keys is used. The code of a one-time password is not kept."""

    type: str = ""
    content: Any = Field(default=None, repr=False)


class SdkField(SdkModel):
    """A field of an item; no repr and no dump shows `value`."""

    id: str = ""
    title: str = ""
    section_id: str | None = None
    field_type: str = ""
    value: SecretStr = SecretStr("")
    details: SdkDetails | None = None


class SdkFileAttributes(SdkModel):
    """A file of an item, without its content."""

    name: str
    id: SdkId
    size: int = Field(ge=0)


class SdkFile(SdkModel):
    """A file that is attached to an item."""

    attributes: SdkFileAttributes
    section_id: str | None = None


class SdkItem(SdkModel):
    """An item with its values."""

    id: SdkId
    title: str
    category: str = ""
    vault_id: str
    fields: tuple[SdkField, ...]
    sections: tuple[SdkSection, ...] = ()
    notes: SecretStr = SecretStr("")
    tags: tuple[str, ...] = ()
    websites: tuple[SdkWebsite, ...] = ()
    version: int
    files: tuple[SdkFile, ...] = ()
    document: SdkFileAttributes | None = None
    created_at: SdkTime = None
    updated_at: SdkTime = None
