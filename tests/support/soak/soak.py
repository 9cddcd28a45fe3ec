"""One run: the sides act by the schedule, then the faults stop, and everything is judged."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from keyturn.cluster.errors import ClusterError
from support.beside import beside
from support.crew import Crew
from support.proving_ground import Ground
from support.soak import verdict
from support.soak.actors import ApiBreaker, ConnectBreaker, OperatorBreaker, People
from support.soak.cast import KEYS, Workload, member, shared
from support.soak.ledger import Ledger, changes_of
from support.soak.memory import Life, MemoryMeter, lives
from support.soak.schedule import SIDES, Plan, Step, schedule
from support.soak.witness import Witness

_SETTLING_S = 330.0
"""From the end of the faults until all is well. The longest pause of the operator, after an unreadable item, is five minutes."""

_QUIET_S = 90.0
_LEASE_S = "12"
"""Long enough for the leader to survive failing answers, short enough to do without one after it was killed."""

_SHORTEST_SHARE = 0.3
"""A process whose memory is judged has led for this share of the run at least."""


@dataclass
class Outcome:
    """What a run came to.

    Attributes:
        steps: how many of each kind were carried out, by side.
        connect_faults: answers of Connect that went wrong, by kind.
        api_faults: answers of the API server that did, likewise.
        rotations: changes of the data of Secrets.
        ledger: of all restarts.
        kills: operators that were killed.
        ended: operators that ended by themselves or were asked to.
        lives: of leaders, whose memory is judged.
        settled_s: seconds from the end of the faults until all was well.
        wrong: everything else that is not as it must be, in words.
    """

    steps: Counter[tuple[str, str]] = field(default_factory=Counter)
    connect_faults: Counter[str] = field(default_factory=Counter)
    api_faults: Counter[str] = field(default_factory=Counter)
    rotations: int = 0
    ledger: Ledger = field(default_factory=Ledger)
    kills: int = 0
    ended: int = 0
    lives: list[Life] = field(default_factory=list)
    settled_s: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def complaints(self) -> list[str]:
        """All that is wrong, in words; empty if the run went well."""
        grown = [f"memory is not flat: {life}" for life in self.lives if not life.flat]
        unjudged = [] if self.lives else ["no operator led for long enough to judge its memory"]
        return [*self.wrong, *self.ledger.wrong, *grown, *unjudged]


class Soak:
    """A run in a namespace of its own.

    Args:
        plan: what is done.
        ground: where.
        restart_api_server: kills the API server and starts it again; None if the plan leaves that out.
    """

    def __init__(self, plan: Plan, ground: Ground, *, restart_api_server: Callable[[], None] | None = None) -> None:
        self._plan = plan
        self._ground = ground
        self._crew = Crew(2, ground, variables={"KEYTURN_LEASE_DURATION": _LEASE_S})
        self._people = People(ground, seed=plan.seed)
        self._do: dict[str, Callable[[Step], Awaitable[None]]] = {
            "people": self._people.do,
            "Connect": ConnectBreaker(ground).do,
            "API server": ApiBreaker(ground, restart=restart_api_server, seed=plan.seed).do,
            "operator": OperatorBreaker(ground, self._crew, seed=plan.seed).do,
        }
        self._cast = [member(number) for number in range(plan.secrets)]
        self._shared = shared(self._cast)
        self._workloads: dict[str, Workload] = {each.name: each for each in self._shared}
        self._witness = Witness(ground.cluster, ground.namespace)
        self._memory = MemoryMeter(self._crew)
        self.outcome = Outcome()

    async def run(self) -> Outcome:
        """Do it all, and judge it."""
        steps = schedule(self._plan)
        try:
            await self._crew.start()
            for each in self._cast:
                await self._people.join(each)
            for workload in self._shared:
                await self._people.deploy(workload)
            assert not (wrong := await self._unsettled()), wrong
            async with (
                beside(self._witness.run(), to_its_end=False),
                beside(self._crew.keep_running(), to_its_end=False),
                beside(self._memory.run(), to_its_end=False),
            ):
                await self._act(steps)
                began = time.monotonic()
                wrong = await self._unsettled()
                self.outcome.settled_s = time.monotonic() - began
                # A restart too many might come late.
                await self._crew.polled(3, within=_QUIET_S)
                self.outcome.wrong += wrong or await verdict.unsettled(self._ground, self._people.members)
            codes = await self._crew.terminate()
        finally:
            self._crew.stop()
        self.outcome.wrong += [f"an operator ended with {code} when asked to" for code in codes if code]
        self._judge()
        return self.outcome

    def last_words(self) -> str:
        """What the operators logged last, for whoever must find out what went wrong."""
        return self._crew.last_words()

    async def _act(self, steps: Sequence[Step]) -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for side in SIDES:
                group.create_task(self._act_side([each for each in steps if each.side == side], began))
        await asyncio.sleep(max(0.0, began + self._plan.seconds - time.monotonic()))

    async def _act_side(self, steps: Sequence[Step], began: float) -> None:
        for step in steps:
            await asyncio.sleep(max(0.0, began + step.at - time.monotonic()))
            await self._do[step.side](step)
            self.outcome.steps[step.side, step.kind] += 1

    async def _unsettled(self) -> list[str]:
        """What is not as it must be when the time is up, in words; empty as soon as all is well."""
        deadline = time.monotonic() + _SETTLING_S
        while True:
            wrong = ["the API server does not answer"]
            with suppress(ClusterError):
                wrong = await verdict.unsettled(self._ground, self._people.members)
            if not wrong or time.monotonic() > deadline:
                return wrong
            await asyncio.sleep(0.5)

    def _judge(self) -> None:
        outcome = self.outcome
        changes = {
            name: changes_of(name, self._witness.secrets.of(name), keys=KEYS, everything=(*KEYS, "another"))
            for name in self._witness.secrets.names()
        }
        outcome.rotations = sum(map(len, changes.values()))
        workloads = [*self._shared, *(each for one in self._people.everybody for each in one.workloads)]
        for each in workloads:
            states = self._witness.workloads[each.resource].of(each.name)
            outcome.ledger.judge(each.name, states, each.uses, changes)
        outcome.kills, outcome.ended = self._crew.kills, self._crew.ended
        outcome.api_faults.update(self._ground.proxy.faults)
        for seen in self._ground.emulator.admin.requests():
            if seen.fault:
                outcome.connect_faults[seen.fault] += 1
        outcome.lives = lives(self._memory.samples, shortest=self._plan.seconds * _SHORTEST_SHARE)
        outcome.wrong += verdict.bad_lines(verdict.logs_of(self._crew))
        outcome.wrong += verdict.left_over(self._crew)
