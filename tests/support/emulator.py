"""The Connect emulator for tests: as a process of its own, or inside the test with a client in front of it."""

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

from connect_emulator.account.description import FileSpec, ItemSpec
from connect_emulator.admin.client import AdminClient
from connect_emulator.clock import Clock
from connect_emulator.faults import FaultRule
from connect_emulator.server import ConnectEmulator
from demo.programs import Emulator

START = 1_700_000_000.0
NOWHERE = "a" * 26

DESCRIPTION: dict[str, Any] = {
    "vaults": [
        {
            "name": "Production",
            "description": "what runs",
            "items": [
                {
                    "title": "database",
                    "category": "DATABASE",
                    "tags": ["app"],
                    "fields": [
                        {"label": "username", "value": "app"},
                        {"label": "password", "type": "CONCEALED", "value": "canary-database"},
                    ],
                    "urls": [{"label": "website", "href": "https://db.example", "primary": True}],
                    "files": [
                        {"name": "tls.crt", "content": "certificate"},
                        {"name": "blob", "base64": base64.b64encode(bytes(range(256))).decode()},
                    ],
                },
                {
                    "title": "login",
                    "category": "LOGIN",
                    "fields": [
                        {"label": "username", "value": "ada"},
                        {"label": "password", "value": "canary-login"},
                        {"label": "api key", "section": "Extra", "type": "CONCEALED", "value": "canary-key"},
                    ],
                },
            ],
        },
        {
            "name": "Staging",
            "items": [{"title": "database", "category": "PASSWORD", "fields": [{"label": "password", "value": "x"}]}],
        },
        {"name": "Empty"},
    ],
    "tokens": [
        {"name": "all", "vaults": {"*": "rw"}},
        {"name": "reader", "vaults": {"Production": "r"}},
        {"name": "writer", "vaults": {"Production": "w"}},
        {"name": "nothing", "vaults": {}},
    ],
}


class EmulatorProcess:
    """The emulator's command, started and stopped; it also ends when this process dies, however that happens.

    Use it as a context manager, or call `start` and `stop`.

    Attributes:
        url: the API's address, without `/v1`.
        admin_url: the admin API's address.
        tls_url: the API's address with TLS, or None.
        admin: a client of the admin API.
        log: the file that takes the emulator's log.

    Args:
        description: a YAML file, or plain data, which is written into `folder`.
        folder: where the description and the token files go.
        arguments: further arguments of the command.
        log: where its log goes; `emulator.log` in `folder` if not given.
    """

    def __init__(
        self,
        description: Mapping[str, Any] | Path,
        *,
        folder: Path,
        seed: int = 0,
        port: int = 0,
        knobs: Mapping[str, object] | None = None,
        token_files: Sequence[str] = (),
        arguments: Sequence[str] = (),
        log: Path | None = None,
    ) -> None:
        if isinstance(description, Path):
            self.config = description
        else:
            self.config = folder / "emulator.yaml"
            self.config.write_text(yaml.safe_dump(dict(description), allow_unicode=True), encoding="utf-8")
        self.token_paths = {name: folder / f"{name}.token" for name in token_files}
        self.log = log or folder / "emulator.log"
        self._arguments = [
            *(f"--listen=127.0.0.1:{port}", f"--seed={seed}"),
            *(f"--knob={name}={value}" for name, value in (knobs or {}).items()),
            *arguments,
        ]
        self._program: Emulator | None = None
        self.url = ""
        self.admin_url = ""
        self.tls_url: str | None = None

    @property
    def admin(self) -> AdminClient:
        """A client of the admin API."""
        return AdminClient(self.admin_url)

    @property
    def pid(self) -> int:
        """The process id, for measurements."""
        assert self._program is not None
        return self._program.pid

    def token(self, name: str) -> str:
        """The text of the latest token of that name."""
        return self.admin.token(name)

    def start(self) -> Self:
        """Start the process and wait until it is ready (`ProgramFailed` with its own words if it gives up)."""
        started = Emulator.start(self.config, log=self.log, tokens=self.token_paths, flags=self._arguments)
        self._program = started
        self.url, self.admin_url, self.tls_url = started.url, started.admin.url, started.tls_url
        return self

    def stop(self) -> None:
        """End the process; does nothing if it has ended."""
        program, self._program = self._program, None
        if program is not None:
            program.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Rig:
    """One running emulator and a client; requests carry the token named `all` unless told otherwise."""

    def __init__(self, emulator: ConnectEmulator, client: httpx.AsyncClient, clock: Clock) -> None:
        self.emulator = emulator
        self.cloud = emulator.cloud
        self.client = client
        self.clock = clock

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        token: str | None = "all",  # noqa: S107 - a name
        headers: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> httpx.Response:
        sent = dict(headers or {})
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {self.emulator.token(token)}")
        return await self.client.request(method, path, headers=sent, **arguments)

    async def get(self, path: str, **arguments: Any) -> httpx.Response:
        return await self("GET", path, **arguments)

    def vault(self, name: str = "Production") -> str:
        """The id of a vault."""
        return self.cloud.vault(name).id

    def vault_path(self, name: str = "Production") -> str:
        return f"/v1/vaults/{self.vault(name)}"

    def items_path(self, vault: str = "Production") -> str:
        return f"{self.vault_path(vault)}/items"

    def item_path(self, title: str = "database", vault: str = "Production") -> str:
        return f"{self.items_path(vault)}/{self.cloud.item(vault, title).id}"

    @staticmethod
    def file_spec(**members: Any) -> FileSpec:
        """A file in the description's form."""
        return FileSpec(**members)

    @staticmethod
    def item_spec(**members: Any) -> ItemSpec:
        """An item in the description's form."""
        return ItemSpec(**members)

    @staticmethod
    def fault(**members: Any) -> FaultRule:
        """A fault rule."""
        return FaultRule(**members)

    def file_path(self, name: str = "blob", title: str = "database") -> str:
        files = self.cloud.item("Production", title).content.files
        return f"{self.item_path(title)}/files/{next(file.id for file in files if file.name == name)}"

    async def item(self, title: str = "database", vault: str = "Production") -> dict[str, Any]:
        """An item as the API serves it."""
        response = await self.get(self.item_path(title, vault))
        assert response.status_code == 200, response.text
        return response.json()

    async def fields(self, title: str = "database", vault: str = "Production") -> dict[str, dict[str, Any]]:
        """An item's fields by label."""
        return {field.get("label", ""): field for field in (await self.item(title, vault))["fields"]}


Launch = Callable[..., Awaitable[Rig]]
