"""Mass rotations during which operators are killed, and whatever else can break breaks; and an account of every restart."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from keyturn.cluster.resources import DEPLOYMENTS, SECRETS
from keyturn.core.names import RESTART_OWED, REVISION
from support.api_proxy import ApiProxy, Fault, Moment
from support.beside import beside
from support.chaos_cast import plain, shaped
from support.crew import Crew, strike
from support.operator import eventually
from support.proving_ground import VAULT, Ground

_FAULTS: tuple[Fault, ...] = ("500", "503", "429", "unsent", "unanswered")
_SETTLING_S = 180.0
_API_SERVER_RESTARTS = 4


@dataclass(frozen=True)
class Plan:
    """What is done.

    Attributes:
        secrets: how many there are, each with workloads of its own, of which one does not use what is rotated.
        rotations: how often all of them change at once.
        seed: of everything that is left to chance.
        kills: at most so many per rotation, and at least one.
        api_faults: every tenth request to the API server fails.
        connect_flaps: Connect comes and goes.
        replicas: how many operators there are; more than one elect a leader.
        restart_api_server: restarts it; called in every fourth rotation, from the second on.
        shaped: KeyturnSecrets make the Secrets, of two items each, which are rotated in turn.
    """

    secrets: int
    rotations: int
    seed: int
    kills: int = 1
    api_faults: bool = False
    connect_flaps: bool = False
    replicas: int = 1
    restart_api_server: Callable[[], None] | None = None
    shaped: bool = False


@dataclass
class Account:
    """What became of it.

    Attributes:
        owed: restarts that workloads of one Secret were owed.
        lost: of those, how many were not made.
        double: restarts of them that nobody owed.
        shared_lost: revisions that a workload of several Secrets was not restarted for.
        shared_double: restarts of such a workload that brought it no new revision.
        shared: restarts of workloads of several Secrets.
        needless: restarts of workloads that do not use what was rotated.
        untold: statuses that do not say that everybody was restarted for the last rotation.
        kills: how many operators were killed.
        ended: how many ended by themselves, since they could not work.
        requests: that came to the API server.
        seconds: that it took.
        wrong: workloads with a wrong number of restarts, in words.
    """

    owed: int = 0
    lost: int = 0
    double: int = 0
    shared: int = 0
    shared_lost: int = 0
    shared_double: int = 0
    needless: int = 0
    untold: int = 0
    kills: int = 0
    ended: int = 0
    requests: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether nothing was lost, and nothing made in vain."""
        wrong = (self.lost, self.double, self.shared_lost, self.shared_double, self.needless, self.untold)
        return not any(wrong)

    def __str__(self) -> str:
        return (
            f"{self.owed} restarts owed: {self.lost} lost, {self.double} double, {self.needless} needless; "
            f"{self.shared} of shared workloads: {self.shared_lost} lost, {self.shared_double} double; "
            f"{self.untold} statuses wrong; "
            f"{self.kills} kills, {self.ended} ends of their own, {self.requests} requests, {self.seconds:.0f} s"
        )


class Chaos:
    """One run in one namespace.

    Args:
        plan: what is done.
        ground: where.
    """

    def __init__(self, plan: Plan, ground: Ground) -> None:
        self._plan = plan
        self._cluster = ground.cluster
        self._namespace = ground.namespace
        self._proxy = ground.proxy
        self._emulator = ground.emulator
        self._chance = random.Random(plan.seed)
        self._crew = Crew(plan.replicas, ground)
        self._cast = (shaped if plan.shaped else plain)(plan.secrets)
        self.account = Account()

    async def run(self) -> Account:
        """Do it all, and give an account of it."""
        began = time.monotonic()
        try:
            await self._crew.start()
            await self._set_up()
            async with beside(self._crew.keep_running(), to_its_end=False):
                for rotation in range(1, self._plan.rotations + 1):
                    await self._rotate(rotation)
            # A restart too many might come late.
            await self._crew.polled(3, within=60)
            await self._settled(self._plan.rotations + 1)
            await self._take_account()
        finally:
            self._crew.stop()
        self.account.kills, self.account.ended = self._crew.kills, self._crew.ended
        self.account.requests = self._proxy.requests
        self.account.seconds = time.monotonic() - began
        return self.account

    def last_words(self) -> str:
        """What the operators said last, for whoever must find out what went wrong."""
        return self._crew.last_words()

    async def _set_up(self) -> None:
        fields = [{"label": "username", "value": "app"}, {"label": "password", "value": "first"}]
        item = {"category": "SECURE_NOTE", "fields": fields}
        for title in (*self._cast.secrets, *self._cast.more_items):
            await asyncio.to_thread(self._emulator.admin.create, VAULT, {**item, "title": title})
        for name, spec in self._cast.objects.items():
            body = {"spec": dict(spec)}
            await self._cluster.create(self._cast.resource, self._namespace, name, body, field_manager="tests")
        for user in self._cast.users:
            await self._deploy(user.name, [user.secret], user.key, user.annotations)
        for name, secrets in self._cast.shared.items():
            await self._deploy(name, secrets, self._cast.shared_key)
        await self._settled(1)

    async def _deploy(
        self, name: str, secrets: Sequence[str], key: str, annotations: Mapping[str, str] | None = None
    ) -> None:
        sources = [{"secretKeyRef": {"name": secret, "key": key}} for secret in secrets]
        variables = [{"name": f"V{number}", "valueFrom": each} for number, each in enumerate(sources)]
        container = {"name": "main", "image": "nowhere.example/none", "env": variables}
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
        body = {"metadata": {"annotations": dict(annotations or {})}, "spec": spec}
        await self._cluster.create(DEPLOYMENTS, self._namespace, name, body, field_manager="tests")

    async def _rotate(self, rotation: int) -> None:
        """Rotate everything at once, and kill operators at moments of what follows."""
        async with AsyncExitStack() as trouble:
            if self._plan.api_faults:
                self._proxy.fault = self._tenth
            if self._plan.connect_flaps:
                await trouble.enter_async_context(beside(self._flap(), to_its_end=False))
            await asyncio.to_thread(self._emulator.admin.bulk_rotate, VAULT, self._cast.turn(rotation).titles)
            if self._plan.restart_api_server is not None and rotation % _API_SERVER_RESTARTS == 2:
                restarting = self._restart_api_server(self._plan.restart_api_server)
                await trouble.enter_async_context(beside(restarting, to_its_end=True))
            settled = asyncio.create_task(self._settled(rotation + 1))
            try:
                for _ in range(self._chance.randint(1, self._plan.kills)):
                    await self._kill(settled)
                await settled
            finally:
                settled.cancel()
        self._proxy.fault = lambda: None

    async def _kill(self, settled: asyncio.Task[None]) -> None:
        """Kill an operator in the midst of a write that chance has chosen, and start it again."""
        operator = self._chance.choice(self._crew.operators)
        struck = asyncio.Event()

        def call() -> None:
            strike(operator)
            struck.set()

        # A rotation costs five writes per Secret: itself, its status twice, a restart or more, and the end of the mark.
        moment: Moment = self._chance.choice(("before", "after"))
        self._proxy.at_write(self._chance.randint(1, 5 * len(self._cast.secrets)), moment, call)
        waiting = asyncio.create_task(struck.wait())
        await asyncio.wait({waiting, settled}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        self._proxy.forget_awaited()
        await self._crew.kill(operator)

    def _tenth(self) -> Fault | None:
        return self._chance.choice(_FAULTS) if self._chance.random() < 0.1 else None

    async def _flap(self) -> None:
        """Let Connect come and go until cancelled."""
        admin = self._emulator.admin
        modes: tuple[Literal["refuse", "reset"], ...] = ("refuse", "reset")
        try:
            while True:
                await asyncio.sleep(self._chance.uniform(0.2, 1.5))
                mode = self._chance.choice(modes)
                await asyncio.to_thread(partial(admin.outage, True, mode=mode))
                await asyncio.sleep(self._chance.uniform(0.1, 0.7))
                await asyncio.to_thread(admin.outage, False)
        finally:
            admin.outage(False)

    async def _restart_api_server(self, restart: Callable[[], None]) -> None:
        await asyncio.sleep(self._chance.uniform(0.5, 3.0))
        await asyncio.to_thread(restart)

    async def _settled(self, revision: int) -> None:
        """Wait until every Secret has come to a revision and owes nothing."""

        async def check() -> None:
            secrets = await self._cluster.list_metadata(SECRETS, self._namespace)
            annotations = [each["metadata"].get("annotations") or {} for each in secrets]
            late = sum(each.get(REVISION) != str(revision) or RESTART_OWED in each for each in annotations)
            assert len(secrets) == len(self._cast.secrets), f"there are {len(secrets)} Secrets"
            assert late == 0, f"{late} Secrets are not done with revision {revision}"

        await eventually(check, within=_SETTLING_S)

    async def _take_account(self) -> None:
        cast, rotations, account = self._cast, self._plan.rotations, self.account
        found = await self._cluster.list(DEPLOYMENTS, self._namespace)
        templates = {each["metadata"]["name"]: each["spec"]["template"]["metadata"] for each in found}
        # Nothing but its template is ever changed here.
        restarts = {each["metadata"]["name"]: int(each["metadata"]["generation"]) - 1 for each in found}
        for user in cast.users:
            owed, made = cast.restarts(user, rotations), restarts[user.name]
            account.owed += owed
            account.lost += max(0, owed - made)
            if owed:
                account.double += max(0, made - owed)
            else:
                account.needless += made
            if made != owed:
                account.wrong.append(f"{user.name}: {made} restarts of {owed}")
        for name, secrets in cast.shared.items():
            account.shared += restarts[name]
            carried = {mark.split("=")[0] for mark in _marks(templates[name]) if mark.endswith(f".{rotations + 1}")}
            account.shared_lost += len(set(secrets) - carried)
        for item in await self._cluster.list(cast.resource, self._namespace):
            said = item["status"]["restarts"]
            wanted = (rotations + 1, 0, cast.restarted_last(item["metadata"]["name"], rotations))
            account.untold += (said["revision"], said["owed"], said["done"]) != wanted
        account.shared_double += _in_vain(self._proxy, frozenset(cast.shared))


def _marks(template_metadata: Mapping[str, Any]) -> list[str]:
    """The revisions of Secrets that a pod template carries."""
    return str((template_metadata.get("annotations") or {}).get(REVISION, "")).split(",")


def _in_vain(proxy: ApiProxy, workloads: frozenset[str]) -> int:
    """How many restarts of these workloads brought no revision that they did not carry already."""
    carried: dict[str, frozenset[str]] = {}
    number = 0
    for restart in proxy.restarts:
        if restart.workload in workloads:
            number += restart.marks <= carried.get(restart.workload, frozenset())
            carried[restart.workload] = restart.marks
    return number
