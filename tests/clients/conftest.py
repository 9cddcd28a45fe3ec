"""A fresh emulator for every test, and each of 1Password's own clients in front of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import onepasswordconnectsdk
import pytest

from connect_emulator.admin.client import AdminClient, SeenRequest
from connect_emulator.clock import Clock
from connect_emulator.knobs import Knobs
from connect_emulator.server import ConnectEmulator
from support.clients.driven import Driver, GoClient, JavaScriptClient
from support.clients.installing import JAVASCRIPT, go_driver, javascript_modules, node
from support.clients.python import PythonClient
from support.clients.recorder import Recorder
from support.clients.scenery import NOW, SCENERY
from support.clients.speaking import Client

NAMES = ("python", "python-async", "javascript", "go")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python client runs in this process: nothing in the environment leads it elsewhere."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("OP_CONNECT_HOST", "OP_CONNECT_TOKEN", "OP_CONNECT_CLIENT_ASYNC", "OP_CONNECT_CLIENT_REQ_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("OP_VAULT", raising=False)


@pytest.fixture(scope="session")
def javascript_driver() -> Iterator[Driver]:
    """The program around the JavaScript client."""
    driver = Driver([node(), JAVASCRIPT / "driver.cjs"], env={"NODE_PATH": str(javascript_modules())})
    yield driver
    driver.close()


@pytest.fixture(scope="session")
def golang_driver() -> Iterator[Driver]:
    """The program around the Go client."""
    driver = Driver([go_driver()])
    yield driver
    driver.close()


@pytest.fixture
async def emulator() -> AsyncIterator[ConnectEmulator]:
    """An emulator with the scenery: replicas follow at once, and time stands still."""
    async with ConnectEmulator.start(SCENERY, knobs=Knobs(lag_s=0.0), clock=Clock.manual(NOW)) as running:
        yield running


@dataclass(frozen=True)
class Log:
    """The emulator's request log, read through the admin API."""

    admin: AdminClient

    async def records(self) -> list[SeenRequest]:
        """What was requested since the last look."""
        seen = await asyncio.to_thread(self.admin.requests)
        await asyncio.to_thread(self.admin.clear_requests)
        return seen

    async def lines(self) -> list[str]:
        """What was requested since the last look, as method and target."""
        return [f"{seen.method} {seen.path}{'?' if seen.query else ''}{seen.query}" for seen in await self.records()]


@pytest.fixture
def log(emulator: ConnectEmulator) -> Log:
    """The request log of the emulator."""
    return Log(AdminClient(emulator.admin_url))


@pytest.fixture
async def recorder(emulator: ConnectEmulator) -> AsyncIterator[Recorder]:
    """A recorder in front of the emulator."""
    async with Recorder.before(emulator.url) as running:
        yield running


Make = Callable[..., Awaitable[Client]]


@pytest.fixture
async def make(request: pytest.FixtureRequest, emulator: ConnectEmulator) -> AsyncIterator[Make]:
    """A function that makes clients by name; `text` is a token's text instead of the name of one."""
    async with AsyncExitStack() as stack:

        async def made(
            name: str,
            *,
            token: str = "all",  # noqa: S107 - a name
            text: str | None = None,
            url: str = "",
            **options: Any,
        ) -> Client:
            origin = (url or emulator.url, text if text is not None else emulator.token(token))
            if name == "javascript":
                return JavaScriptClient(request.getfixturevalue("javascript_driver"), *origin, **options)
            if name == "go":
                return GoClient(request.getfixturevalue("golang_driver"), *origin, **options)
            client = PythonClient(onepasswordconnectsdk.new_client(*origin, name == "python-async", **options))
            stack.push_async_callback(client.close)
            return client

        yield made


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each client's name in turn."""
    return request.param


@pytest.fixture
async def client(name: str, make: Make) -> Client:
    """Each client in turn, with the token that may do everything."""
    return await make(name)
