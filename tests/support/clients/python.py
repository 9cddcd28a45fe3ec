"""1Password's Python client, synchronous or asynchronous."""

import asyncio
import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

import httpx
import onepasswordconnectsdk
from onepasswordconnectsdk.async_client import AsyncClient
from onepasswordconnectsdk.errors import OnePasswordConnectSDKError
from typing_extensions import override

from support.clients.scenery import digest
from support.clients.speaking import Client, Json, Refused, with_sections

# Every method has its own way to space out the same sentence.
_REFUSAL = re.compile(r"Received (\d+)\b.* with message:? (.*)", re.DOTALL)


class PythonClient(Client):
    """Around the package's `Client` or `AsyncClient`; `close` it at the end."""

    def __init__(self, sdk: onepasswordconnectsdk.client.Client | AsyncClient) -> None:
        self.sdk = sdk
        self.asynchronous = isinstance(sdk, AsyncClient)

    async def close(self) -> None:
        if self.asynchronous:
            await self.sdk.session.aclose()
        else:
            self.sdk.session.close()

    @override
    async def call(self, method: str, *args: Any) -> Any:
        return self._plain(await self.raw(method, *args))

    async def raw(self, method: str, *args: Any) -> Any:
        """What the client's own method answers, as it answers it."""
        function = getattr(self.sdk, method)
        try:
            answer = function(*args) if self.asynchronous else await asyncio.to_thread(function, *args)
            return await answer if inspect.isawaitable(answer) else answer
        except OnePasswordConnectSDKError as error:
            told = _REFUSAL.search(str(error))
            status, message = (int(told[1]), told[2]) if told else (0, re.sub(r"\s+", " ", str(error)))
            raise Refused(status, message) from error

    def _plain(self, answer: Any) -> Any:
        if isinstance(answer, bytes):
            return digest(answer)
        if isinstance(answer, httpx.Response):
            return answer.json()
        return self.sdk.sanitize_for_serialization(answer)

    @override
    async def methods(self) -> set[str]:
        return {name for name, _ in inspect.getmembers(type(self.sdk), inspect.isfunction) if not name.startswith("_")}

    @override
    async def vaults(self) -> list[Json]:
        return await self.call("get_vaults")

    @override
    async def vault(self, vault: str) -> Json:
        return await self.call("get_vault", vault)

    @override
    async def vault_by_name(self, name: str) -> Json:
        return await self.call("get_vault_by_title", name)

    @override
    async def items(self, vault: str) -> list[Json]:
        return await self.call("get_items", vault)

    @override
    async def item(self, vault: str, item: str) -> Json:
        return await self.call("get_item_by_id", item, vault)

    @override
    async def item_by_title(self, vault: str, title: str) -> Json:
        return await self.call("get_item_by_title", title, vault)

    @override
    async def item_by_either(self, vault: str, item: str) -> Json:
        return await self.call("get_item", item, vault)

    @override
    async def files(self, vault: str, item: str) -> list[Json]:
        return await self.call("get_files", item, vault)

    @override
    async def file(self, vault: str, item: str, file: str) -> Json:
        return await self.call("get_file", file, item, vault)

    @override
    async def content(self, vault: str, item: str, file: str) -> Json:
        return await self.call("get_file_content", file, item, vault)

    @override
    async def create(self, vault: str, form: Mapping[str, Any]) -> Json:
        made = self.sdk.deserialize(json.dumps({"vault": {"id": vault}, **with_sections(form)}), "Item")
        return await self.call("create_item", vault, made)

    @override
    async def edit(
        self, vault: str, item: str, *, title: str | None = None, values: Mapping[str, str] | None = None
    ) -> Json:
        read = await self.raw("get_item_by_id", item, vault)
        if title is not None:
            read.title = title
        for field in read.fields:
            field.value = (values or {}).get(field.label, field.value)
        return await self.call("update_item", item, vault, read)

    @override
    async def delete(self, vault: str, item: str) -> None:
        await self.call("delete_item", item, vault)
