"""1Password's JavaScript and Go clients, each behind a driver: a program that makes the calls it reads from a pipe."""

import asyncio
import json
import os
import select
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from support.clients.speaking import Client, Json, Refused, with_sections
from support.patience import PATIENCE_S


class Driver:
    """A driver's process. It ends when its input does: at the latest with this process, however that ends."""

    def __init__(self, command: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> None:
        # Nothing of a proxy, and nothing that Node or a client would read from the environment.
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        self._process = subprocess.Popen(
            command, env={**kept, **(env or {})}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    async def ask(self, call: Mapping[str, Any]) -> Any:
        """What a call answers (`Refused` if it fails)."""
        outcome = await asyncio.to_thread(self._exchange, json.dumps(call).encode() + b"\n")
        if (error := outcome.get("error")) is not None:
            raise Refused(error["status"], error.get("message") or json.dumps(error, ensure_ascii=False))
        return outcome["value"]

    def _exchange(self, line: bytes) -> Json:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line)
        process.stdin.flush()
        readable, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
        answer = process.stdout.readline() if readable else b""
        if not answer:
            process.kill()
            raise AssertionError("the driver ended, or did not answer")
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class JavaScriptClient(Client):
    """The package's `OPConnect`; `options` are further ones of its constructor."""

    def __init__(self, driver: Driver, url: str, token: str, **options: Any) -> None:
        self._driver = driver
        self._options = {"serverURL": url, "token": token, **options}

    @override
    async def call(self, method: str, *args: Any) -> Any:
        answer = await self._driver.ask({"method": method, "args": args, "options": self._options})
        for field in (answer.get("fields") or []) if isinstance(answer, dict) else []:
            if "otp" in field:
                field["totp"] = field.pop("otp")
        return answer

    async def patch(self, path: str, operations: Sequence[Json]) -> Json:
        """PATCH through the client's own adapter; it has no method for it."""
        return await self.call("patch", path, operations, self._options)

    @override
    async def methods(self) -> set[str]:
        return set(await self.call("methods"))

    @override
    async def vaults(self) -> list[Json]:
        return await self.call("listVaults")

    @override
    async def vault(self, vault: str) -> Json:
        return await self.call("getVaultById", vault)

    @override
    async def vault_by_name(self, name: str) -> Json:
        return await self.call("getVaultByTitle", name)

    @override
    async def items(self, vault: str) -> list[Json]:
        return await self.call("listItems", vault)

    @override
    async def item(self, vault: str, item: str) -> Json:
        return await self.call("getItemById", vault, item)

    @override
    async def item_by_title(self, vault: str, title: str) -> Json:
        return await self.call("getItemByTitle", vault, title)

    @override
    async def item_by_either(self, vault: str, item: str) -> Json:
        return await self.call("getItem", vault, item)

    @override
    async def files(self, vault: str, item: str) -> list[Json]:
        return await self.call("listFiles", vault, item)

    @override
    async def file(self, vault: str, item: str, file: str) -> Json:
        return await self.call("getFileById", vault, item, file)

    @override
    async def content(self, vault: str, item: str, file: str) -> Json:
        return await self.call("getFileContentStream", vault, item, file)

    @override
    async def create(self, vault: str, form: Mapping[str, Any]) -> Json:
        return await self.call("createItem", vault, builder_steps(form))

    @override
    async def edit(
        self, vault: str, item: str, *, title: str | None = None, values: Mapping[str, str] | None = None
    ) -> Json:
        changes = {} if title is None else {"title": title}
        return await self.call("updateItem", vault, item, changes, dict(values or {}))

    @override
    async def delete(self, vault: str, item: str) -> None:
        await self.call("deleteItemById", vault, item)


def builder_steps(form: Mapping[str, Any]) -> list[list[Any]]:
    """The calls of the JavaScript `ItemBuilder` that make an item of the wire's form."""
    steps: list[list[Any]] = [["setTitle", form["title"]], ["setCategory", form["category"]]]
    steps += [["addTag", tag] for tag in form.get("tags", ())]
    steps += [["addUrl", url] for url in form.get("urls", ())]
    for field in form["fields"]:
        options = {name: value for name, value in field.items() if name != "section"}
        if field.get("generate"):
            # The builder stumbles over a missing recipe.
            options.setdefault("recipe", {})
        steps.append(["addField", {**options, "sectionName": field["section"]} if "section" in field else options])
    if form.get("favorite"):
        steps.append(["toggleFavorite"])
    return steps


class GoClient(Client):
    """The module's `connect.Client`; `environment` holds while it is made and used."""

    def __init__(self, driver: Driver, url: str, token: str, *, user_agent: str = "", **environment: str) -> None:
        self._driver = driver
        self._origin = {"url": url, "token": token, "user_agent": user_agent, "env": environment}

    @override
    async def call(self, method: str, *args: Any) -> Any:
        return await self._driver.ask({"method": method, "args": args, **self._origin})

    @override
    async def methods(self) -> set[str]:
        return set(await self.call("methods"))

    @override
    async def vaults(self) -> list[Json]:
        return await self.call("GetVaults")

    @override
    async def vault(self, vault: str) -> Json:
        return await self.call("GetVaultByUUID", vault)

    @override
    async def vault_by_name(self, name: str) -> Json:
        return await self.call("GetVaultByTitle", name)

    @override
    async def items(self, vault: str) -> list[Json]:
        return await self.call("GetItems", vault)

    @override
    async def item(self, vault: str, item: str) -> Json:
        return await self.call("GetItemByUUID", item, vault)

    @override
    async def item_by_title(self, vault: str, title: str) -> Json:
        return await self.call("GetItemByTitle", title, vault)

    @override
    async def item_by_either(self, vault: str, item: str) -> Json:
        return await self.call("GetItem", item, vault)

    @override
    async def files(self, vault: str, item: str) -> list[Json]:
        return await self.call("GetFiles", item, vault)

    @override
    async def file(self, vault: str, item: str, file: str) -> Json:
        return await self.call("GetFile", file, item, vault)

    @override
    async def content(self, vault: str, item: str, file: str) -> Json:
        return await self.call("GetFileContent", await self.file(vault, item, file))

    @override
    async def create(self, vault: str, form: Mapping[str, Any]) -> Json:
        return await self.call("CreateItem", {"vault": {"id": vault}, **with_sections(form)}, vault)

    @override
    async def edit(
        self, vault: str, item: str, *, title: str | None = None, values: Mapping[str, str] | None = None
    ) -> Json:
        read = await self.item(vault, item)
        fields = [
            {**field, "value": (values or {}).get(field["label"], field.get("value"))} for field in read["fields"]
        ]
        return await self.call("UpdateItem", {**read, "title": title or read["title"], "fields": fields}, vault)

    @override
    async def delete(self, vault: str, item: str) -> None:
        await self.call("DeleteItemByID", item, vault)
