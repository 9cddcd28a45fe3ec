"""`/healthz`, `/readyz` and `/metrics` over HTTP, and the watchdog behind the first."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import web

Check = Callable[[], str | None]
"""Returns None while all is well, else why not, in words for a person. Must be quick."""

Expose = Callable[[str], tuple[bytes, str]]
"""Takes an Accept header, returns metrics and their content type; `Metrics.expose` is one."""

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%\w+)?)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")


class CannotListen(Exception):
    """An address cannot be used; the text is one line that says which and why."""


@dataclass(frozen=True, slots=True)
class Bind:
    """Where to listen. `host` is None for all interfaces."""

    host: str | None
    port: int

    def __str__(self) -> str:
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def parse_bind(text: str) -> Bind | None:
    """Read an address as the official operator's flags take it: `:8081`, `127.0.0.1:0`, `[::1]:8080`; `0` means off.

    Raises:
        ValueError: It is none of these.
    """
    if text == "0":
        return None
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(f"{text!r} is no address to listen on: write :8081, 127.0.0.1:8081, [::1]:8081, or 0 for none")
    return Bind(match["v6"] or match["host"] or None, int(match["port"]))


class Heartbeat:
    """Knows which loops should move, and tells which stand still.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limits: dict[str, float] = {}
        self._beats: dict[str, float] = {}

    def expect(self, loop: str, limit: float) -> Callable[[], None]:
        """From its first beat on `loop` must beat at least every `limit` seconds; call what is returned at each turn of it.

        One that waits for something before it begins, as for an API server that cannot be reached, does not stand still.
        """
        self._limits[loop] = limit

        def beat() -> None:
            if loop in self._limits:
                self._beats[loop] = self._clock()

        return beat

    def forget(self, loop: str) -> None:
        """Expect nothing of `loop` any more, because it ended as it should."""
        self._limits.pop(loop, None)
        self._beats.pop(loop, None)

    def check(self) -> str | None:
        """Name every loop that stands still; a `Check`."""
        now = self._clock()
        stuck = [
            f"{loop} has not moved for {now - self._beats[loop]:.0f} s (limit {limit:.0f} s)"
            for loop, limit in self._limits.items()
            if now - self._beats.get(loop, now) > limit
        ]
        return "; ".join(stuck) or None


def report(name: str, checks: Mapping[str, Check], *, verbose: bool, remark: str = "") -> tuple[int, str]:
    """Run checks and write the answer, in the form of Kubernetes' own health endpoints.

    Args:
        name: Of the endpoint, for the last line.
        checks: By name.
        verbose: List the checks also when all is well.
        remark: Added where all is well.

    Returns:
        HTTP status (200 or 503) and plain text.
    """
    lines: list[str] = []
    healthy = True
    for title, check in checks.items():
        try:
            problem = check()
        except Exception as error:  # noqa: BLE001 - a check that breaks is a failed check, whose text might hold anything
            problem = f"the check itself failed ({type(error).__name__})"
        healthy = healthy and problem is None
        lines.append(f"[+]{title} ok" if problem is None else f"[-]{title} failed: {problem}")
    if not healthy:
        lines.append(f"{name} check failed")
        return 503, "\n".join(lines) + "\n"
    remark = f": {remark}" if remark else ""
    if not verbose:
        return 200, f"ok{remark}"
    lines.append(f"{name} check passed{remark}")
    return 200, "\n".join(lines) + "\n"


class HealthServer:
    """Serves the endpoints, as an async context manager. Both may share one address.

    Args:
        health: Address of `/healthz` and `/readyz`, None for off.
        metrics: Address of `/metrics`, None for off.
        expose: Gives the metrics.

    Attributes:
        expose: The same; may be replaced at any time.
        remark: What a `/readyz` that is well adds, such as what it is ready for.
        liveness: Checks of `/healthz`: whether a restart of the process would help.
        readiness: Checks of `/readyz`: whether it does its work now. Both may be added to at any time.
        addresses: Host and port of `health` and `metrics` as they turned out, for port 0.
    """

    def __init__(self, *, health: Bind | None, metrics: Bind | None, expose: Expose) -> None:
        self._health = health
        self._metrics = metrics
        self.expose = expose
        self.remark = ""
        self._runners: list[web.AppRunner] = []
        self.liveness: dict[str, Check] = {}
        self.readiness: dict[str, Check] = {}
        self.addresses: dict[str, tuple[str, int]] = {}

    async def __aenter__(self) -> Self:
        try:
            if self._health is not None and self._health == self._metrics:
                await self._listen("health and metrics", self._health, [*self._health_routes(), self._metrics_route()])
            else:
                if self._health is not None:
                    await self._listen("health", self._health, self._health_routes())
                if self._metrics is not None:
                    await self._listen("metrics", self._metrics, [self._metrics_route()])
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _listen(self, purpose: str, bind: Bind, routes: list[web.RouteDef]) -> None:
        app = web.Application()
        app.add_routes(routes)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        self._runners.append(runner)
        await runner.setup()
        try:
            await web.TCPSite(runner, bind.host, bind.port).start()
        except OSError as error:
            why = "another process uses it" if error.errno == errno.EADDRINUSE else (error.strerror or "not usable")
            raise CannotListen(f"cannot listen on {bind} for {purpose}: {why}") from None
        host, port = runner.addresses[0][:2]
        for part in purpose.split(" and "):
            self.addresses[part] = (host, port)

    async def _close(self) -> None:
        while self._runners:
            await self._runners.pop().cleanup()

    def _health_routes(self) -> list[web.RouteDef]:
        async def healthz(request: web.Request) -> web.Response:
            return _plain(*report("healthz", self.liveness, verbose="verbose" in request.query))

        async def readyz(request: web.Request) -> web.Response:
            return _plain(*report("readyz", self.readiness, verbose="verbose" in request.query, remark=self.remark))

        return [web.get("/healthz", healthz), web.get("/readyz", readyz)]

    def _metrics_route(self) -> web.RouteDef:
        async def metrics(request: web.Request) -> web.Response:
            body, content_type = self.expose(request.headers.get("Accept", ""))
            return web.Response(body=body, headers={"Content-Type": content_type})

        return web.get("/metrics", metrics)


def _plain(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, headers={"Cache-Control": "no-store"})
