"""A 1Password service account in memory, which answers as the core of 1Password's SDK does, and that core's double.

No server of 1Password's can be had for tests, and its protocol is encrypted beyond imitation. So the account stands behind the
SDK: `CoreDouble` takes the place of the SDK's compiled core. Three things keep it honest. Each call is first sent to the real
core, for a session that does not exist: that core refuses a misspelt call otherwise than a well-formed one. Answers are written
by the SDK's own models. And errors have the texts that tests/onepassword_sdk gets from the real core.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import onepassword.client
from onepassword import types
from onepassword.core import UniffiCore
from pydantic import TypeAdapter

VAULT = "v" * 26
OTHER_VAULT = "w" * 26
START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)

_INTERNAL = "an internal error occurred, please contact 1Password at support@1password.com or https://developer.1password.com/joinslack"

TEXTS = {
    400: "bad request",
    401: "you are not authenticated",
    403: "you don't have the right permissions to access this resource",
    404: "resource not found",
    408: "request timeout",
    409: "a conflict occurred on the server. this usually happens due to a race condition in requests",
    429: "rate limit exceeded",
    500: "internal server error",
    503: "unexpected status code in response: 503 Service Unavailable",
    451: "unexpected status code in response: 451 Unavailable For Legal Reasons",
    502: "unexpected status code in response: 502 Bad Gateway",
    "redirect": (
        "request library compatibility issue, check that the your environment uses compatible versions: reqwest library: "
        "error following redirect for url (<redacted URL>)"
    ),
    "session": "session expired",
    "network": (
        "request library compatibility issue, check that the your environment uses compatible versions: reqwest library: "
        "error sending request for url (<redacted URL>)"
    ),
}
"""What the real core says of an answer with this status, and of others that are no answer."""


def service_token(
    address: str = "https://my.1password.com", *, email: str = "robot@1passwordserviceaccounts.com", **more: Any
) -> str:
    """A token that the real core takes for one; no account of this name exists."""
    content = {
        "signInAddress": address,
        "userAuth": {"method": "SRPg-4096", "alg": "PBES2g-HS256", "iterations": 650000, "salt": "A" * 22},
        "email": email,
        "srpX": "ab" * 32,
        "muk": {
            "alg": "A256GCM",
            "ext": True,
            "k": "A" * 43,
            "key_ops": ["decrypt", "encrypt"],
            "kty": "oct",
            "kid": "mp",
        },
        "secretKey": "A3-ABCDEF-ABCDEF-ABCDE-ABCDE-ABCDE-ABCDE",
        "throttleSecret": {"seed": "ab" * 32, "uuid": "A" * 26},
        "deviceUuid": "abcdefghijklmnopqrstuvwxyz",
    } | more
    return token_of(json.dumps(content))


def token_of(content: str) -> str:
    """A token with any content."""
    return "ops_" + base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


@dataclass
class Held:
    """An item of an account, and the bytes of its files by their ids."""

    item: types.Item
    files: dict[str, bytes] = field(default_factory=dict, repr=False)
    state: str = "active"


class ServiceAccount:
    """What one service account can see. It begins with the vault `Prod`, which is empty.

    Attributes:
        calls: the names of all calls, in order, `authenticate` for a login.
        asked: the parameters of the last call of each name.
        faults: for each name of a call, or `*`, what it raises: a key of `TEXTS` or a text; `hang` for none ever. It stays until
            a test removes it.
        raw: for each name of a call, the text to answer in place of the right one.
        gate: calls wait for it if it is not None.
        accepts: whether a login is accepted.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.asked: dict[str, dict[str, Any]] = {}
        self.faults: dict[str, int | str] = {}
        self.raw: dict[str, str] = {}
        self.gate: asyncio.Event | None = None
        self.accepts = True
        self.vaults: dict[str, types.VaultOverview] = {}
        self.items: dict[str, dict[str, Held]] = {}
        self._ids = 0
        self._now = START
        self.add_vault(VAULT, "Prod")

    # What a test arranges.

    def add_vault(self, vault_id: str, title: str) -> None:
        """One more vault."""
        self._now += timedelta(minutes=5)
        self.vaults[vault_id] = types.VaultOverview(
            id=vault_id,
            title=title,
            description="",
            vault_type=types.VaultType.USERCREATED,
            active_item_count=0,
            content_version=1,
            attribute_version=1,
            created_at=_text(self._now),
            updated_at=_text(self._now),
        )
        self.items[vault_id] = {}

    def add(
        self,
        title: str,
        *fields: types.ItemField,
        vault: str = VAULT,
        category: types.ItemCategory = types.ItemCategory.LOGIN,
        item_id: str = "",
        **more: Any,
    ) -> str:
        """One more item; without fields, it has a password. Returns its id."""
        self._ids += 1
        self._now += timedelta(minutes=5)
        item_id = item_id or f"{self._ids:a>26}"
        content: dict[str, Any] = {
            "sections": [],
            "notes": "",
            "tags": [],
            "websites": [],
            "version": 1,
            "files": [],
            "created_at": _text(self._now),
            "updated_at": _text(self._now),
        } | more
        item = types.Item(
            id=item_id,
            title=title,
            category=category,
            vault_id=vault,
            fields=list(fields or (text("password", "s3cret"),)),
            **content,
        )
        self.items[vault][item_id] = Held(item)
        self._moved(vault)
        return item_id

    def edit(self, item_id: str, *, vault: str = VAULT, **changes: Any) -> None:
        """Change members of an item, such as `fields`, `title` or `state`."""
        held = self.items[vault][item_id]
        self._now += timedelta(minutes=5)
        held.state = changes.pop("state", held.state)
        content = {"version": held.item.version + 1, "updated_at": self._now.replace(tzinfo=None)} | changes
        held.item = held.item.model_copy(update=content)
        self._moved(vault)

    def delete(self, item_id: str, *, vault: str = VAULT) -> None:
        """Delete an item."""
        del self.items[vault][item_id]
        self._moved(vault)

    def attach(self, item_id: str, name: str, content: bytes, *, vault: str = VAULT, document: bool = False) -> str:
        """Attach a file, or make it the item's document. Returns the file's id."""
        self._ids += 1
        file_id = f"{self._ids:f>26}"
        held = self.items[vault][item_id]
        held.files[file_id] = content
        attributes = types.FileAttributes(name=name, id=file_id, size=len(content))
        if document:
            self.edit(item_id, vault=vault, document=attributes)
        else:
            file = types.ItemFile(attributes=attributes, section_id="add more", field_id=f"field{self._ids}")
            self.edit(item_id, vault=vault, files=[*held.item.files, file])
        return file_id

    def _moved(self, vault_id: str) -> None:
        overview = self.vaults[vault_id]
        active = sum(held.state == "active" for held in self.items[vault_id].values())
        self.vaults[vault_id] = overview.model_copy(
            update={"content_version": overview.content_version + 1, "active_item_count": active}
        )

    # What the core asks.

    async def log_in(self) -> None:
        """Accept or refuse a login."""
        await self._begin("authenticate")
        if not self.accepts:
            raise Exception(f"authentication error: {TEXTS[401]}")  # noqa: TRY002 - as the SDK does

    async def answer(self, name: str, parameters: dict[str, Any]) -> str:
        """The answer to one call, as JSON."""
        self.asked[name] = parameters
        await self._begin(name)
        return self.raw[name] if name in self.raw else self.honest(name, parameters)

    def honest(self, name: str, parameters: dict[str, Any]) -> str:
        """The right answer to one call, as JSON."""
        answer: Callable[[dict[str, Any]], Any] = getattr(self, f"_{name}")
        found = answer(parameters)
        return (
            TypeAdapter(type(found) if not isinstance(found, list) else list).dump_json(found, by_alias=True).decode()
        )

    async def _begin(self, name: str) -> None:
        self.calls.append(name)
        if self.gate is not None:
            await self.gate.wait()
        fault = self.faults.get(name, self.faults.get("*"))
        if fault == "hang":
            await asyncio.Event().wait()
        if fault is not None:
            said = TEXTS.get(fault, fault) if isinstance(fault, int) or fault in TEXTS else fault
            if name == "authenticate":
                raise Exception(f"authentication error: {said}")  # noqa: TRY002 - as the SDK does
            if fault == 429:
                raise onepassword.RateLimitExceededException(str(said))
            raise Exception(str(said))  # noqa: TRY002 - as the SDK does

    def _VaultsList(self, _: dict[str, Any]) -> Any:  # noqa: N802 - the name of the call
        return list(self.vaults.values())

    def _ItemsList(self, parameters: dict[str, Any]) -> Any:  # noqa: N802 - the name of the call
        assert parameters["filters"] == []
        return [_overview(held) for held in self._vault(parameters).values() if held.state == "active"]

    def _ItemsGet(self, parameters: dict[str, Any]) -> Any:  # noqa: N802 - the name of the call
        return self._held(parameters).item

    def _ItemsFilesRead(self, parameters: dict[str, Any]) -> Any:  # noqa: N802 - the name of the call
        held, attributes = self._held(parameters), parameters["attr"]
        if attributes["id"] not in held.files:
            raise Exception("file couldn't be found")  # noqa: TRY002 - as the SDK does
        return list(held.files[attributes["id"]])

    def _vault(self, parameters: dict[str, Any]) -> dict[str, Held]:
        if parameters["vault_id"] not in self.items:
            raise Exception("vault couldn't be found")  # noqa: TRY002 - as the SDK does
        return self.items[parameters["vault_id"]]

    def _held(self, parameters: dict[str, Any]) -> Held:
        held = self._vault(parameters).get(parameters["item_id"])
        if held is None:
            raise Exception("item couldn't be found")  # noqa: TRY002 - as the SDK does
        return held


def text(title: str, value: str, **more: Any) -> types.ItemField:
    """A field with a text."""
    content = {"id": title, "field_type": types.ItemFieldType.TEXT} | more
    return types.ItemField(title=title, value=value, **content)


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _overview(held: Held) -> types.ItemOverview:
    item = held.item
    return types.ItemOverview(
        id=item.id,
        title=item.title,
        category=item.category,
        vault_id=item.vault_id,
        websites=item.websites,
        tags=item.tags,
        created_at=types.serialize_datetime_data(item.created_at),
        updated_at=types.serialize_datetime_data(item.updated_at),
        state=types.ItemState(held.state),
    )


class CoreDouble:
    """Takes the place of the SDK's core for all accounts that it knows.

    Args:
        accounts: by their tokens. A login with any other token is refused as by the server.

    Attributes:
        malformed: what the real core says of calls that it could not read; a test must find it empty.
        sessions: the accounts of all sessions that were not released, by their ids.
    """

    def __init__(self, accounts: dict[str, ServiceAccount]) -> None:
        self.accounts = accounts
        self.malformed: list[str] = []
        self.sessions: dict[int, ServiceAccount] = {}
        self._real = UniffiCore()
        self._last = 0

    async def init_client(self, client_config: dict[str, Any]) -> str:
        await self._check(self._real.init_client({**client_config, "serviceAccountToken": "x"}), "had invalid format")
        account = self.accounts.get(client_config["serviceAccountToken"])
        if account is None:
            raise Exception(f"authentication error: {TEXTS[401]}")  # noqa: TRY002 - as the SDK does
        await account.log_in()
        self._last += 1
        self.sessions[self._last] = account
        return str(self._last)

    async def invoke(self, invoke_config: dict[str, Any]) -> str:
        unknown = copy.deepcopy(invoke_config)
        unknown["invocation"]["clientId"] = 2**52
        await self._check(self._real.invoke(unknown), "invalid client id")
        call = invoke_config["invocation"]
        if call["clientId"] not in self.sessions:
            raise Exception(f"{_INTERNAL}: invalid client id")  # noqa: TRY002 - as the SDK does
        return await self.sessions[call["clientId"]].answer(
            call["parameters"]["name"], call["parameters"]["parameters"]
        )

    def release_client(self, client_id: int) -> None:
        del self.sessions[client_id]

    async def _check(self, call: Any, expected: str) -> None:
        try:
            await call
        except Exception as error:  # noqa: BLE001 - the SDK has no other class
            if expected in str(error):
                return
            self.malformed.append(str(error))
        else:
            self.malformed.append("it answered")


@contextmanager
def core_double(accounts: dict[str, ServiceAccount]) -> Iterator[CoreDouble]:
    """While it lasts, the SDK logs in to these accounts and to no server."""
    double = CoreDouble(accounts)
    with mock.patch.object(onepassword.client, "UniffiCore", return_value=double):
        yield double
    assert double.malformed == []
