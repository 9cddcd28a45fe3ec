"""One client of 1Password in the words that all of them share, so that a check reads the same whoever makes it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]


class Refused(Exception):
    """A client's call failed; `status` is the server's, or 0 if the client itself refused or could not tell."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Client(ABC):
    """A client with one token. Vaults and items come as on the wire, bytes as `scenery.digest` shows them.

    Every method raises `Refused` if the client's does. `call` reaches every method of the client by its own name.
    """

    @abstractmethod
    async def call(self, method: str, *args: Any) -> Any:
        """What the client's own method answers, as plain JSON."""

    @abstractmethod
    async def methods(self) -> set[str]:
        """The names of the client's public methods."""

    @abstractmethod
    async def vaults(self) -> list[Json]: ...

    @abstractmethod
    async def vault(self, vault: str) -> Json: ...

    @abstractmethod
    async def vault_by_name(self, name: str) -> Json: ...

    @abstractmethod
    async def items(self, vault: str) -> list[Json]: ...

    @abstractmethod
    async def item(self, vault: str, item: str) -> Json: ...

    @abstractmethod
    async def item_by_title(self, vault: str, title: str) -> Json: ...

    @abstractmethod
    async def item_by_either(self, vault: str, item: str) -> Json:
        """An item by what may be its id or its title."""

    @abstractmethod
    async def files(self, vault: str, item: str) -> list[Json]: ...

    @abstractmethod
    async def file(self, vault: str, item: str, file: str) -> Json: ...

    @abstractmethod
    async def content(self, vault: str, item: str, file: str) -> Json: ...

    @abstractmethod
    async def create(self, vault: str, form: Mapping[str, Any]) -> Json:
        """A new item of the wire's form; sections are named by their labels there, fields name theirs so too."""

    @abstractmethod
    async def edit(
        self, vault: str, item: str, *, title: str | None = None, values: Mapping[str, str] | None = None
    ) -> Json:
        """Read an item, change its title or values by label, and replace it; returns what the replacement answers."""

    @abstractmethod
    async def delete(self, vault: str, item: str) -> None: ...


def with_sections(form: Mapping[str, Any]) -> Json:
    """`form` with ids for the sections that its fields name by label, as clients without a builder need them."""
    labels = dict.fromkeys(field["section"] for field in form["fields"] if "section" in field)
    ids = {label: f"section{number}" for number, label in enumerate(labels)}
    fields = [
        {**field, "section": {"id": ids[field["section"]]}} if "section" in field else field for field in form["fields"]
    ]
    return {**form, "sections": [{"id": ids[label], "label": label} for label in labels], "fields": fields}


def values(item: Mapping[str, Any]) -> dict[str, str]:
    """The values of an item's fields by label, without those that have none."""
    fields: Sequence[Json] = item["fields"]
    return {field["label"]: field["value"] for field in fields if field.get("value")}


def field(item: Mapping[str, Any], label: str) -> Json:
    """The field of an item with this label."""
    return next(found for found in item["fields"] if found.get("label") == label)
