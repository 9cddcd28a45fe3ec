"""`/healthz`, `/readyz` and `/metrics` over HTTP, and the watchdog behind `/healthz`."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import web

from keyturn.base.time import Time

Check = Callable[[], str | None]
"""Returns None while all is well, else one sentence that says what is wrong. It must be quick."""

Notes = Callable[[], Sequence[str]]
"""Returns what is worth a line each, although it does not count. It must be quick."""

Expose = Callable[[str], tuple[bytes, str]]
"""Takes an Accept header and returns metrics with their content type; `Metrics.expose` is one."""

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%\w+)?)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")


class CannotListen(Exception):
    """An address cannot be used; the text is one line that says which and why."""


@dataclass(frozen=True, slots=True)
class Bind:
    """Where to listen.

    Attributes:
        host: a name or an address; None for all interfaces.
        port: 0 for any free one.
    """

    host: str | None
    port: int

    def __str__(self) -> str:
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def parse_bind(text: str) -> Bind | None:
    """Read an address as the official operator's flags take it: `:8081`, `127.0.0.1:0`, `[::1]:8080`; `0` means off.

    Raises:
        ValueError: the text is none of these.
    """
    if text == "0":
        return None
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(f"{text!r} is no address to listen on: write :8081, 127.0.0.1:8081, [::1]:8081, or 0 for none")
    return Bind(match["v6"] or match["host"] or None, int(match["port"]))


class Heartbeat:
    """Notices loops that no longer make progress.

    Args:
        time: measures the pauses.
    """

    def __init__(self, *, time: Time) -> None:
        self._time = time
        self._limits: dict[str, float] = {}
        self._beats: dict[str, float] = {}

    def expect(self, loop: str, limit: float) -> Callable[[], None]:
        """Expect a beat of a loop at least every `limit` seconds, from its first beat on.

        A loop that waits before its first turn is not stuck: the API server may be out of reach.

        Args:
            loop: its name in the message of the check.
            limit: the longest pause between two beats, in seconds.

        Returns:
            What the loop calls at each turn.
        """
        self._limits[loop] = limit

        def beat() -> None:
            if loop in self._limits:
                self._beats[loop] = self._time.monotonic()

        return beat

    def forget(self, loop: str) -> None:
        """Expect no more beats of a loop, because it ended as it should."""
        self._limits.pop(loop, None)
        self._beats.pop(loop, None)

    def check(self) -> str | None:
        """Name every loop that is stuck; a `Check`."""
        now = self._time.monotonic()
        stuck = [
            f"{loop} has not moved for {now - self._beats[loop]:.0f} s (limit {limit:.0f} s)"
            for loop, limit in self._limits.items()
            if now - self._beats.get(loop, now) > limit
        ]
        return "; ".join(stuck) or None


def report(
    name: str, checks: Mapping[str, Check], *, verbose: bool, detail: str = "", notes: Sequence[str] = ()
) -> tuple[int, str]:
    """Run checks and write the response as the health endpoints of Kubernetes do.

    Args:
        name: the name of the endpoint, for the last line.
        checks: by name.
        verbose: whether to list the checks also if all are well.
        detail: added to the response if all are well.
        notes: lines that are added if all checks are listed; they change no status.

    Returns:
        HTTP status (200 or 503) and plain text.
    """
    lines: list[str] = []
    healthy = True
    for title, check in checks.items():
        try:
            problem = check()
        except Exception as error:  # noqa: BLE001 - a check that raises has failed, and the text of its exception may quote anything
            problem = f"the check itself failed ({type(error).__name__})"
        healthy = healthy and problem is None
        lines.append(f"[+]{title} ok" if problem is None else f"[-]{title} failed: {problem}")
    lines += [f"[ ]{note}" for note in notes]
    if not healthy:
        lines.append(f"{name} check failed")
        return 503, "\n".join(lines) + "\n"
    detail = f": {detail}" if detail else ""
    if not verbose:
        return 200, f"ok{detail}"
    lines.append(f"{name} check passed{detail}")
    return 200, "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class ServingPhase:
    """What the endpoints serve during one phase of the process: while it starts, as a standby, as the leader.

    Attributes:
        expose: returns the metrics.
        readiness: checks of `/readyz`: whether the process does its work now.
        liveness: checks of `/healthz`: a failure means that a restart of the process would help.
        detail: what a `/readyz` without failures adds, such as what the process is ready for.
        notes: what `/readyz?verbose` adds, such as connections of tenants that do not work.
    """

    expose: Expose
    readiness: Mapping[str, Check] = field(default_factory=dict)
    liveness: Mapping[str, Check] = field(default_factory=dict)
    detail: str = ""
    notes: Notes = tuple


class HealthServer:
    """Serves the endpoints, as an async context manager. Both addresses may be the same.

    Args:
        health: the address of `/healthz` and `/readyz`; None for off.
        metrics: the address of `/metrics`; None for off.
        phase: what to serve first.

    Attributes:
        addresses: host and port that `health` and `metrics` got; they differ from the arguments for port 0.
    """

    def __init__(self, *, health: Bind | None, metrics: Bind | None, phase: ServingPhase) -> None:
        self._health = health
        self._metrics = metrics
        self._phase = phase
        self._runners: list[web.AppRunner] = []
        self.addresses: dict[str, tuple[str, int]] = {}

    def enter_phase(self, phase: ServingPhase) -> None:
        """Serve another phase from the next request on."""
        self._phase = phase

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
            return _plain(*report("healthz", self._phase.liveness, verbose="verbose" in request.query))

        async def readyz(request: web.Request) -> web.Response:
            phase = self._phase
            verbose = "verbose" in request.query
            notes = phase.notes() if verbose else ()
            return _plain(*report("readyz", phase.readiness, verbose=verbose, detail=phase.detail, notes=notes))

        return [web.get("/healthz", healthz), web.get("/readyz", readyz)]

    def _metrics_route(self) -> web.RouteDef:
        async def metrics(request: web.Request) -> web.Response:
            body, content_type = self._phase.expose(request.headers.get("Accept", ""))
            return web.Response(body=body, headers={"Content-Type": content_type})

        return web.get("/metrics", metrics)


def _plain(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, headers={"Cache-Control": "no-store"})
