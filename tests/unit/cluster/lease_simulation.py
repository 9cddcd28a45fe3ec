"""Several electors, one Lease, and a network that delays and loses, in time that only leaps from one event to the next."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from keyturn.cluster.errors import AlreadyExists, Conflict, NotFound, TooManyRequests, Unavailable
from keyturn.cluster.lease import Elector, LeaseLost, LeaseName
from keyturn.core.lease import Terms

TERMS = Terms(15)
LEASE = LeaseName("keyturn", "keyturn")
EPOCH = datetime(2030, 1, 1, tzinfo=UTC)


class _Leap(selectors.SelectSelector):
    """Waits for nothing: the time that was to be waited has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "everybody waits for ever"
        # A turn of the loop takes a moment, or what is due within the clock's resolution would be due for ever.
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
    """Holds the Lease, and makes of each write one that is done wholly or not at all, as etcd does.

    Attributes:
        spec: of the Lease; None where there is none.
        version: its resourceVersion.
    """

    def __init__(self) -> None:
        self.spec: dict[str, Any] | None = None
        self.version = 0

    def get(self) -> dict[str, Any]:
        if self.spec is None:
            raise NotFound("no Lease")
        return {"metadata": {"resourceVersion": str(self.version)}, "spec": dict(self.spec)}

    def write(self, body: dict[str, Any], *, creates: bool) -> dict[str, Any]:
        if creates and self.spec is not None:
            raise AlreadyExists("there is one")
        if not creates:
            if self.spec is None:
                raise NotFound("no Lease")
            if body["metadata"]["resourceVersion"] != str(self.version):
                raise Conflict("changed meanwhile")
        spec = {**(self.spec or {}), **body["spec"]}
        # As on the real one: a write that changes nothing leaves the version as it was.
        if spec != self.spec:
            self.spec, self.version = spec, self.version + 1
        return {"metadata": {"resourceVersion": str(self.version)}}


@dataclass(frozen=True)
class Fate:
    """What becomes of one request: seconds there and back, and whether it or its answer is lost, or refused as too many."""

    there: float = 0.002
    back: float = 0.002
    kind: str = "ok"


@dataclass
class Machine:
    """Where one candidate runs: its clocks, its pauses, its network.

    Attributes:
        offset: where its steady clock began.
        rate: how fast that runs.
        wall: hours that its time of day is wrong, one after the other; the last for ever.
        pauses: from when to when it stands still, in seconds of true time.
        fates: of its requests, one after the other, and from the beginning again.
        asked: how many requests it made.
    """

    offset: float = 0.0
    rate: float = 1.0
    wall: list[float] = field(default_factory=lambda: [0.0])
    stuck: bool = False
    pauses: list[tuple[float, float]] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=lambda: [Fate()])
    asked: int = 0

    def clock(self) -> float:
        return self.offset + self.rate * _now()

    def time_of_day(self) -> datetime:
        wrong = self.wall.pop(0) if len(self.wall) > 1 else self.wall[0]
        return EPOCH + timedelta(hours=wrong, seconds=0 if self.stuck else _now())

    def fate(self) -> Fate:
        self.asked += 1
        self.fates.append(self.fates.pop(0))
        return self.fates[-1]

    async def awake(self) -> None:
        """Wait until it runs again."""
        while ends := [end for start, end in self.pauses if start <= _now() < end]:  # noqa: ASYNC110 - time is all there is
            await asyncio.sleep(max(ends) - _now())

    async def sleep(self, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
        finally:
            await self.awake()


class Client:
    """What `Cluster` is to an elector: a deadline, and errors for everything that goes wrong."""

    def __init__(self, server: ApiServer, machine: Machine) -> None:
        self._server = server
        self._machine = machine

    async def get(self, *_: Any) -> dict[str, Any]:
        return await self._ask(self._server.get)

    async def create(self, _resource: Any, _namespace: Any, _name: Any, body: Any, **_: Any) -> dict[str, Any]:
        return await self._ask(lambda: self._server.write(body, creates=True))

    async def merge_patch(self, _resource: Any, _namespace: Any, _name: Any, body: Any, **_: Any) -> dict[str, Any]:
        return await self._ask(lambda: self._server.write(body, creates=False))

    async def _ask(self, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
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

        # What was sent arrives, also if the sender has given up meanwhile.
        travelling = asyncio.ensure_future(travel())
        travelling.add_done_callback(lambda done: done.exception())
        try:
            async with asyncio.timeout(TERMS.call_within):
                return await asyncio.shield(travelling)
        except TimeoutError:
            raise Unavailable("no answer in time") from None
        finally:
            await self._machine.awake()


class Candidate:
    """One replica: stands by, leads, ends when it has lost the Lease, and is started again as another process.

    Attributes:
        led: how often it began to lead.
        last_open: when it might last have written, in true time.
        given_back: whether it has stopped by itself since.
    """

    def __init__(self, name: str, server: ApiServer, machine: Machine, *, chance: float = 0.5) -> None:
        self.name = name
        self.machine = machine
        self._client = Client(server, machine)
        self._chance = chance
        self._lives = 0
        self.elector = self._fresh()
        self.others: list[Candidate] = []
        self.led = 0
        self.lost: list[str] = []
        self.last_open = float("-inf")
        self.given_back = False

    @property
    def open(self) -> bool:
        """Whether it may write."""
        return self.elector.barrier() is None

    def look(self) -> None:
        """Never two, and whoever starts leaves the one before a good while to have stopped."""
        if not self.open:
            return
        self.last_open, self.given_back = _now(), False
        assert not any(other.open for other in self.others), f"two may write at {_now():.2f}"

    async def live(self, *, until: float = float("inf")) -> None:
        """Run, and give the Lease back when the time comes."""
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
            self.given_back = True
            await self.elector.release()

    def _fresh(self) -> Elector:
        self._lives += 1
        return Elector(
            self._client,
            LEASE,
            identity=f"{self.name}-{self._lives}",
            terms=TERMS,
            on_change=self._changed,
            clock=self.machine.clock,
            now=self.machine.time_of_day,
            sleep=self.machine.sleep,
            chance=lambda: self._chance,
        )

    def _changed(self, *, leading: bool) -> None:
        if not leading:
            return
        self.led += 1
        self.look()
        for other in self.others:
            # A twentieth that each of two clocks may be wrong is taken from the third of the duration that lies between.
            assert other.given_back or _now() - other.last_open > TERMS.duration * 0.2, f"{self.name} starts too early"


async def watch(candidates: list[Candidate], *, until: float) -> None:
    """Look at all of them all the time."""
    while _now() < until:
        for candidate in candidates:
            candidate.look()
        await asyncio.sleep(0.25)


async def run(candidates: list[Candidate], *, until: float, ends: dict[str, float] | None = None) -> None:
    """Let all run and watch them."""
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
