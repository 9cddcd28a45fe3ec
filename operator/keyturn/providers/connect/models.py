"""What Connect answers, as tolerant models: unknown members and values pass, null means absent, values never show.

Facts: the OpenAPI description of Connect 1.7.1, and answers seen since. Members that nothing should ever use are not kept:
`passwordDetails` (old passwords in clear), `totp` (changes by itself), `additionalInformation` (may be the first line of a
note), the content of files (it has a route of its own).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from keyturn.providers.connect.bounds import Many
from keyturn.providers.reading import READING


class Tolerant(BaseModel):
    """The base of everything read from Connect."""

    model_config = ConfigDict(**READING, alias_generator=to_camel, validate_by_name=True, extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_means_absent(cls, data: Any) -> Any:
        if isinstance(data, dict) and None in data.values():
            return {name: value for name, value in data.items() if value is not None}
        return data


def _time_or_none(value: Any, read: ValidatorFunctionWrapHandler) -> datetime | None:
    try:
        time: datetime = read(value)
    except ValidationError:
        # A time only decides between two items of one title: no reason to refuse an item.
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
"""An id in a path: 26 lower-case letters and digits in every answer seen. It can never leave its segment of the path."""

Timestamp = Annotated[datetime | None, WrapValidator(_time_or_none)]
"""RFC 3339 with a fraction of any length; anything else reads as absent."""


class ConnectVault(Tolerant):
    """A vault that the token can see."""

    id: Id
    name: str = ""
    description: str = ""
    type: str = ""
    items: int | None = None
    attribute_version: int | None = None
    content_version: int | None = None
    created_at: Timestamp = None
    updated_at: Timestamp = None


class Reference(Tolerant):
    """The id of something, as `vault` in an item."""

    id: str = ""
    name: str = ""


class ItemUrl(Tolerant):
    """A web address of an item."""

    href: str = Field(default="", repr=False)
    label: str = ""
    primary: bool = False


class ItemSummary(Tolerant):
    """An item as lists show it, without any value."""

    id: Id
    title: str = ""
    vault: Reference = Reference()
    category: str = ""
    version: int | None = None
    tags: Many[str] = ()
    urls: Many[ItemUrl] = ()
    favorite: bool = False
    state: str = ""
    last_edited_by: str = ""
    created_at: Timestamp = None
    updated_at: Timestamp = None


class Section(Tolerant):
    """A section of an item. Placeholders have neither id nor label."""

    id: str = ""
    label: str = ""


class ItemField(Tolerant):
    """A field of an item; no repr and no dump shows `value`."""

    id: str = ""
    label: str = ""
    type: str = ""
    purpose: str = ""
    value: SecretStr | None = None
    section: Section | None = None


class ItemFile(Tolerant):
    """A file of an item, without its content."""

    id: Id
    name: str = ""
    size: int | None = Field(default=None, ge=0)
    section: Section | None = None


class ConnectItem(ItemSummary):
    """An item with its values. None for `fields` or `files` means that the answer did not have that member."""

    sections: Many[Section] = ()
    fields: Many[ItemField] | None = None
    files: Many[ItemFile] | None = None


class Actor(Tolerant):
    """Who made a request to Connect. Its documentation has two names for the address."""

    id: str = ""
    account: str = ""
    jti: str = ""
    user_agent: str = ""
    request_ip: str = Field(default="", validation_alias=AliasChoices("requestIp", "ip"))


class ActivityResource(Tolerant):
    """What a request to Connect was about; ids as they were sent, even malformed."""

    type: str = ""
    vault: Reference = Reference()
    item: Reference = Reference()
    item_version: int | None = None


class Activity(Tolerant):
    """One request that Connect remembers. Its documentation has two names for the id."""

    request_id: str = Field(default="", validation_alias=AliasChoices("requestId", "requestID"))
    timestamp: Timestamp = None
    action: str = ""
    result: str = ""
    actor: Actor = Actor()
    resource: ActivityResource = ActivityResource()


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """A page of Connect's activity, newest first; `total` is None if the server did not name it."""

    requests: tuple[Activity, ...]
    total: int | None
