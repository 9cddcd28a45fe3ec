"""What Connect answers, as tolerant models: unknown members and values pass, null means absent, values never show.

Facts: the OpenAPI description of Connect 1.7.1 and answers seen since. Members that nothing should ever use are not kept
at all: `passwordDetails` (old passwords in clear), `totp` (changes by itself), `additionalInformation` (may be the first
line of a note), inlined file content outside of the routes that ask for it.
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


class Tolerant(BaseModel):
    """The base of everything read from Connect."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

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
        # A time decides at most between two items of one title: never refuse an item for it.
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
"""An id that stands in a path: 26 lower-case letters and digits in every answer seen, and never able to leave its segment."""

Time = Annotated[datetime | None, WrapValidator(_time_or_none)]
"""RFC 3339 with a fraction of any length; anything else reads as absent."""


class Vault(Tolerant):
    """A vault that the token can see; the same in lists and alone."""

    id: Id
    name: str = ""
    description: str = ""
    type: str = ""
    items: int | None = None
    attribute_version: int | None = None
    content_version: int | None = None
    created_at: Time = None
    updated_at: Time = None


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
    """An item as lists show it: no value anywhere."""

    id: Id
    title: str = ""
    vault: Reference = Reference()
    category: str = ""
    version: int | None = None
    tags: tuple[str, ...] = ()
    urls: tuple[ItemUrl, ...] = ()
    favorite: bool = False
    state: str = ""
    last_edited_by: str = ""
    created_at: Time = None
    updated_at: Time = None


class Section(Tolerant):
    """A section of an item. Placeholders have neither id nor label."""

    id: str = ""
    label: str = ""


class ItemField(Tolerant):
    """A field of an item; `value` shows in no repr and no dump."""

    id: str = ""
    label: str = ""
    type: str = ""
    purpose: str = ""
    value: SecretStr | None = None
    section: Section | None = None


class ItemFile(Tolerant):
    """A file of an item. `content` is base64 text, and there only where inlining was asked for."""

    id: Id
    name: str = ""
    size: int | None = Field(default=None, ge=0)
    section: Section | None = None
    content: SecretStr | None = None
    content_path: str = Field(default="", validation_alias=AliasChoices("content_path", "contentPath"))


class Item(ItemSummary):
    """An item with its values. None for `fields` or `files` means that the answer did not speak of them."""

    sections: tuple[Section, ...] = ()
    fields: tuple[ItemField, ...] | None = None
    files: tuple[ItemFile, ...] | None = None


class Actor(Tolerant):
    """Who made a request to Connect."""

    id: str = ""
    account: str = ""
    jti: str = ""
    user_agent: str = ""
    request_ip: str = ""


class Resource(Tolerant):
    """What a request to Connect was about; ids as they were sent, even malformed."""

    type: str = ""
    vault: Reference = Reference()
    item: Reference = Reference()
    item_version: int | None = None


class Activity(Tolerant):
    """One request that Connect remembers."""

    request_id: str = ""
    timestamp: Time = None
    action: str = ""
    result: str = ""
    actor: Actor = Actor()
    resource: Resource = Resource()


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """A page of Connect's memory, newest first; `total` is None where the server did not say how much there is."""

    requests: tuple[Activity, ...]
    total: int | None


class Dependency(Tolerant):
    """A part of Connect and its state, as `sync: ACTIVE`."""

    service: str = ""
    status: str = ""
    message: str = ""


class ServerHealth(Tolerant):
    """What Connect says of itself. A healthy answer does not mean that items can be read: see `dependencies`."""

    name: str = ""
    version: str = ""
    dependencies: tuple[Dependency, ...] = ()
