"""The operator for tests: `keyturn operator` as a process of its own, as any server of ours, and waiting for what it brings about."""

import asyncio
import http.client
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import psutil

from keyturn.cluster.errors import ClusterError
from support.patience import PATIENCE_S
from support.processes import bound_to_us

T = TypeVar("T")

_PAUSE_S = 0.05

# The console script of the environment that runs the tests.
KEYTURN = Path(sys.executable).with_name("keyturn")

_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:]\w*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


async def eventually(check: Callable[[], Awaitable[T]], *, within: float = PATIENCE_S) -> T:
    """What `check` returns, as soon as it raises neither AssertionError nor an error of the API server.

    Raises:
        AssertionError: it still fails when the time is up; the last failure is the cause.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            return await check()
        except (AssertionError, ClusterError) as error:
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within:.0f} s: {error}") from error
        await asyncio.sleep(_PAUSE_S)


def operator_environment(variables: Mapping[str, str | Path]) -> dict[str, str]:
    """Exactly these variables and what every process needs; nothing of the developer's own shell."""
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"} | {name: str(value) for name, value in variables.items()}


def run_to_end(
    variables: Mapping[str, str | Path], *arguments: str, timeout: float = PATIENCE_S
) -> subprocess.CompletedProcess[str]:
    """Run `keyturn operator` if it is expected to end by itself."""
    return subprocess.run(
        [KEYTURN, "operator", *arguments],
        env=operator_environment(variables),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


class ServerProcess:
    """A server of ours, started and stopped; it also ends when this process dies, however that happens.

    It chooses its own ports, which are then read from the kernel: no port is ever free first and taken later.

    Attributes:
        command: how it is started: `keyturn COMMAND`.
        log: takes what it writes to standard output and standard error.

    Args:
        variables: the environment, `POLLING_INTERVAL=1` if not given.
        log: a file, appended to.
        arguments: further flags.
    """

    command = ""

    def __init__(self, variables: Mapping[str, str | Path], *, log: Path, arguments: Sequence[str] = ()) -> None:
        self._environment = operator_environment({"POLLING_INTERVAL": "1", **variables})
        self._arguments = arguments
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *, ready: bool = True) -> Self:
        """Start it and wait until `/readyz` says yes; with `ready=False` only until it answers at all."""
        flags = ["--health-probe-bind-address=127.0.0.1:0", "--metrics-bind-address=127.0.0.1:0", *self._arguments]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                bound_to_us([KEYTURN, self.command, *flags]),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._await(lambda: self._find_port() and (not ready or self.get("/readyz")[0] == 200))
        except BaseException:
            self.stop()
            raise
        return self

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of an answer of its health and metrics port."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all samples of a metric that have these labels; 0 if there is none."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            sample = _SAMPLE.fullmatch(line)
            if (
                sample
                and sample["name"] == name
                and labels.items() <= dict(_LABEL.findall(sample["labels"] or "")).items()
            ):
                total += float(sample["value"])
        return total

    async def polls(self, number: int = 2, *, within: float = PATIENCE_S) -> None:
        """Wait until it has begun and ended so many looks at the vaults, successful or not, from now on."""
        # One more than asked for: the one under way may have begun before now.
        enough = self.metric("keyturn_poll_duration_seconds_count") + number + 1

        async def polled() -> None:
            assert self.metric("keyturn_poll_duration_seconds_count") >= enough

        await eventually(polled, within=within)

    async def ready(self, *, within: float = PATIENCE_S) -> None:
        """Wait until `/readyz` says yes."""

        async def check() -> None:
            status, text = self.get("/readyz")
            assert status == 200, text

        await eventually(check, within=within)

    def settled_writes(self) -> dict[str, int]:
        """The same once no write came for a moment: Events are posted in the background, a little after all else."""
        deadline = time.monotonic() + PATIENCE_S
        before: dict[str, int] | None = None
        while (now := self.api_writes()) != before:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the {self.command} still writes after {PATIENCE_S:.0f} s")
            before = now
            time.sleep(0.3)
        return now

    def api_writes(self) -> dict[str, int]:
        """How many writes it made to the API server, by `verb resource`; reads are left out."""
        writes: dict[str, int] = {}
        for line in self.get("/metrics")[1].splitlines():
            sample = _SAMPLE.fullmatch(line)
            if sample is None or sample["name"] != "keyturn_apiserver_requests_total":
                continue
            labels = dict(_LABEL.findall(sample["labels"] or ""))
            if labels["verb"] not in {"get", "list", "watch"}:
                what = f"{labels['verb']} {labels['resource']}"
                writes[what] = writes.get(what, 0) + int(float(sample["value"]))
        return writes

    def logged(self) -> str:
        """Everything it wrote so far."""
        return self.log.read_text(encoding="utf-8")

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def terminate(self, *, within: float = PATIENCE_S) -> int:
        """Send SIGTERM and wait for the end; returns the exit code."""
        return self._end(signal.SIGTERM, within)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, and wait for nothing."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, within: float) -> int:
        """Wait for its end, which somebody or something else brings about; returns the exit code."""
        assert self._process is not None
        return self._process.wait(within)

    def kill(self) -> None:
        """End it as the kernel does when memory runs out."""
        self._end(signal.SIGKILL, PATIENCE_S)

    def stop(self) -> None:
        """End it if it runs."""
        if self._process is not None:
            self.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _end(self, number: signal.Signals, within: float) -> int:
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(number)
        try:
            return process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def _listening(self) -> list[int]:
        """The ports that it has opened on the loopback address."""
        found = psutil.Process(self.pid).net_connections("inet4")
        return [each.laddr.port for each in found if each.status == psutil.CONN_LISTEN]

    def _find_port(self) -> bool:
        """Learn the ports. Returns whether they are known."""
        ports = self._listening()
        self._port = ports[0] if ports else 0
        return bool(ports)

    def _await(self, ready: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert self._process is not None
            if self._process.poll() is not None:
                said = self.logged()[-2000:]
                raise RuntimeError(f"the {self.command} ended with {self._process.returncode}:\n{said}")
            if ready():
                return
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"the {self.command} is not ready after {PATIENCE_S:.0f} s:\n{self.logged()[-2000:]}"
                )
            time.sleep(_PAUSE_S)


class OperatorProcess(ServerProcess):
    """`keyturn operator`."""

    command = "operator"
