"""Several electors, one Lease, and a network that delays and loses requests, in time that leaps from one event to the next."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from keyturn.base.time import Time
from keyturn.cluster import Cluster
from keyturn.cluster.errors import AlreadyExists, Conflict, NotFound, TooManyRequests, Unavailable
from keyturn.cluster.lease import Elector, LeaseLost, LeaseName
from keyturn.core.lease import LeaseTimings

TIMINGS = LeaseTimings(15)
LEASE = LeaseName("keyturn", "keyturn")
EPOCH = datetime(2030, 1, 1, tzinfo=UTC)


class _Leap(selectors.SelectSelector):
    """Never waits: it advances the loop's time by each timeout instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "every task waits for ever"
        # A turn of the loop takes a moment; otherwise a timer that is due within the clock's resolution would be due for ever.
        self.now += max(1e-6, timeout)
        return super().select(0)


class _LeapingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leap = _Leap()
        super().__init__(self._leap)

    def time(self) -> float:
        return self._leap.now


def leaping(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in leaping time, which begins at 0."""
    with asyncio.Runner(loop_factory=_LeapingLoop) as runner:
        return runner.run(work)


def _now() -> float:
    return asyncio.get_running_loop().time()


class ApiServer:
    """Holds the Lease; each write is applied completely or not at all, as in etcd.

    Attributes:
        spec: of the Lease; None if there is no Lease.
        version: its resourceVersion.
    """

    def __init__(self) -> None:
        self.spec: dict[str, Any] | None = None
        self.version = 0

    def get(self) -> dict[str, Any]:
        if self.spec is None:
            raise NotFound("there is no Lease")
        return {"metadata": {"resourceVersion": str(self.version)}, "spec": dict(self.spec)}

    def write(self, body: dict[str, Any], *, creates: bool) -> dict[str, Any]:
        if creates and self.spec is not None:
            raise AlreadyExists("there is a Lease")
        if not creates:
            if self.spec is None:
                raise NotFound("there is no Lease")
            if body["metadata"]["resourceVersion"] != str(self.version):
                raise Conflict("changed meanwhile")
        spec = {**(self.spec or {}), **body["spec"]}
        # As on a real API server: a write that changes nothing leaves the version as it was.
        if spec != self.spec:
            self.spec, self.version = spec, self.version + 1
        return {"metadata": {"resourceVersion": str(self.version)}}


@dataclass(frozen=True)
class Fate:
    """The course of one request: seconds there and back, and whether it or its answer is lost, or it is refused with 429."""

    there: float = 0.002
    back: float = 0.002
    kind: str = "ok"


@dataclass
class Machine:
    """The machine of one candidate: its clocks, its pauses, its network.

    Attributes:
        offset: the value of its steady clock at the start.
        rate: of its steady clock.
        wall: hours by which its time of day is wrong, one after the other; the last for ever.
        stuck: whether its time of day stands still.
        pauses: start and end of each time for which it stands still, in seconds of true time.
        fates: of its requests, one after the other, and from the beginning again.
        requests: how many it sent.
        random: the number that its elector draws.
    """

    offset: float = 0.0
    rate: float = 1.0
    wall: list[float] = field(default_factory=lambda: [0.0])
    stuck: bool = False
    pauses: list[tuple[float, float]] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=lambda: [Fate()])
    requests: int = 0
    random: float = 0.5

    def fate(self) -> Fate:
        self.requests += 1
        self.fates.append(self.fates.pop(0))
        return self.fates[-1]

    async def awake(self) -> None:
        """Wait until it does not stand still."""
        while ends := [end for start, end in self.pauses if start <= _now() < end]:  # noqa: ASYNC110 - time is all there is
            await asyncio.sleep(max(ends) - _now())


class MachineTime(Time):
    """The time of one machine. `FakeTime` is one clock; here several clocks disagree about the time of one event loop."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def monotonic(self) -> float:
        return self.steady()

    def steady(self) -> float:
        return self._machine.offset + self._machine.rate * _now()

    def now(self) -> datetime:
        wall = self._machine.wall
        wrong = wall.pop(0) if len(wall) > 1 else wall[0]
        return EPOCH + timedelta(hours=wrong, seconds=0 if self._machine.stuck else _now())

    def random(self) -> float:
        return self._machine.random

    async def sleep(self, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
        finally:
            await self._machine.awake()


class Client:
    """The elector's `Cluster`: it has a deadline, and an error for each failure."""

    def __init__(self, server: ApiServer, machine: Machine) -> None:
        self._server = server
        self._machine = machine

    async def get(self, *_: Any) -> dict[str, Any]:
        return await self._send(self._server.get)

    async def create(self, _resource: Any, _namespace: Any, _name: Any, body: Any, **_: Any) -> dict[str, Any]:
        return await self._send(lambda: self._server.write(body, creates=True))

    async def merge_patch(self, _resource: Any, _namespace: Any, _name: Any, body: Any, **_: Any) -> dict[str, Any]:
        return await self._send(lambda: self._server.write(body, creates=False))

    async def _send(self, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        fate = self._machine.fate()

        async def travel() -> dict[str, Any]:
            await asyncio.sleep(fate.there)
            if fate.kind == "lost":
                raise Unavailable("lost on the way there")
            if fate.kind == "busy":
                raise TooManyRequests("busy", retry_after=3.0)
            answer = act()
            await asyncio.sleep(fate.back)
            if fate.kind == "unanswered":
                raise Unavailable("lost on the way back")
            return answer

        # A request that was sent arrives, even if the sender has given up meanwhile.
        travelling = asyncio.ensure_future(travel())
        travelling.add_done_callback(lambda done: done.exception())
        try:
            async with asyncio.timeout(TIMINGS.request_timeout):
                return await asyncio.shield(travelling)
        except TimeoutError:
            raise Unavailable("no answer in time") from None
        finally:
            await self._machine.awake()


class Candidate:
    """One replica: it stands by, leads, ends when it has lost the Lease, and starts again as another process.

    Attributes:
        led: how often it began to lead.
        lost: the message of each lost Lease.
        last_open: when it could last write, in true time.
        released: whether it has stopped by itself since.
    """

    def __init__(self, name: str, server: ApiServer, machine: Machine) -> None:
        self.name = name
        self.machine = machine
        self._client = Client(server, machine)
        self._lives = 0
        self.elector = self._fresh()
        self.others: list[Candidate] = []
        self.led = 0
        self.lost: list[str] = []
        self.last_open = float("-inf")
        self.released = False

    @property
    def open(self) -> bool:
        """Whether it can write."""
        return self.elector.write_fence() is None

    def check(self) -> None:
        """Assert that no other candidate can write."""
        if not self.open:
            return
        self.last_open, self.released = _now(), False
        assert not any(other.open for other in self.others), f"two can write at {_now():.2f}"

    async def live(self, *, until: float = float("inf")) -> None:
        """Run until the given time, and release the Lease then."""
        try:
            async with asyncio.timeout(until):
                while True:
                    await self.machine.awake()
                    await self.elector.acquire()
                    try:
                        await self.elector.keep()
                    except LeaseLost as lost:
                        self.lost.append(str(lost))
                        self.elector = self._fresh()
        except TimeoutError:
            await self.machine.awake()
            self.released = True
            await self.elector.release()

    def _fresh(self) -> Elector:
        self._lives += 1
        return Elector(
            cast("Cluster", self._client),
            LEASE,
            identity=f"{self.name}-{self._lives}",
            timings=TIMINGS,
            on_change=self._changed,
            time=MachineTime(self.machine),
        )

    def _changed(self, *, leading: bool) -> None:
        if not leading:
            return
        self.led += 1
        self.check()
        for other in self.others:
            # A third of the duration lies between; each of the two clocks may be wrong by a twentieth.
            assert other.released or _now() - other.last_open > TIMINGS.duration * 0.2, f"{self.name} leads too early"


async def watch(candidates: list[Candidate], *, until: float) -> None:
    """Check all candidates four times a second."""
    while _now() < until:
        for candidate in candidates:
            candidate.check()
        await asyncio.sleep(0.25)


async def run(candidates: list[Candidate], *, until: float, ends: dict[str, float] | None = None) -> None:
    """Run all candidates and check them meanwhile."""
    for candidate in candidates:
        candidate.others = [other for other in candidates if other is not candidate]
    ends = ends or {}
    lives = [
        asyncio.ensure_future(candidate.live(until=ends.get(candidate.name, until + 3600))) for candidate in candidates
    ]
    try:
        await watch(candidates, until=until)
        for life in lives:
            if life.done():
                life.result()
    finally:
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
