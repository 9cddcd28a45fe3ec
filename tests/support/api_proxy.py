"""Stands between an operator and the API server: notes every write, loses some requests, and calls when one passes by."""

import asyncio
import json
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import aiohttp
from aiohttp import web

from keyturn.cluster.access import Access
from keyturn.core.names import REVISION

Fault = Literal["409", "429", "500", "503", "unsent", "unanswered"]
"""What becomes of a request: refused with a status (409 only if it is a write), cut before it reaches the API server, or cut after
that."""

Moment = Literal["before", "after"]
"""When a write is noticed: before the API server gets it, or when it has done it and nobody was told yet."""

_HOP = frozenset({"connection", "host", "keep-alive", "transfer-encoding", "content-length"})
_RESTART = re.compile(r"/apis/apps/v1/namespaces/[^/]+/(?P<plural>[a-z]+)/(?P<name>[^/]+)")


@dataclass(frozen=True)
class Restart:
    """A pod template that the API server has changed for the operator; marks are Secrets with their revisions."""

    workload: str
    marks: frozenset[str]


class ApiProxy:
    """Passes on whatever comes, as the administrator.

    Attributes:
        url: where it listens.
        restarts: every restart that went through, in order.
        requests: how many requests came so far.
        writes: how many of them were no reads.
        fault: decides what becomes of a request.
        faults: how many requests it has struck, by kind.
    """

    def __init__(self, access: Access) -> None:
        configuration = access.configuration
        self._server = str(configuration.host).rstrip("/")
        self._tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        self._tls.load_cert_chain(configuration.cert_file, configuration.key_file)
        self._session: aiohttp.ClientSession | None = None
        self._passing: set[asyncio.Task[web.StreamResponse]] = set()
        self._watching: dict[int, web.Request] = {}
        self._awaited: list[tuple[int, Moment, Callable[[], None]]] = []
        self.url = ""
        self.restarts: list[Restart] = []
        self.requests = 0
        self.writes = 0
        self.fault: Callable[[], Fault | None] = lambda: None
        self.faults: Counter[Fault] = Counter()

    @classmethod
    @asynccontextmanager
    async def standing(cls, kubeconfig: Path) -> AsyncIterator[Self]:
        """A proxy before the API server of a kubeconfig, for the length of the block."""
        proxy = cls(await Access.load(kubeconfig=str(kubeconfig)))
        application = web.Application(client_max_size=1 << 23)
        application.router.add_route("*", "/{path:.*}", proxy._take)
        # Whoever is gone watches no more; what is no watch is shielded below.
        runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        connector = aiohttp.TCPConnector(limit=0, ssl=proxy._tls)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as proxy._session:
            try:
                await site.start()
                proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
                yield proxy
            finally:
                await runner.cleanup()
                await asyncio.gather(*proxy._passing, return_exceptions=True)

    def kubeconfig(self, folder: Path) -> Path:
        """A kubeconfig that leads here."""
        name = [{"name": "proxy", "cluster": {"server": self.url}}]
        context = [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}]
        users = [{"name": "proxy", "user": {}}]
        body = {"apiVersion": "v1", "kind": "Config", "clusters": name, "users": users, "contexts": context}
        path = folder / "proxy.kubeconfig"
        path.write_text(json.dumps({**body, "current-context": "proxy"}))
        return path

    def at_write(self, number: int, moment: Moment, call: Callable[[], None]) -> None:
        """Call back, once, when so many more writes have come."""
        self._awaited.append((self.writes + number, moment, call))

    def forget_awaited(self) -> None:
        """Call back no more."""
        self._awaited.clear()

    def cut_watches(self) -> None:
        """End the connection of every watch."""
        for request in list(self._watching.values()):
            _cut(request)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        body = await request.read()
        if request.query.get("watch") == "true":
            return await self._stream(request)
        task = asyncio.get_running_loop().create_task(self._pass_on(request, body))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        # What the API server was asked for happens, and is noted, whether or not somebody still waits for the answer.
        return await asyncio.shield(task)

    async def _pass_on(self, request: web.Request, body: bytes) -> web.StreamResponse:
        writes = request.method not in {"GET", "HEAD"}
        fault = self.fault()
        if fault == "409" and not writes:
            fault = None
        if fault is not None:
            self.faults[fault] += 1
        if fault is not None and fault.isdigit():
            return _refusal(int(fault))
        number = None
        if writes:
            self.writes += 1
            number = self.writes
            self._call(number, "before")
        if fault == "unsent":
            return _cut(request)
        try:
            async with self._asked(request, body) as answer:
                content = await answer.read()
        except aiohttp.ClientError:
            return _refusal(502)
        if answer.status < 300:
            self._note(request, body)
        if number is not None:
            self._call(number, "after")
        if fault == "unanswered":
            return _cut(request)
        return web.Response(status=answer.status, headers=_headers(answer.headers), body=content)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        self._watching[id(request)] = request
        try:
            async with self._asked(request, b"") as answer:
                response = web.StreamResponse(status=answer.status, headers=_headers(answer.headers))
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                return response
        except (aiohttp.ClientError, ConnectionError):
            return _cut(request)
        finally:
            del self._watching[id(request)]

    def _asked(self, request: web.Request, body: bytes) -> Any:
        assert self._session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        return self._session.request(
            request.method,
            self._server + request.path_qs,
            headers=headers,
            data=body or None,
            skip_auto_headers=("Content-Type",),
            allow_redirects=False,
        )

    def _note(self, request: web.Request, body: bytes) -> None:
        match = _RESTART.fullmatch(request.path)
        if request.method != "PATCH" or match is None:
            return
        annotations = json.loads(body)["spec"]["template"]["metadata"]["annotations"]
        self.restarts.append(Restart(match["name"], frozenset(annotations[REVISION].split(","))))

    def _call(self, number: int, moment: Moment) -> None:
        for awaited in [each for each in self._awaited if each[0] <= number and each[1] == moment]:
            self._awaited.remove(awaited)
            awaited[2]()


def _headers(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP}


def _refusal(status: int) -> web.Response:
    reason = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}.get(status, "")
    told = {"message": "made by a test", "reason": reason, "code": status}
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", **told}
    return web.json_response(body, status=status, headers={"Retry-After": "1"} if status == 429 else {})


def _cut(request: web.Request) -> web.Response:
    """End the connection without a word."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
