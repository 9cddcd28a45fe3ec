"""Bitwarden's own command-line client, `bw`, unmodified and in an exact version, in front of the test server."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.bitwarden_server.account import Account
from support.clients.installing import node, npm_modules
from support.patience import PATIENCE_S

LOCK = Path(__file__).resolve().parents[2] / "bitwarden" / "cli"


def bitwarden_program() -> Path:
    """The program, for Node; installed by npm if it is missing."""
    modules = npm_modules(LOCK, "bitwarden", label="Bitwarden's command-line client from npm")
    return modules / "@bitwarden" / "cli" / "build" / "bw.js"


class Bw:
    """One installation of the client, with a folder and an environment of its own."""

    def __init__(self, folder: Path, *, authority: Path) -> None:
        self._environment = {
            "BITWARDENCLI_APPDATA_DIR": str(folder),
            "NODE_EXTRA_CA_CERTS": str(authority),
            "HOME": str(folder),
            "BW_NOINTERACTION": "true",
        }

    async def log_in(self, url: str, account: Account) -> None:
        """Log in with the API key, and unlock with the master password."""
        await self.run("config", "server", url)
        credential = account.credential
        key = {"BW_CLIENTID": credential["clientId"], "BW_CLIENTSECRET": credential["clientSecret"]}
        await self.run("login", "--apikey", environment=key)
        password = {"BW_PASSWORD": credential["masterPassword"]}
        session = await self.run("unlock", "--passwordenv", "BW_PASSWORD", "--raw", environment=password)
        self._environment["BW_SESSION"] = session.decode().strip()

    async def listed(self, what: str, *options: str) -> list[dict[str, Any]]:
        """What the client lists, in clear."""
        return json.loads(await self.run("list", what, *options))

    async def file(self, item: str, name: str) -> bytes:
        """The content of a file of an item."""
        return await self.run("get", "attachment", name, "--itemid", item, "--raw")

    async def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> bytes:
        """What a command prints; it must succeed."""
        process = await asyncio.create_subprocess_exec(
            *map(str, (node(), bitwarden_program(), *arguments)),
            env={**self._environment, **(environment or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, f"bw {arguments[0]} failed: {errors.decode()[-2000:]}"
        return output
