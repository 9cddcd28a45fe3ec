"""Many connections: how much sick ones delay a healthy one, and what a thousand of them cost."""

import contextlib
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_measures import quantile
from bench_rig import TITLE, VAULT, Rig, Running, secret_name
from bench_rotations import AT_ONCE, rotate

from demo.programs import Emulator, Program
from keyturn.cluster import CONNECTIONS, NAMESPACES, ONEPASSWORD_ITEMS, SECRETS
from localcluster.processes import Process

SANE, ROTATIONS = 100, 300
MORE_LATENCY = 1.2
"""How many times as long a rotation through a healthy connection may take beside sick ones."""
CROWD, ITEMS_EACH = 1000, 10
REQUESTS_PER_POLL = 2.0

_INTERVAL, _CROWD_INTERVAL = 1, 30
_PER_SICK = 20
"""Objects of each sick connection."""
_FLAP_S = 2.0
_MEASURED_POLLS = 2
_ALLOWED = {"KEYTURN_ALLOWED_HOSTS": "127.0.0.1"}
_PATIENCE = 600.0
_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Crowd:
    """What many idle connections cost.

    Attributes:
        connections: how many.
        resident_before: bytes of an operator that has none of them.
        resident: bytes of one that has all.
        requests: of their servers, per connection and poll.
        writes: of the API server while they idled.
        cpu_percent: of one core, with a poll of each every half a minute.
    """

    connections: int
    resident_before: int
    resident: int
    requests: float
    writes: int
    cpu_percent: float

    @property
    def each(self) -> float:
        """Bytes for one connection with its items and objects."""
        return (self.resident - self.resident_before) / self.connections


@dataclass(frozen=True, slots=True)
class Connected:
    """What was measured.

    Attributes:
        alone: seconds from an edit to the Secret through a connection that is the only one; one for each rotation.
        beside: the same beside sick connections.
        sick: what was wrong with these.
        crowd: what many of them cost.
    """

    alone: Sequence[float]
    beside: Sequence[float]
    sick: Sequence[str]
    crowd: Crowd

    def moved(self, percent: int) -> float:
        """How many times as large a percentile is beside sick connections."""
        return quantile(self.beside, percent) / quantile(self.alone, percent)


def measure_connections(*, folder: Path) -> Connected:
    """Rotate items of a healthy connection, alone and beside sick ones; then count what a crowd costs."""
    with Rig.standing(items=SANE, folder=folder) as rig:
        rig.create_items()
        with rig.operator(interval=_INTERVAL, **_ALLOWED) as running:
            rig.audit.until_created("secrets", SANE, within=_PATIENCE, check=running.check)
            rig.polls(2)
            alone = _rotations(rig, running)
            with _sick_connections(rig) as sick:
                # What they make of new objects is not what is measured.
                rig.polls(10)
                beside = _rotations(rig, running)
    with Rig.standing(items=ITEMS_EACH, folder=folder) as rig:
        return Connected(alone, beside, sick, _measure_crowd(rig))


def _rotations(rig: Rig, running: Running) -> list[float]:
    titles = itertools.cycle(secret_name(number) for number in range(SANE))
    groups = (list(itertools.islice(titles, AT_ONCE)) for _ in range(ROTATIONS // AT_ONCE))
    return [seconds for group in groups for seconds in rotate(rig, running, group)]


@contextmanager
def _sick_connections(rig: Rig) -> Iterator[Sequence[str]]:
    """One namespace for each kind of sickness, whose Connection `default` serves its objects, for the length of the block."""
    with contextlib.ExitStack() as stack:
        hanging, flapping, refusing = (
            _another_server(rig, name, stack) for name in ("hanging", "flapping", "refusing")
        )
        hanging.admin.fault("*", kind="hang")
        servers = {
            "hangs": (hanging.url, hanging.token),
            "floods": (stack.enter_context(_flood(rig)), "any.good.token"),
            "flaps": (flapping.url, flapping.token),
            "refuses": (refusing.url, "eyJhbGciOiJFUzI1NiJ9.e30.wrong"),
        }
        for name, (host, token) in servers.items():
            vault = "Flood" if name == "floods" else VAULT
            _connect(rig, name, host=host, token=token, interval=f"{_INTERVAL}s")
            paths = ((secret_name(n), _asks(f"vaults/{vault}/items/{secret_name(n)}")) for n in range(_PER_SICK))
            rig.create(ONEPASSWORD_ITEMS, name, paths)
        stack.enter_context(_flapping(flapping))
        yield list(servers)


@dataclass(frozen=True, slots=True)
class _Server:
    """Another Connect server."""

    program: Emulator
    token: str

    @property
    def url(self) -> str:
        return self.program.url

    @property
    def admin(self) -> Any:
        return self.program.admin


def _another_server(rig: Rig, name: str, stack: contextlib.ExitStack) -> _Server:
    vaults = rig.folder / f"{name}.yaml"
    vaults.write_text(f"vaults: [{{name: {VAULT}}}]\ntokens: [{{name: operator, vaults: {{'*': r}}}}]\n")
    tokens = {"operator": rig.folder / f"{name}.token"}
    emulator = Emulator.start(vaults, log=rig.folder / f"{name}.log", tokens=tokens)
    stack.callback(emulator.stop)
    emulator.admin.bulk_create(VAULT, _PER_SICK, title=TITLE)
    emulator.admin.sync()
    return _Server(emulator, tokens["operator"].read_text().strip())


@contextmanager
def _flood(rig: Rig) -> Iterator[str]:
    """A server that answers with 100 MiB; its URL."""
    with (rig.folder / "flood.log").open("wb") as log:
        command = [sys.executable, str(_HERE / "flooding_server.py")]
        popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
    server = Program("the flooding server", Process.of(popen.pid), rig.folder / "flood.log", popen)
    assert popen.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(popen.stdout.readline())}"
    finally:
        server.stop()


@contextmanager
def _flapping(server: _Server) -> Iterator[None]:
    """Have a server come and go, for the length of the block."""
    ended = threading.Event()

    def flap() -> None:
        for down in itertools.cycle([True, False]):
            server.admin.outage(down, mode="reset")
            if ended.wait(_FLAP_S):
                return

    thread = threading.Thread(target=flap, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _connect(rig: Rig, namespace: str, *, host: str, token: str, interval: str) -> None:
    """A namespace with a Connection `default`."""
    rig.create(NAMESPACES, "", [(namespace, {})])
    rig.create(SECRETS, namespace, [("token", {"stringData": {"token": token}})])
    rig.create(CONNECTIONS, namespace, [("default", _connection(host, interval=interval))])


def _connection(host: str, *, interval: str) -> Mapping[str, Any]:
    reference = {"name": "token", "key": "token"}
    return {"spec": {"connect": {"host": host, "tokenSecretRef": reference}, "pollInterval": interval}}


def _asks(path: str) -> Mapping[str, Any]:
    return {"spec": {"itemPath": path}}


def _measure_crowd(rig: Rig) -> Crowd:
    with rig.operator(interval=_CROWD_INTERVAL, **_ALLOWED) as running:
        running.until_ready()
        time.sleep(_INTERVAL)
        resident_before = running.resident_bytes()
    token = rig.emulator.tokens["operator"].read_text().strip()
    namespaces = [f"team-{number:04d}" for number in range(CROWD)]
    host, interval = rig.emulator.url, f"{_CROWD_INTERVAL}s"
    rig.create_everywhere(NAMESPACES, [("", name, {}) for name in namespaces])
    rig.create_everywhere(SECRETS, [(name, "token", {"stringData": {"token": token}}) for name in namespaces])
    rig.create_everywhere(CONNECTIONS, [(name, "default", _connection(host, interval=interval)) for name in namespaces])
    objects = [
        (name, secret_name(number), _asks(f"vaults/{VAULT}/items/{secret_name(number)}"))
        for name in namespaces
        for number in range(ITEMS_EACH)
    ]
    rig.create_everywhere(ONEPASSWORD_ITEMS, objects)
    with rig.operator(interval=_CROWD_INTERVAL, **_ALLOWED) as running:
        rig.audit.until_created("secrets", len(objects), within=_PATIENCE, check=running.check)
        time.sleep(2 * _CROWD_INTERVAL)
    # Started where all is well, as after an upgrade.
    with rig.operator(interval=_CROWD_INTERVAL, **_ALLOWED) as running:
        time.sleep(3 * _CROWD_INTERVAL)
        rig.audit.new()
        rig.connect.clear_requests()
        cpu, began = running.cpu_seconds(), time.monotonic()
        time.sleep(_MEASURED_POLLS * _CROWD_INTERVAL)
        running.check()
        took = time.monotonic() - began
        cpu_percent = 100 * (running.cpu_seconds() - cpu) / took
        counts = rig.connect.request_counts()
        return Crowd(
            connections=CROWD,
            resident_before=resident_before,
            resident=running.resident_bytes(),
            requests=sum(counts.values()) / counts["GET /heartbeat"],
            writes=sum(each.writes for each in rig.audit.new()),
            cpu_percent=cpu_percent,
        )


def connections_markdown(measured: Connected) -> str:
    """The tables."""
    crowd, mib = measured.crowd, 1024 * 1024
    moved = " / ".join(f"{100 * (measured.moved(percent) - 1):+.0f}" for percent in (50, 99))
    sick = ", ".join(f"one that {what}" for what in measured.sick)
    rotations = [
        [
            f"Edit to Secret through a healthy connection, p50 / p99 of {ROTATIONS}",
            "alone",
            f"beside {sick}",
            "promised",
        ],
        ["---"] * 4,
        ["", _shown(measured.alone), f"{_shown(measured.beside)} ({moved} %)", "p99 less than 20 % more"],
    ]
    costs = [
        [
            f"{crowd.connections:,} idle Connections with {ITEMS_EACH} items each, polled every {_CROWD_INTERVAL} s",
            "",
            "",
        ],
        ["---"] * 3,
        [
            "Memory of the operator",
            f"{crowd.resident / mib:.0f} MiB, {crowd.resident_before / mib:.0f} without them",
            "",
        ],
        ["Memory per Connection, with its items and objects", f"{crowd.each / 1024:.0f} KiB", ""],
        ["Requests per Connection and idle poll", f"{crowd.requests:.2f}", f"{REQUESTS_PER_POLL:g}"],
        ["API server writes, idle", f"{crowd.writes:,}", "0"],
        ["CPU", f"{crowd.cpu_percent:.1f} % of a core", ""],
    ]
    return "\n\n".join("\n".join(f"| {' | '.join(line)} |" for line in table) for table in (rotations, costs))


def broken_connections(measured: Connected) -> Iterator[str]:
    """One line for each promise that was broken."""
    if measured.moved(99) >= MORE_LATENCY:
        yield (
            f"edit to Secret beside sick connections, p99: {100 * (measured.moved(99) - 1):+.0f} %, "
            "promised: less than 20 % more"
        )
    if measured.crowd.requests > REQUESTS_PER_POLL * 1.01:
        yield f"requests per Connection and idle poll: {measured.crowd.requests:.2f}, promised: {REQUESTS_PER_POLL:g}"
    if measured.crowd.writes:
        yield f"API server writes of idle Connections: {measured.crowd.writes:,}, promised: 0"


def _shown(seconds: Sequence[float]) -> str:
    return f"{' / '.join(f'{quantile(seconds, percent) * 1000:.0f}' for percent in (50, 99))} ms"
