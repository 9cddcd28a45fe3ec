"""The actors of a run: people, and what breaks Connect, the API server and the operators. Each carries out steps of its side."""

import asyncio
import itertools
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Literal, cast

from keyturn.cluster.errors import AlreadyExists, NotFound
from keyturn.cluster.resources import ONEPASSWORD_ITEMS, SECRETS, Resource
from keyturn.core.names import ITEM_VERSION
from support.api_proxy import Fault
from support.casting import item_path
from support.crew import Crew, strike
from support.operator import eventually
from support.patience import LONG_S
from support.proving_ground import VAULT, Ground
from support.soak.cast import KEYS, Member, Workload, member
from support.soak.ledger import FOREIGN
from support.soak.schedule import CONNECT_FAULTS, Step

CANARY = "canary-"
"""How every value in 1Password begins; none of them may ever be logged."""

_AMID_S = 10.0
"""So long a kill waits for the write that it is to hit."""


class People:
    """Who changes items, and creates, edits and deletes objects.

    Attributes:
        members: those that are there now, by the name of the Secret.
        everybody: those that ever were.

    Args:
        ground: where.
        seed: tells the values of one run from those of another.
    """

    def __init__(self, ground: Ground, *, seed: int) -> None:
        self._ground = ground
        self._connect = ground.emulator.admin
        self._values = (f"{CANARY}{seed}-{number}" for number in itertools.count())
        self.members: dict[str, Member] = {}
        self.everybody: set[Member] = set()
        self._actions: dict[str, Callable[[Step], Awaitable[None]]] = {
            "rotate": self._rotate,
            "rotate many": self._rotate,
            "rotate all": self._rotate,
            "rotate and back": self._rotate_and_back,
            "save without a change": self._touch,
            "edit the Secret": self._edit_secret,
            "delete the Secret": self._delete_secret,
            "scale": self._scale,
            "create": self._create,
            "delete": self._delete,
            "delete and create": self._delete_and_create,
            "create a workload again": self._recreate_workload,
        }

    async def do(self, step: Step) -> None:
        """Carry out a step, as often as it takes while the API server is away."""
        await self._actions[step.action](step)

    async def join(self, member: Member) -> None:
        """Create an item, who asks for it, and the workloads that use it."""
        fields = [{"label": key, "value": next(self._values)} for key in KEYS]
        item = {"title": member.name, "category": "SECURE_NOTE", "fields": fields}
        await asyncio.to_thread(self._connect.create, VAULT, item)
        self.members[member.name] = member
        self.everybody.add(member)
        if not member.annotated:
            body = {"spec": {"itemPath": item_path(member.name)}}
            await self._make(ONEPASSWORD_ITEMS, member.name, body)
        for each in member.workloads:
            await self.deploy(each)

    async def deploy(self, workload: Workload) -> None:
        """Create a workload."""
        await self._make(workload.resource, workload.name, workload.body())

    async def _rotate(self, step: Step) -> None:
        for name in step.names:
            fields = [{"label": key, "value": next(self._values)} for key in step.keys]
            await asyncio.to_thread(partial(self._connect.edit, VAULT, name, fields=fields))

    async def _rotate_and_back(self, step: Step) -> None:
        [name] = step.names
        old = [
            {"label": key, "value": await asyncio.to_thread(partial(self._connect.value, VAULT, name, label=key))}
            for key in step.keys
        ]
        await self._rotate(step)
        await asyncio.to_thread(partial(self._connect.edit, VAULT, name, fields=old))

    async def _touch(self, step: Step) -> None:
        await asyncio.to_thread(self._connect.touch, VAULT, step.names[0])

    async def _edit_secret(self, step: Step) -> None:
        foreign = (FOREIGN + step.names[0].encode()).decode()
        patches: dict[str, dict[str, Any]] = {
            "a value": {"stringData": {"password": foreign}},
            "another key": {"stringData": {"another": foreign}},
            "no key": {"data": {"username": None}},
            "a label": {"metadata": {"labels": {"team": "red"}}},
            "no item version": {"metadata": {"annotations": {ITEM_VERSION: None}}},
        }
        await self._edit(SECRETS, step.names[0], patches[step.choice])

    async def _delete_secret(self, step: Step) -> None:
        await self._remove(SECRETS, step.names[0])

    async def _scale(self, step: Step) -> None:
        for each in self.members[step.names[0]].workloads:
            await self._edit(each.resource, each.name, {"metadata": {"annotations": {"scaled": f"{step.at}"}}})

    async def _create(self, step: Step) -> None:
        await self.join(member(int(step.names[0][1:]), passing=True))

    async def _delete(self, step: Step) -> None:
        gone = self.members.pop(step.names[0])
        if not gone.annotated:
            await self._remove(ONEPASSWORD_ITEMS, gone.name)
        for each in gone.workloads:
            await self._remove(each.resource, each.name)
        await asyncio.to_thread(self._connect.delete, VAULT, gone.name)

    async def _delete_and_create(self, step: Step) -> None:
        await self._delete(step)
        await self._create(step)

    async def _recreate_workload(self, step: Step) -> None:
        user = self.members[step.names[0]].workloads[1]
        await self._remove(user.resource, user.name)
        await self.deploy(user)

    async def _make(self, resource: Resource, name: str, body: dict[str, Any]) -> None:
        async def make() -> None:
            # There already, if the API server was killed before its answer to an earlier attempt.
            with suppress(AlreadyExists):
                await self._ground.cluster.create(resource, self._ground.namespace, name, body, field_manager="people")

        await eventually(make, within=LONG_S)

    async def _edit(self, resource: Resource, name: str, patch: dict[str, Any]) -> None:
        async def edit() -> None:
            with suppress(NotFound):
                await self._ground.cluster.merge_patch(
                    resource, self._ground.namespace, name, patch, field_manager="people"
                )

        await eventually(edit, within=LONG_S)

    async def _remove(self, resource: Resource, name: str) -> None:
        async def remove() -> None:
            with suppress(NotFound):
                await self._ground.cluster.delete(resource, self._ground.namespace, name, propagation="Background")

        await eventually(remove, within=LONG_S)


class ConnectBreaker:
    """What goes wrong between Connect and the operators.

    Args:
        ground: where.
    """

    def __init__(self, ground: Ground) -> None:
        self._connect = ground.emulator.admin
        self._ground = ground

    async def do(self, step: Step) -> None:
        """Let something go wrong, for as long as the step lasts."""
        try:
            await asyncio.to_thread(self._begin, step)
            await asyncio.sleep(step.lasts)
        finally:
            await asyncio.to_thread(self._end, step)

    def _begin(self, step: Step) -> None:
        if step.action == "answers":
            route, members = CONNECT_FAULTS[step.choice]
            self._connect.fault(route, probability=step.number / 100, **members)
        elif step.action == "outage":
            self._connect.outage(True, mode=cast("Literal['refuse', 'reset', 'hang']", step.choice))
        elif step.action == "old versions":
            # Of two replicas that answer in turn, one stays behind.
            self._connect.knobs(replica_lags_s=[0, 3600])
        elif step.action == "restart":
            self._connect.restart()
        else:
            self._connect.drop_connections()

    def _end(self, step: Step) -> None:
        if step.action == "answers":
            self._connect.clear_faults()
            # Nobody asks with a refused token again until somebody puts one into its place.
            self._ground.give_token()
        elif step.action == "outage":
            self._connect.outage(False)
        elif step.action == "old versions":
            self._connect.knobs(replica_lags_s=[])


class ApiBreaker:
    """What goes wrong between the API server and the operators.

    Args:
        ground: where.
        restart: kills the API server and starts it again.
        seed: of which requests fail.
    """

    def __init__(self, ground: Ground, *, restart: Callable[[], None] | None, seed: int) -> None:
        self._proxy = ground.proxy
        self._restart = restart
        self._chance = random.Random(f"{seed} requests")

    async def do(self, step: Step) -> None:
        """Let something go wrong, for as long as the step lasts."""
        if step.action == "answers":
            self._proxy.fault = partial(self._fault, cast("Fault", step.choice), step.number / 100)
            try:
                await asyncio.sleep(step.lasts)
            finally:
                self._proxy.fault = lambda: None
        elif step.action == "cut watches":
            self._proxy.cut_watches()
        elif self._restart is not None:
            await asyncio.to_thread(self._restart)

    def _fault(self, fault: Fault, share: float) -> Fault | None:
        return fault if self._chance.random() < share else None


class OperatorBreaker:
    """What goes wrong with the operators themselves.

    Args:
        ground: where.
        crew: the operators.
        seed: of which one is killed.
    """

    def __init__(self, ground: Ground, crew: Crew, *, seed: int) -> None:
        self._proxy = ground.proxy
        self._crew = crew
        self._chance = random.Random(f"{seed} kills")

    async def do(self, step: Step) -> None:
        """Let something go wrong; whichever operator ends is started again at once."""
        any_one = self._chance.choice(self._crew.operators)
        if step.action == "kill":
            await self._crew.kill(any_one)
            return
        leader = await asyncio.to_thread(self._crew.leader, self._chance)
        if step.action == "kill the leader":
            await self._crew.kill(leader)
        elif step.action == "kill amid writes":
            struck = asyncio.Event()

            def call() -> None:
                strike(leader)
                struck.set()

            self._proxy.at_write(step.number, self._chance.choice(("before", "after")), call)
            with suppress(TimeoutError):
                await asyncio.wait_for(struck.wait(), _AMID_S)
            self._proxy.forget_awaited()
            await self._crew.kill(leader)
        elif step.action == "end the leader":
            strike(leader, signal.SIGTERM)
        else:
            strike(leader, signal.SIGSTOP)
            try:
                await asyncio.sleep(step.lasts)
            finally:
                strike(leader, signal.SIGCONT)
