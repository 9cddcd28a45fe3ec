"""The file that describes vaults, items, tokens, knobs and faults, and its errors in one line.

Every scalar of the YAML file is text, exactly as written: `value: 0123` and `value: yes` mean what they look like.

    vaults:
      - name: Production                  # id, description, type, attribute_version, content_version if wanted
        items:
          - title: database               # id, favorite, state, version, created_at, updated_at if wanted
            category: DATABASE            # LOGIN if not given
            tags: [app]
            fields:
              - {label: username, value: app}
              - {label: password, type: CONCEALED, value: s3cret}
              - {label: valid until, type: DATE, value: 2030-01-31, section: More}
            urls: [{label: website, href: "https://db.example", primary: true}]
            files: [{name: tls.crt, content: text}, {name: blob, base64: AAEC}, {name: big, size: 200000}, {name: x, path: beside}]
    tokens:
      - name: operator                    # expires_in_s if wanted
        vaults: {Production: r}           # r, w or rw; "*" is every vault
    grants: {"*": rw}                     # what the server itself may do
    knobs: {lag_s: 0.3}
    faults: [{route: "GET /v1/vaults", status: 503, count: 2}]
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from connect_emulator.account.ids import ID_PATTERN
from connect_emulator.account.model import State, VaultType
from connect_emulator.faults import FaultRule
from connect_emulator.knobs import KnobError, Knobs, turned

Verbs = Literal["r", "w", "rw"]
Id = Annotated[str, Field(pattern=f"^{ID_PATTERN.pattern}$")]


class DescriptionError(ValueError):
    """A description that cannot be used; the text is one line that names the place and no value."""


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, coerce_numbers_to_str=True, frozen=True)


class FieldSpec(_Spec):
    """A field. `section` is the id or label of a section, which is made if the item lists none such.

    A label, id or purpose of a built-in field of the category means that field.
    """

    id: str = ""
    label: str = ""
    type: str = ""
    purpose: Literal["", "USERNAME", "PASSWORD", "NOTES"] = ""
    value: str = Field(default="", repr=False)
    section: str = ""
    history: list[str] = Field(default_factory=list, repr=False)


class UrlSpec(_Spec):
    """An address of an item."""

    href: str
    label: str = ""
    primary: bool = False


class SectionSpec(_Spec):
    """A section; an empty one is the placeholder that real servers sometimes show."""

    id: str = ""
    label: str = ""


class FileSpec(_Spec):
    """An attached file: text, base64, a path relative to the description, or so many zero bytes."""

    name: str
    id: Id | None = None
    content: str | None = Field(default=None, repr=False)
    base64: str | None = Field(default=None, repr=False)
    path: Path | None = None
    size: Annotated[int, Field(ge=0)] | None = None
    section: str = ""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(source is not None for source in (self.content, self.base64, self.path, self.size)) != 1:
            raise ValueError("give one of content, base64, path, size")
        self.read(base=None)
        return self

    def read(self, *, base: Path | None) -> bytes:
        """The bytes; a path is read relative to `base`, and without one not at all.

        Raises:
            ValueError: bad base64.
            OSError: a path that cannot be read.
        """
        if self.content is not None:
            return self.content.encode()
        if self.base64 is not None:
            try:
                return base64.b64decode("".join(self.base64.split()), validate=True)
            except binascii.Error:
                raise ValueError("base64 is not valid") from None
        if self.path is not None:
            return b"" if base is None else (base / self.path).read_bytes()
        return bytes(self.size or 0)


class ItemSpec(_Spec):
    """An item. Times are seconds since 1970; items without them are as old as their order in the file says."""

    title: str
    id: Id | None = None
    category: str = "LOGIN"
    favorite: bool = False
    state: State = ""
    tags: list[str] = Field(default_factory=list)
    urls: list[UrlSpec] = Field(default_factory=list)
    sections: list[SectionSpec] = Field(default_factory=list)
    fields: list[FieldSpec] = Field(default_factory=list)
    files: list[FileSpec] = Field(default_factory=list)
    version: Annotated[int, Field(ge=1)] = 1
    created_at: float | None = None
    updated_at: float | None = None


class VaultSpec(_Spec):
    """A vault with its items."""

    name: str
    id: Id | None = None
    description: str = ""
    type: VaultType = "USER_CREATED"
    items: list[ItemSpec] = Field(default_factory=list)
    attribute_version: Annotated[int, Field(ge=1)] = 1
    content_version: Annotated[int, Field(ge=1)] | None = None


class TokenSpec(_Spec):
    """A token: verbs by vault name or id, `*` for every vault, and perhaps a life time from the start in seconds."""

    name: str
    vaults: dict[str, Verbs] = Field(default_factory=dict)
    expires_in_s: float | None = None


def _none_as_empty(value: object) -> object:
    return {} if value is None or value == "" else value


class Description(_Spec):
    """A whole description. `grants` are the server's own, which limit every token; all vaults if not given."""

    vaults: list[VaultSpec] = Field(default_factory=list)
    tokens: list[TokenSpec] = Field(default_factory=list)
    grants: dict[str, Verbs] = {"*": "rw"}
    knobs: Annotated[dict[str, Any], BeforeValidator(_none_as_empty)] = Field(default_factory=dict)
    faults: list[FaultRule] = Field(default_factory=list)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            turned(Knobs(), self.knobs)
        except KnobError as error:
            raise ValueError(f"knobs: {error}") from None
        known = {"*", *(vault.name for vault in self.vaults), *(vault.id for vault in self.vaults if vault.id)}
        if (name := _doubled(vault.id for vault in self.vaults)) is not None:
            raise ValueError(f"two vaults have the id {name!r}")
        for vault in self.vaults:
            if (name := _doubled(item.id for item in vault.items)) is not None:
                raise ValueError(f"two items of vault {vault.name!r} have the id {name!r}")
        if (name := _doubled(token.name for token in self.tokens)) is not None:
            raise ValueError(f"two tokens are named {name!r}")
        for owner, grants in (("grants", self.grants), *((f"token {t.name!r}", t.vaults) for t in self.tokens)):
            if unknown := sorted(set(grants) - known):
                raise ValueError(f"{owner}: the vault {unknown[0]!r} is not described")
        return self


def _doubled(names: Iterable[str | None]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name is not None and name in seen:
            return name
        seen.add(name or "")
    return None


class _Loader(yaml.BaseLoader):
    """A YAML loader that reads every scalar as text and refuses a key that is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"the key {key.value!r} is there twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def load(path: Path) -> Description:
    """Read a description file.

    Raises:
        DescriptionError: an unreadable file, bad YAML, or content that means nothing.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DescriptionError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DescriptionError(f"{path}: not UTF-8 text") from None
    try:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - derived from BaseLoader, which makes texts only
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        raise DescriptionError(f"{path}: {place}: {error.problem}") from None
    except yaml.YAMLError:
        raise DescriptionError(f"{path}: not YAML") from None
    try:
        description = parse({} if data in (None, "") else data)
    except DescriptionError as error:
        raise DescriptionError(f"{path}: {error}") from None
    for vault in description.vaults:
        for item in vault.items:
            for file in item.files:
                try:
                    file.read(base=path.parent)
                except OSError as error:
                    raise DescriptionError(f"{path}: file {file.name!r} of {item.title!r}: {error.strerror}") from None
    return description


def parse(data: object) -> Description:
    """A description from plain data.

    Raises:
        DescriptionError: content that means nothing.
    """
    if not isinstance(data, Mapping):
        raise DescriptionError("the top must be a mapping with vaults and tokens")
    try:
        return Description.model_validate(dict(data))
    except ValidationError as error:
        raise DescriptionError(explain(error)) from None


def explain(error: ValidationError) -> str:
    """The first problem of `error` in one line: place and reason, no value."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ""
    for part in first["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place.lstrip('.')}: {message}" if place else message
