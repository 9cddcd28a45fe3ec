"""When passes begin: soon, but together if much changes at once, and each namespace at its own pace."""

import asyncio
import itertools
from contextlib import asynccontextmanager

import pytest

from keyturn.cluster import DEPLOYMENTS, NAMESPACES, SECRETS
from keyturn.control.restarts.controller import RestartController
from keyturn.core.metadata import ObjectMeta
from support.event_loop import turns
from support.fake_api import FakeApiServer
from support.fake_context import fake_context
from support.fake_time import FakeTime
from support.restart_objects import add_pending, add_workload, owning, stamps


class Rig:
    """A controller before an API server in memory, with time that passes while it sleeps.

    Attributes:
        busy: whether more changes are likely soon.
        passes: when each pass began, in which namespace, and the Secrets that it finished.
    """

    def __init__(self):
        self.time = FakeTime(at=0.0, randoms=(0.0,))
        self.api = FakeApiServer(time=self.time)
        self.api.before = self.observe
        self.secrets = {}
        self.busy = False
        self.passes = []
        self.defects = {}

        async def on_counted(key, restarts):
            """The status does not matter here."""

        self.controller = RestartController(
            fake_context(self.api, time=self.time, auto_restart=True),
            secrets=self.secrets,
            busy=lambda: self.busy,
            on_counted=on_counted,
        )

    def observe(self, call):
        if (call.verb, call.resource) == ("get", "namespaces"):
            self.begun(call.name)
            if error := self.defects.get(call.name):
                raise error
        if (call.verb, call.resource) == ("patch", "secrets"):
            [names] = [names for _, namespace, names in self.passes[::-1] if namespace == call.namespace][:1]
            names.append(call.name)

    def begun(self, namespace):
        self.passes.append((round(self.time.monotonic(), 1), namespace, []))

    def change(self, name, namespace="app", present=None):
        """A sync changes a Secret, and the watch reports it."""
        [pending] = add_pending(self.api, name, namespace=namespace, present=present)
        self.secrets[namespace, name] = pending.secret
        self.controller.wake()

    def fail(self, namespace, *, times=1000, **failure):
        """Have passes over a namespace fail."""
        for _ in range(times):
            self.api.fail("get", NAMESPACES, namespace, **failure)

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.controller.run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def pass_time(self, until):
        """Let time go on while nothing sleeps, as it does between two events."""
        while self.time.monotonic() < until:
            self.time.advance(0.1)
            await turns(20)


@pytest.fixture
async def rig():
    return Rig()


async def test_one_change_is_handled_at_once(rig):
    """It waits no longer than it takes to see whether more changes are coming."""
    async with rig.running():
        rig.change("login")
        await turns(200)

    assert rig.passes == [(0.1, "app", ["login"])]


async def test_changes_that_come_one_after_the_other_are_one_pass(rig):
    """A mass rotation lists the workloads once, and restarts each of them once."""
    async with rig.running():
        for number in range(20):
            rig.time.call_later(number * 0.09, lambda number=number: rig.change(f"s{number:02d}"))
        rig.change("first")
        await turns(200)

    assert [len(names) for _, _, names in rig.passes] == [21]


async def test_a_pass_waits_while_the_rest_of_the_operator_is_busy(rig):
    """While Secrets are still being written, a short pause between two of them is not the end."""
    rig.busy = True
    async with rig.running():
        rig.change("one")
        rig.time.call_later(0.8, lambda: rig.change("two"))
        rig.time.call_later(1.2, lambda: setattr(rig, "busy", False))
        await turns(200)

    assert rig.passes == [(1.2, "app", ["one", "two"])]


async def test_gathering_comes_to_an_end(rig):
    """If something changes all the time, restarts begin after five seconds all the same."""
    async with rig.running():
        for tenth in range(1, 100):
            rig.time.call_later(tenth / 10 - 0.01, lambda tenth=tenth: rig.change(f"s{tenth:02d}"))
        rig.change("first")
        await turns(1000)

    assert rig.passes[0][0] == pytest.approx(5.0, abs=0.3)
    assert sum(len(names) for _, _, names in rig.passes) == 100


async def test_what_changes_during_a_pass_is_handled_after_it(rig):
    """And in other namespaces meanwhile."""
    gate = asyncio.Event()

    async def delay(call):
        if (call.verb, call.namespace) == ("list", "app"):
            await gate.wait()

    rig.api.delay = delay
    async with rig.running():
        rig.change("one")
        await turns(200)
        rig.change("two")
        rig.change("elsewhere", namespace="other")
        await turns(200)
        assert [(namespace, names) for _, namespace, names in rig.passes] == [("app", []), ("other", ["elsewhere"])]
        gate.set()
        await turns(200)

    assert [names for _, namespace, names in rig.passes if namespace == "app"] == [["one"], ["two"]]


async def test_a_namespace_that_fails_is_delayed_longer_each_time_and_alone(rig):
    """Its failures cost the API server little, and the other namespaces nothing."""
    failed = []
    rig.fail("app")
    async with rig.running():
        rig.change("login")
        while rig.time.monotonic() < 9.0:
            before = rig.api.count("get", NAMESPACES, "app")
            await rig.pass_time(rig.time.monotonic() + 0.1)
            if rig.api.count("get", NAMESPACES, "app") > before:
                failed.append(rig.time.monotonic())
            if rig.time.monotonic() >= 8.0 and ("other", "elsewhere") not in rig.secrets:
                rig.change("elsewhere", namespace="other")

    pauses = [round(later - earlier) for earlier, later in itertools.pairwise(failed)]
    assert pauses[:3] == [1, 1, 2]
    assert rig.passes == [(pytest.approx(8.1, abs=0.3), "other", ["elsewhere"])]


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [
        pytest.param(7, 7, id="as long as the API server asks"),
        pytest.param(36000, 60, id="but not for ever"),
    ],
)
async def test_the_api_server_is_left_alone_as_long_as_it_asks(rig, retry_after, pause):
    """A 429 says when to come back."""
    rig.fail("app", times=1, status=429, retry_after=retry_after)
    async with rig.running():
        rig.change("login")
        await rig.pass_time(pause + 2.0)

    [(moment, _, names)] = rig.passes
    assert moment - 0.1 == pytest.approx(pause, abs=0.5)
    assert names == ["login"]


async def test_progress_ends_the_growth_of_delays(rig):
    """If each pass restarts some workloads, an API server that fails now and then is asked again soon."""
    for number in range(8):
        add_workload(rig.api, f"w{number}", "login")
        rig.api.fail("patch", DEPLOYMENTS, f"w{number}", times=number)
    async with rig.running():
        rig.change("login")
        await rig.pass_time(9.0)

    assert len(rig.passes) == 8
    assert {stamps(rig.api, f"w{number}") for number in range(8)} == {"login=login.2"}


async def test_a_defect_in_one_namespace_keeps_no_other_from_its_restarts(rig, caplog):
    """An object of an unforeseen shape must not end the operator, again at each start; nor be quoted."""
    rig.defects["odd"] = ValueError("canary")
    async with rig.running():
        rig.change("login", "odd")
        await turns(200)
        rig.change("login", "app")
        await rig.pass_time(1.5)

    assert (0.1, "odd", []) in rig.passes
    assert [names for _, namespace, names in rig.passes if namespace == "app"] == [["login"]]
    assert len([each for each in rig.passes if each[1] == "odd"]) > 1
    assert "restarting workloads in namespace odd failed with ValueError" in caplog.text
    assert "canary" not in caplog.text


async def test_the_metric_counts_secrets_until_their_annotation_is_seen_to_be_removed(rig):
    """A Secret that is being deleted restarts no workload."""
    rig.change("login")
    rig.change("tls")
    assert rig.controller.pending() == 2

    rig.api.edit(
        SECRETS, "app", "tls", {"metadata": {"deletionTimestamp": "2030-01-01T00:00:00Z", "finalizers": ["x"]}}
    )
    rig.secrets["app", "tls"] = ObjectMeta.of(rig.api.find(SECRETS, "app", "tls"))
    assert rig.controller.pending() == 1


async def test_no_second_pass_is_made_while_the_watch_lags_behind_the_removal(rig):
    """The picture still shows the annotation; a change after it has another resourceVersion."""
    async with rig.running():
        rig.change("login")
        await turns(200)
        rig.controller.wake()
        await turns(200)
        assert len(rig.passes) == 1

        rig.change("login")
        await turns(200)
        assert len(rig.passes) == 2


async def test_four_namespaces_are_read_at_a_time(rig):
    """Their workloads are in memory meanwhile."""
    gate, waiting = asyncio.Event(), []

    async def delay(call):
        waiting.append(call)
        await gate.wait()

    rig.api.delay = delay
    names = [f"n{number}" for number in range(6)]
    for name in names:
        rig.change("login", name)
    async with rig.running():
        await turns(200)
        assert len(waiting) == 4
        gate.set()
        await turns(200)

    assert sorted(namespace for _, namespace, _ in rig.passes) == names


async def test_a_held_restart_is_looked_at_again_each_minute_without_a_write(rig):
    """No watch reports a workload that stops requiring the key."""
    add_workload(rig.api, "web", "login", keys=["password"])
    async with rig.running():
        rig.change("login", present=["newpassword"])
        await turns(200)
        rig.controller.wake()
        await turns(200)
        writes = len(rig.api.writes)
        await rig.pass_time(200.0)

        assert [at for at, _, _ in rig.passes] == pytest.approx([0, 60, 120, 180], abs=1.0)
        assert len(rig.api.writes) == writes
        assert stamps(rig.api, "web") == ""

        rig.api.edit(DEPLOYMENTS, "app", "web", {"spec": {"template": {"spec": {"containers": []}}}})
        await rig.pass_time(260.0)
    assert rig.passes[-1][2] == ["login"]


async def test_a_held_restart_is_made_as_soon_as_the_key_is_back(rig):
    """The Secret's own change wakes it; nothing is waited for."""
    add_workload(rig.api, "web", "login", keys=["password"])
    async with rig.running():
        rig.change("login", present=["newpassword"])
        await turns(200)
        rig.api.edit(SECRETS, "app", "login", {"metadata": {"managedFields": [owning(["password"])]}})
        rig.secrets["app", "login"] = ObjectMeta.of(rig.api.find(SECRETS, "app", "login"))
        rig.controller.wake()
        await turns(200)

    assert [names for _, _, names in rig.passes] == [[], ["login"]]
    assert stamps(rig.api, "web") == "login=login.2"


async def test_a_policy_that_refuses_the_removal_of_an_annotation_delays_it_by_a_minute_at_most(rig):
    """It is lifted at some time, and nothing else may happen in the namespace until then."""
    async with rig.running():
        rig.api.fail("patch", SECRETS, status=422, reason="Invalid", message="denied by a policy", times=20)
        rig.change("login")
        await turns(200)
        await rig.pass_time(1500.0)

    begun = [at for at, _, _ in rig.passes]
    assert max(later - earlier for earlier, later in itertools.pairwise(begun)) < 61
    assert len(begun) == 21
