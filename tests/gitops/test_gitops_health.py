"""What kstatus and Argo CD make of real objects in each state: never green too early, never in progress for ever."""

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from operator_fixtures import VAULT, Stage, condition_of

from keyturn.cluster.resources import ACCESS_GRANTS, CONNECTIONS, KEYTURN_SECRETS, ONEPASSWORD_ITEMS, SECRETS, Resource
from keyturn.core import names
from keyturn.core.connection_status import ConnectionReport, ConnectionStatus, connection_status
from keyturn.core.grant_status import GrantReport, GrantStatus, grant_status
from keyturn.core.reasons import Reason
from support.argocd import built_in_health, configured_health
from support.helm import Helm, HelmFailed
from support.pages import shown_manifest
from support.patience import LONG_S, PATIENCE_S

pytestmark = pytest.mark.cluster

DOCS = Path(__file__).resolve().parents[2] / "docs"
PATH = f"vaults/{VAULT}/items/login"


def documented():
    """The states of docs/status.md, with what kstatus and Argo CD say in them."""
    table = (DOCS / "status.md").read_text().split("## What Flux, Helm and Argo CD see")[1]
    rows = re.findall(r"^\| ([^|]+) \| (\w+) \| (\w+)[^|]* \|$", table, re.MULTILINE)
    return {state: (kstatus, argo) for state, kstatus, argo in rows if state != "state"}


def snippet(kind: Resource = ONEPASSWORD_ITEMS) -> str:
    """The health rule for a kind that docs/gitops.md gives to users of Argo CD."""
    rules = shown_manifest(DOCS / "gitops.md", "ConfigMap")["data"]
    rule: str = rules[f"resource.customizations.health.{kind.group}_{kind.kind}"]
    return rule


async def nobody_looked(stage: Stage):
    await stage.ask("login")


async def connect_down_from_the_start(stage: Stage):
    stage.put_item("login")
    stage.connect.outage(True)
    stage.operator(ready=False)
    await stage.ask("login")
    await stage.says("login", "VaultUnavailable")


async def item_not_there_yet(stage: Stage):
    stage.operator()
    await stage.ask("login")
    await stage.says("login", "ItemNotFound", ready="Unknown")


async def synced(stage: Stage):
    stage.operator()
    await stage.provide("login")


async def connect_down_later(stage: Stage):
    operator = stage.operator()
    await stage.provide("login")
    stage.connect.outage(True)
    stage.rotate("login", "second")
    await operator.polls(2)


async def a_human_must_act(stage: Stage):
    stage.operator()
    stage.put_item("login")
    await somebody_elses_secret(stage)
    await stage.says("login", "SecretNotOurs")


async def silent_for_too_long(stage: Stage):
    stage.operator(KEYTURN_MAX_STALENESS="1")
    await stage.provide("login")
    stage.connect.outage(True)
    await stage.says("login", "SourceSilent")


async def edited_while_nobody_looks(stage: Stage):
    stage.operator()
    await stage.provide("login")
    stage.stop()
    await stage.edit("login", {"spec": {"itemPath": f"{PATH}-2"}})


async def overruled(stage: Stage):
    stage.operator()
    await stage.provide("login")
    await stage.shape("login")
    await stage.says("login", "Overruled")


async def being_deleted(stage: Stage):
    stage.operator()
    await stage.provide("login")
    await stage.edit("login", {"metadata": {"finalizers": ["example.com/hold"]}})
    await stage.unask("login")


STATES = {
    "not processed yet": nobody_looked,
    "first sync in progress, or Connect down before the first sync": connect_down_from_the_start,
    "item not there yet, for up to 40 s": item_not_there_yet,
    "synced": synced,
    "Connect down after the first sync": connect_down_later,
    "a human must act": a_human_must_act,
    "Connect unreachable for longer than permitted": silent_for_too_long,
    "spec edited, not processed yet": edited_while_nobody_looks,
    "another object decides (`Overruled`)": overruled,
    "being deleted": being_deleted,
}


@pytest.fixture
async def clean(stage):
    """The test's namespace can be deleted afterwards."""
    yield
    for kind in (ONEPASSWORD_ITEMS, KEYTURN_SECRETS):
        for item in await stage.cluster.list(kind, stage.namespace):
            await stage.edit(item["metadata"]["name"], {"metadata": {"finalizers": None}}, kind=kind)


def test_each_documented_state_is_tried():
    """The table is a promise to whoever waits for an object."""
    assert documented().keys() == STATES.keys()


JUDGED = [
    *((ONEPASSWORD_ITEMS, state) for state in STATES),
    # An object of this kind is never overruled.
    *((KEYTURN_SECRETS, state) for state, reach in STATES.items() if reach is not overruled),
]


@pytest.mark.parametrize(("kind", "state"), JUDGED, ids=lambda each: getattr(each, "kind", each))
async def test_the_tools_see_what_is_documented(stage, clean, judge, kind, state):
    """A pipeline that waits must neither go on too early nor wait for what no waiting brings."""
    stage.kind = kind
    await STATES[state](stage)
    item = await stage.asked("login")
    kstatus, argo = documented()[state]

    assert await judge.kstatus(item) == kstatus
    if kind is ONEPASSWORD_ITEMS:
        # Argo CD has a rule of its own for this kind alone.
        assert built_in_health(item) == argo
    own, _ = configured_health(snippet(kind), item)
    assert own == ("Progressing" if state == "spec edited, not processed yet" else argo)


async def no_such_item(stage: Stage):
    await stage.ask("login", f"vaults/{VAULT}/items/lost")


async def no_such_vault(stage: Stage):
    await stage.ask("login", "vaults/lost/items/login")


async def somebody_elses_secret(stage: Stage):
    await stage.cluster.create(SECRETS, stage.namespace, "login", {"data": {}}, field_manager="kubectl")
    await stage.ask("login")


async def a_type_without_its_keys(stage: Stage):
    await stage.ask("login", type="kubernetes.io/tls")


HUMAN = {
    "ItemNotFound": no_such_item,
    "VaultNotFound": no_such_vault,
    "SecretNotOurs": somebody_elses_secret,
    "SecretInvalid": a_type_without_its_keys,
}


@pytest.mark.parametrize("reason", HUMAN)
async def test_what_only_a_human_ends_fails_at_once_and_ends_when_mended(stage, judge, reason):
    """A wait that fails in a second with the reason is worth more than one that fails in ten minutes without."""
    stage.put_item("login")
    stage.operator()
    await HUMAN[reason](stage)
    item = await stage.says("login", reason, ready="False")

    assert await judge.kstatus(item) == "Failed"
    assert configured_health(snippet(), item) == ("Degraded", condition_of(item, "Ready")["message"])
    assert built_in_health(item) == "Degraded"

    if reason == "SecretNotOurs":
        await stage.cluster.delete(SECRETS, stage.namespace, "login")
    await stage.edit("login", {"type": None, "spec": {"itemPath": PATH}})
    item = await stage.ready("login")
    assert await judge.kstatus(item) == "Current"


async def test_an_item_that_is_to_be_left_alone_is_no_trouble(stage, judge):
    """Freezing an item in 1Password must not turn an application red."""
    stage.put_item("login", tags=[names.IGNORE_TAG])
    stage.operator()
    await stage.ask("login")
    item = await stage.says("login", "Frozen")

    assert await judge.kstatus(item) == "Current"
    assert built_in_health(item) == "Healthy"


async def test_no_version_of_an_object_is_green_too_early_or_contradicts_itself(stage, judge):
    """Tools watch, so each version of an object counts, however short it lives: all of a long story are judged."""
    await stage.ask("login")
    seen: asyncio.Queue = asyncio.Queue()
    watching = asyncio.create_task(_record(stage, seen))
    stage.put_item("login")
    stage.put_item("other")

    stage.operator()
    await stage.ready("login")
    await stage.edit("login", {"spec": {"itemPath": f"vaults/{VAULT}/items/lost"}})
    await stage.says("login", "ItemNotFound")
    stage.put_item("lost")
    await stage.ready("login")
    stage.rotate("lost", "second")
    await stage.ready("login", itemVersion="2")
    stage.connect.outage(True)
    await stage.edit("login", {"spec": {"itemPath": f"vaults/{VAULT}/items/other"}})
    await stage.says("login", "VaultUnavailable")
    stage.connect.outage(False)
    await stage.ready("login", itemVersion="1")
    await stage.edit("login", {"metadata": {"labels": {"a": "b"}}})
    await stage.edit("login", {"spec": {"itemPath": "nonsense"}})
    last = await stage.says("login", "InvalidPath")

    verdicts = set()
    async with asyncio.timeout(PATIENCE_S):
        while (version := await seen.get()) != last:
            verdicts.add(await _consistent(judge, version))
    watching.cancel()
    assert verdicts | {await _consistent(judge, last)} == {"Current", "Failed", "InProgress"}


CONNECTED = {
    (): ("InProgress", "Progressing"),
    (Reason.PROGRESSING,): ("InProgress", "Progressing"),
    (Reason.UNREACHABLE,): ("InProgress", "Progressing"),
    (Reason.CREDENTIAL_MISSING,): ("InProgress", "Degraded"),
    (Reason.CONNECTED,): ("Current", "Healthy"),
    (Reason.SUSPENDED,): ("Current", "Healthy"),
    (Reason.CONNECTED, Reason.UNREACHABLE): ("InProgress", "Degraded"),
    (Reason.RECONNECT_REQUIRED,): ("Failed", "Degraded"),
    (Reason.CONNECTED, Reason.RECONNECT_REQUIRED): ("Failed", "Degraded"),
    (Reason.HOST_NOT_ALLOWED,): ("Failed", "Degraded"),
    (Reason.VAULT_NOT_VISIBLE, Reason.CONNECTED): ("Current", "Healthy"),
}


@pytest.mark.parametrize("reasons", CONNECTED, ids=lambda each: "-".join(each) or "new")
async def test_the_tools_see_how_a_connection_stands(cluster, crds, namespace, judge, reasons):
    """A pipeline that applies a Connection waits until it works, and fails at once if only a human can mend it."""
    spec = {"onepassword": {"tokenSecretRef": {"name": "a", "key": "b"}}}
    await cluster.create(CONNECTIONS, namespace, "work", {"spec": spec}, field_manager="kubectl")
    made = await cluster.get(CONNECTIONS, namespace, "work")
    status = ConnectionStatus()
    for reason in reasons:
        report = ConnectionReport(reason, "", vaults=1, items=2)
        now, generation = datetime.now(UTC), made["metadata"]["generation"]
        status = connection_status(status, report, generation=generation, now=now)
        made = {**made, "status": status.to_manifest()}

    seen = await judge.kstatus(made), configured_health(snippet(CONNECTIONS), made)[0]
    assert seen == CONNECTED[reasons]


GRANTED = {
    (): ("InProgress", "Progressing"),
    (GrantReport(Reason.VAULT_UNAVAILABLE),): ("InProgress", "Progressing"),
    (GrantReport(Reason.ITEM_NOT_FOUND, late=True),): ("InProgress", "Progressing"),
    (GrantReport(Reason.RESOLVED),): ("Current", "Healthy"),
    (GrantReport(Reason.RESOLVED, ignored=("spec.vaults",)),): ("Current", "Healthy"),
    (GrantReport(Reason.ITEM_AMBIGUOUS),): ("Failed", "Degraded"),
    (GrantReport(Reason.RESOLVED), GrantReport(Reason.EXPIRED)): ("Failed", "Degraded"),
    (GrantReport(Reason.ITEM_NOT_FOUND), GrantReport(Reason.RESOLVED)): ("Current", "Healthy"),
}


@pytest.mark.parametrize("reports", GRANTED, ids=lambda each: "-".join(report.reason for report in each) or "new")
async def test_the_tools_see_how_a_grant_stands(cluster, crds, namespace, judge, reports):
    """A pipeline that applies a grant with its job waits until the items are found, and fails at once if they never will be."""
    item = {"path": "vaults/Production/items/x", "fields": ["password"], "allow": ["read"]}
    body = {"spec": {"to": [{"serviceAccount": "ci"}], "items": [item]}}
    await cluster.create(ACCESS_GRANTS, namespace, "deploy", body, field_manager="kubectl")
    made = await cluster.get(ACCESS_GRANTS, namespace, "deploy")
    status = GrantStatus()
    for report in reports:
        status = grant_status(status, report, generation=made["metadata"]["generation"], now=datetime.now(UTC))
        made = {**made, "status": status.to_manifest()}

    seen = await judge.kstatus(made), configured_health(snippet(ACCESS_GRANTS), made)[0]
    assert seen == GRANTED[reports]


async def _consistent(judge, version) -> str:
    """What kstatus says of a version, after it was held against everything else that the version says."""
    kstatus = await judge.kstatus(version)
    truths = {each["type"] for each in version["status"].get("conditions", ()) if each["status"] == "True"}
    observed = version["status"]["observedGeneration"] == version["metadata"]["generation"]
    assert (kstatus == "Current") == ("Ready" in truths and observed)
    assert (kstatus == "Failed") == ("Stalled" in truths and observed)
    assert not {"Reconciling", "Stalled"} <= truths
    health, _ = configured_health(snippet(), version)
    assert health == {"Current": "Healthy", "Failed": "Degraded", "InProgress": "Progressing"}[kstatus]
    return kstatus


async def _record(stage: Stage, seen: asyncio.Queue) -> None:
    """Note each version of the objects, from the one that is there on."""
    there = await stage.asked("login")
    seen.put_nowait(there)
    watch = stage.cluster.watch(
        ONEPASSWORD_ITEMS,
        stage.namespace,
        resource_version=there["metadata"]["resourceVersion"],
        accept="application/json",
    )
    async with watch as events:
        async for event in events:
            if event.type == "MODIFIED":
                seen.put_nowait(event.object)


CHART = {"apiVersion": "v2", "name": "app", "version": "0.1.0"}


@pytest.fixture
def install(stage, api_server, helm_program, tmp_path):
    """A function that installs a chart of somebody's that holds an object of the stage's kind, and waits."""
    chart = tmp_path / "app"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text(yaml.safe_dump(CHART))
    helm = Helm(helm_program, folder=tmp_path, kubeconfig=api_server.kubeconfig)

    async def install(path: str) -> None:
        item = {"apiVersion": stage.kind.api_version, "kind": stage.kind.kind, "metadata": {"name": "login"}}
        (chart / "templates" / "item.yaml").write_text(yaml.safe_dump({**item, "spec": {"itemPath": path}}))
        namespace, timeout = f"--namespace={stage.namespace}", f"--timeout={LONG_S:.0f}s"
        await asyncio.to_thread(helm, "install", "app", chart, namespace, "--wait", timeout)

    return install


@pytest.mark.parametrize("kind", [ONEPASSWORD_ITEMS, KEYTURN_SECRETS], ids=["item", "shaped"])
async def test_helm_waits_until_the_secret_is_there(stage, install, kind):
    """`helm install --wait` of an application's chart must not return before its pods could start."""
    stage.kind = kind
    stage.put_item("login")
    stage.operator()

    await install(PATH)

    assert await stage.data("login") == {"password": b"first"}


async def test_helm_waits_for_an_item_that_comes_ten_seconds_late(stage, install):
    """Connect itself lists a new item seconds late: no reason to fail a release."""
    stage.operator(POLLING_INTERVAL="600")
    stage.put_item("other")
    installing = asyncio.create_task(install(PATH))
    done, _ = await asyncio.wait([installing], timeout=10)
    assert not done

    stage.put_item("login")
    await installing

    assert await stage.data("login") == {"password": b"first"}


@pytest.mark.parametrize("kind", [ONEPASSWORD_ITEMS, KEYTURN_SECRETS], ids=["item", "shaped"])
async def test_helm_fails_with_the_reason_long_before_its_time_out(stage, install, kind):
    """Whoever deploys reads at once what is wrong, in the words that stand on the object."""
    stage.kind = kind
    stage.operator()

    async with asyncio.timeout(LONG_S / 2):
        with pytest.raises(HelmFailed, match=r"login not ready\. status: Failed, message: the vault .* has no item"):
            await install(f"vaults/{VAULT}/items/lost")
