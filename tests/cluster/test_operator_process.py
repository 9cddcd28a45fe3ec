import asyncio
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from operator_fixtures import GET_ITEM, VAULT, Stage, annotations_of

from keyturn.cluster.access import Access
from keyturn.core import names
from keyturn.core.pending import Change, PendingChanges
from localcluster import LocalCluster
from support.admin_cluster import AdminCluster
from support.api_proxy import ApiProxy
from support.operator import eventually, run_to_end
from support.patience import PATIENCE_S

pytestmark = pytest.mark.cluster

# Whoever leaves it a task of his own waits this long for kopf's end.
_KOPFS_PATIENCE_S = 5.0
CRDS = Path(__file__).resolve().parents[2] / "crds"


async def test_a_restart_with_no_news_writes_nothing_and_fetches_nothing(stage):
    """An operator that comes back to an unchanged world writes no object and asks Connect for no item."""
    first = stage.operator(AUTO_RESTART="true")
    await stage.provide("one")
    await stage.provide("two")
    await stage.deploy("web", secret="one")
    first.terminate()
    versions, deployment, since = await stage.versions("one", "two"), await stage.settled("web"), _last(stage)

    second = stage.operator(AUTO_RESTART="true")

    async def looked() -> None:
        assert second.metric("keyturn_reconciles_total", reason="Current") >= 2

    await eventually(looked)
    await second.polls(2)
    assert second.api_writes() == {}
    assert stage.connect.requests(route=GET_ITEM, since=since) == []
    assert await stage.versions("one", "two") == versions
    assert (await stage.settled("web"))["metadata"]["resourceVersion"] == deployment["metadata"]["resourceVersion"]


async def test_a_rotation_made_while_nobody_looked_restarts_once(stage):
    """A rotation during the operator's absence reaches the Secret and restarts the Deployment exactly once."""
    first = stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    first.terminate()

    stage.rotate("login", "second")
    second = stage.operator(AUTO_RESTART="true")
    await stage.holds("login", {"password": "second"})
    await stage.settled("web", restarts=1)
    await stage.paid("login")
    await second.polls(1)

    assert await stage.restarts("web") == 1


@pytest.mark.parametrize("moment", ["fetched", "written"])
async def test_a_kill_right_after_a_rotation_loses_and_doubles_nothing(stage, moment):
    """Killed between fetch, write and restart, the next operator ends with the new value and exactly one restart."""
    first = stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    since = _last(stage)

    stage.rotate("login", "second")
    stage.connect.wait_requests(1, route=GET_ITEM, since=since)
    if moment == "written":
        await stage.holds("login", {"password": "second"})
    first.kill()
    second = stage.operator(AUTO_RESTART="true")
    secret = await stage.holds("login", {"password": "second"})
    await stage.settled("web", restarts=1)
    await stage.paid("login")
    await stage.ready("login", itemVersion="2")
    await second.polls(1)

    assert annotations_of(secret)[names.REVISION] == "2"
    assert await stage.restarts("web") == 1


async def test_a_debt_left_by_the_dead_is_paid(stage):
    """A mark that a killed operator left on a Secret is paid by the next one at its start."""
    first = stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    first.kill()
    # As the killed one would have left it, between its write and its restart.
    owed = PendingChanges((Change(2, ("password",), datetime(2100, 1, 1, tzinfo=UTC)),))
    mark = owed.to_annotation()
    await stage.annotate_secret("login", {names.RESTART_OWED: mark, names.REVISION: "2"})

    stage.operator(AUTO_RESTART="true")

    await stage.settled("web", restarts=1)
    await stage.paid("login")


async def test_a_change_made_while_nobody_looked_is_found(stage):
    """Edits, deletions and hand edits during the operator's absence are all brought to order at its start."""
    first = stage.operator()
    for name in ("edited", "deleted", "drifted"):
        await stage.provide(name)
    other = stage.put_item("other", {"token": "t-1"})
    first.kill()

    await stage.edit("edited", {"spec": {"itemPath": f"vaults/{VAULT}/items/{other}"}})
    await stage.unask("deleted")
    await stage.edit_secret("drifted", {"data": None})
    stage.put_item("fresh")
    await stage.ask("fresh")
    stage.operator()

    await stage.holds("edited", {"token": "t-1"})
    await stage.holds("drifted", {"password": "first"})
    await stage.ready("fresh")


async def test_a_signal_ends_it_quickly_and_cleanly(stage):
    """SIGTERM ends a busy operator within two seconds with exit code 0, and leaves whole Secrets or none."""
    number = 60
    stage.connect.bulk_create(
        VAULT,
        number,
        title="item-{n}",
        item={"category": "SECURE_NOTE", "fields": [{"label": "user", "value": "u"}, {"label": "pass", "value": "p"}]},
    )
    keys = [f"item-{n}" for n in range(number)]
    await asyncio.gather(*(stage.ask(name) for name in keys))
    operator = stage.operator("--log-level=debug", ready=False)
    stage.connect.wait_requests(10, route=GET_ITEM)

    started = time.monotonic()
    code = operator.terminate()
    seconds = time.monotonic() - started

    assert code == 0
    assert seconds < _KOPFS_PATIENCE_S
    assert "Traceback" not in operator.logged()
    made = await stage.secrets()
    assert all(set(secret["data"]) == {"user", "pass"} for secret in made)
    stage.operator()
    for name in keys:
        await stage.ready(name)


async def test_a_second_signal_changes_nothing(stage):
    """Whoever stops it may ask twice, as an impatient user does: it ends as cleanly as after the first time."""
    operator = stage.operator()
    await stage.provide("login")

    # Two different ones: of two equal ones that come at the same moment, the kernel delivers one.
    operator.send(signal.SIGINT)
    operator.send(signal.SIGTERM)
    code = operator.wait(PATIENCE_S)

    assert code == 0
    assert "Traceback" not in operator.logged()


async def test_a_signal_ends_it_while_connect_hangs(stage):
    """SIGTERM does not wait for a Connect server that never answers."""
    operator = stage.operator()
    await stage.provide("login")
    since = _last(stage)
    stage.connect.fault("*", kind="hang")

    async def hangs() -> None:
        assert [request for request in stage.connect.requests(since=since) if request.status == 0]

    await eventually(hangs)
    started = time.monotonic()
    code = operator.terminate()

    assert code == 0
    assert time.monotonic() - started < _KOPFS_PATIENCE_S


async def test_a_signal_right_at_the_start_ends_it(stage):
    """SIGTERM ends an operator that has only just begun."""
    operator = stage.operator(ready=False)

    started = time.monotonic()
    operator.terminate()

    assert time.monotonic() - started < _KOPFS_PATIENCE_S
    assert "Traceback" not in operator.logged()


class SlowToTellItsKinds(ApiProxy):
    """Stands before an API server, and keeps whoever asks for the kinds there are waiting until `told` is set."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.asked = asyncio.Event()
        self.told = asyncio.Event()

    async def _pass_on(self, request, body):
        if request.path == "/apis":
            self.asked.set()
            await self.told.wait()
        return await super()._pass_on(request, body)


async def test_a_signal_ends_it_while_kopf_asks_for_kinds(stage):
    """A pod that is deleted while its start is slow has nothing to wait for."""
    async with SlowToTellItsKinds.standing(stage.kubeconfig) as proxy:
        kubeconfig = proxy.kubeconfig(stage.folder)
        operator = await asyncio.to_thread(stage.operator, ready=False, KUBECONFIG=kubeconfig)
        try:
            await asyncio.wait_for(proxy.asked.wait(), PATIENCE_S)
            started = time.monotonic()
            code = await asyncio.to_thread(operator.terminate)
            seconds = time.monotonic() - started
        finally:
            proxy.told.set()

    assert code == 0
    assert seconds < _KOPFS_PATIENCE_S
    assert " ERROR " not in operator.logged()


async def test_all_namespaces_are_watched_when_none_is_named(emulator, tmp_path):
    """Without WATCH_NAMESPACE an operator serves every namespace there is, so it gets an API server of its own."""
    with LocalCluster.start() as alone:
        alone.kubectl("apply", "-f", str(CRDS))
        alone.wait_for_kind("onepassworditems.onepassword.com")
        async with AdminCluster.at(await Access.load(kubeconfig=alone.kubeconfig)) as cluster:
            stages = []
            for name in ("one", "two"):
                alone.kubectl("create", "namespace", name)
                stages.append(
                    Stage(cluster, namespace=name, emulator=emulator, folder=tmp_path, kubeconfig=alone.kubeconfig)
                )
            operator = stages[0].operator(WATCH_NAMESPACE=None, POLLING_INTERVAL="600")
            stages[0].put_item("login")

            for stage in stages:
                await stage.ask("login")
            for stage in stages:
                await stage.ready("login")

            assert "all namespaces" in operator.logged()
            stages[0].stop()


GOOD = {"OP_CONNECT_HOST": "http://127.0.0.1:9", "OP_CONNECT_TOKEN": "x", "KUBECONFIG": "/nowhere"}


@pytest.mark.parametrize(
    ("variables", "flags", "named"),
    [
        ({"OP_CONNECT_HOST": ""}, (), "OP_CONNECT_HOST"),
        ({"OP_CONNECT_TOKEN": ""}, (), "OP_CONNECT_TOKEN"),
        ({"POLLING_INTERVAL": "soon"}, (), "POLLING_INTERVAL"),
        ({"AUTO_RESTART": "yes"}, (), "AUTO_RESTART"),
        ({"KEYTURN_WORKRES": "3"}, (), "KEYTURN_WORKRES"),
        ({}, ("--log-level=loud",), "--log-level"),
        ({}, ("--unknown",), "--unknown"),
    ],
)
def test_a_mistake_in_the_settings_is_one_line(variables, flags, named):
    """A wrong setting ends the operator with exit code 2 and one line that names it."""
    ended = run_to_end({**GOOD, **variables}, *flags)

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("keyturn: ")
    assert named in ended.stderr


@pytest.mark.parametrize(
    ("variables", "code", "named"),
    [
        ({}, 1, "/nowhere cannot be used: there is no such file"),
        ({"OP_CONNECT_HOST": "not a url"}, 2, "OP_CONNECT_HOST: the address of the Connect server"),
        ({"OP_CONNECT_TOKEN": "two words"}, 2, "OP_CONNECT_TOKEN"),
        (
            {"OP_CONNECT_HOST": "http://connect", "HTTP_PROXY": "http://user:canary@proxy"},
            2,
            "HTTP_PROXY or HTTPS_PROXY: the address of the proxy must not hold a user name or password",
        ),
    ],
)
def test_what_cannot_be_used_says_why(variables, code, named):
    """A kubeconfig, address or token that cannot be used ends the operator with one line that names it."""
    ended = run_to_end({**GOOD, **variables})

    assert ended.returncode == code
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("keyturn: ")
    assert named in ended.stderr
    assert "canary" not in ended.stderr


async def test_a_taken_port_is_told_in_one_line(stage):
    """An address that another process listens on ends the operator with exit code 1 and one line that names it."""
    port = stage.emulator.url.rpartition(":")[2]
    ended = run_to_end(stage.variables(), f"--health-probe-bind-address=127.0.0.1:{port}", "--metrics-bind-address=0")

    assert ended.returncode == 1
    assert f"127.0.0.1:{port}" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_a_cluster_without_the_kind_is_told_what_to_do(tmp_path):
    """Where the CRD is not installed the operator ends with exit code 1 and one line that says how to install it."""
    with LocalCluster.start() as fresh:
        ended = run_to_end(
            {**GOOD, "KUBECONFIG": fresh.kubeconfig},
            "--health-probe-bind-address=127.0.0.1:0",
            "--metrics-bind-address=127.0.0.1:0",
        )

    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "kubectl apply -f crds/" in ended.stderr


@pytest.mark.parametrize("fault", ["503", "unsent"])
async def test_an_api_server_that_is_away_at_the_start_is_waited_for(stage, api_server, fault):
    """A node that boots may start us before the API server answers: the process stays, says so once, and begins later."""
    async with ApiProxy.standing(api_server.kubeconfig) as proxy:
        proxy.fault = lambda: fault
        operator = await asyncio.to_thread(stage.operator, ready=False, KUBECONFIG=proxy.kubeconfig(stage.folder))

        async def tried() -> None:
            assert proxy.requests >= 3

        await eventually(tried)
        assert (await asyncio.to_thread(operator.get, "/readyz"))[0] == 503
        assert (await asyncio.to_thread(operator.get, "/healthz"))[0] == 200
        proxy.fault = lambda: None
        await stage.provide("login")

    assert operator.logged().count("The API server cannot be asked, so the work begins later: GET /apis/") == 1
    assert "The API server is back" in operator.logged()


def _last(stage) -> int:
    """The number of the newest request to Connect."""
    return stage.connect.last_request()
