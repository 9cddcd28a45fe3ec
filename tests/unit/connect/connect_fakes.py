"""A Connect server that plays a script, and a client of it whose time is fake."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import httpx

from keyturn.providers.connect import ConnectClient, ConnectSettings, StaticToken, TokenSource
from support.fake_time import FakeTime

VAULT = "vaultvaultvaultvaultvault1"
ITEM = "itemitemitemitemitemitem12"
OTHER = "otherotherotherotherother1"
FILE = "filefilefilefilefilefile12"
TOKEN = "eyJhbGciOiJFUzI1NiJ9.canary-token.c2lnbmF0dXJl"

Step = httpx.Response | Exception | Callable[[httpx.Request], Any]


class Script:
    """Answers requests with the given steps in turn, and then repeats the last one."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.requests: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        step = self.steps[min(len(self.requests), len(self.steps) - 1)]
        self.requests.append(request)
        if isinstance(step, Exception):
            raise step
        if isinstance(step, httpx.Response):
            return step
        outcome = step(request)
        return await outcome if isinstance(outcome, Awaitable) else outcome

    @property
    def targets(self) -> list[str]:
        return [request.url.raw_path.decode() for request in self.requests]


class Chunks(httpx.AsyncByteStream):
    """A body in pieces, which counts the pieces that were read."""

    def __init__(self, pieces: Sequence[bytes | Exception]) -> None:
        self.pieces = pieces
        self.given = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.given += 1
            if isinstance(piece, Exception):
                raise piece
            yield piece


class Bench:
    """A client on a script, with its time and what its observer was called with."""

    def __init__(
        self,
        *steps: Step,
        token: TokenSource | None = None,
        host: str = "http://connect.test",
        **settings: Any,
    ) -> None:
        self.script = Script(*steps)
        self.time = FakeTime()
        self.observed: list[tuple[str, str, float]] = []
        self.client = ConnectClient(
            ConnectSettings(host=host, **settings),
            token=token or StaticToken(TOKEN),
            time=self.time,
            observer=lambda *request: self.observed.append(request),
            transport=httpx.MockTransport(self.script),
        )

    @property
    def sent(self) -> int:
        return len(self.script.requests)


def answer(body: Any = (), *, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(
        status, content=json.dumps(body).encode(), headers={"content-type": "application/json", **headers}
    )


def fault(status: int, message: str = "Something went wrong", **headers: str) -> httpx.Response:
    return answer({"status": status, "message": message}, status=status, **headers)


def page(status: int = 200) -> httpx.Response:
    return httpx.Response(status, text="<html>gateway</html>", headers={"content-type": "text/html"})


def alive() -> httpx.Response:
    return httpx.Response(200, text=".", headers={"content-type": "text/plain"})


def item_json(**changes: Any) -> dict[str, Any]:
    return {
        "id": ITEM,
        "title": "Database",
        "vault": {"id": VAULT},
        "category": "LOGIN",
        "version": 3,
        "createdAt": "2024-01-02T03:04:05Z",
        "fields": [{"id": "password", "label": "password", "type": "CONCEALED", "value": "canary-value"}],
        **changes,
    }


def summary_json(**changes: Any) -> dict[str, Any]:
    found = item_json(**changes)
    del found["fields"]
    return found


def vault_json(**changes: Any) -> dict[str, Any]:
    return {"id": VAULT, "name": "Prod", "contentVersion": 7, "items": 2, "type": "USER_CREATED", **changes}
