"""KeyturnSecrets on a real API server: made, changed, deleted, and beside OnePasswordItems of the same name."""

import pytest
from official_operator import labels_of
from operator_fixtures import GET_ITEM, VAULT, annotations_of, condition_of, decoded
from workload_fixtures import asking, deploy, owned_by

from keyturn.cluster.resources import KEYTURN_SECRETS, ONEPASSWORD_ITEMS, SECRETS
from keyturn.core import names
from support.operator import eventually

pytestmark = pytest.mark.cluster

SHAPED = KEYTURN_SECRETS
ITEM_STATUS = ("itemPath", "itemVersion", "secret")


async def settled(stage, operator):
    """Wait until the operator has nothing left to do; returns the version of the Secret."""
    await operator.polls(2)
    operator.settled_writes()
    return (await stage.secret("login"))["metadata"]["resourceVersion"]


def kinds(secret):
    return [reference["kind"] for reference in secret["metadata"].get("ownerReferences", [])]


async def owned(stage, *wanted):
    """Wait until objects of exactly these kinds own the Secret; returns it."""

    async def check():
        secret = await stage.secret("login")
        assert sorted(kinds(secret)) == sorted(wanted)
        return secret

    return await eventually(check)


async def test_a_plain_one_makes_the_secret_of_a_onepassworditem(stage):
    """The same bytes, type, labels and annotations, and a status of the same form."""
    operator = stage.operator("--enable-annotations")
    stage.put_item("login", {"password": "first", "user name": "app"}, files=[{"name": "ca.crt", "base64": "AP8K"}])
    more = {"labels": {"team": "red", "app.kubernetes.io/instance": "x"}, "annotations": {"note": "x"}}
    await stage.ask("login", **more)
    of_item = await stage.ready("login")
    before = await stage.secret("login")
    await stage.unask("login")
    await stage.has_no_secret("login")

    await stage.shape("login", **more)
    found = await stage.ready("login", kind=SHAPED)
    after = await stage.secret("login")

    def compared(secret):
        annotations = {key: text for key, text in annotations_of(secret).items() if key != "keyturn.dev/shape"}
        return secret["type"], secret["data"], labels_of(secret), annotations

    assert compared(after) == compared(before)
    assert kinds(after) == ["KeyturnSecret"]
    assert {name: found["status"][name] for name in ITEM_STATUS} == {
        name: of_item["status"][name] for name in ITEM_STATUS
    }
    assert found["status"].keys() == of_item["status"].keys()
    assert "finalizers" not in found["metadata"]
    assert operator.metric("keyturn_items_managed") == 1


async def test_columns_show_how_it_stands(stage, api_server):
    """`kubectl get kts` shows the same columns as for a OnePasswordItem."""
    stage.operator()
    stage.put_item("login")
    for name, ask, kind in (("login", stage.shape, SHAPED), ("other", stage.ask, ONEPASSWORD_ITEMS)):
        await ask(name, f"vaults/{VAULT}/items/login")
        await stage.ready(name, kind=kind)

    def shown(kind):
        output = api_server.kubectl("get", kind, "-n", stage.namespace, "-o", "wide").stdout
        return [line.split() for line in output.splitlines()]

    (shaped, row), (items, _) = shown("kts"), shown("opi")
    assert shaped == items
    assert row[:4] == ["login", "True", "Synced", "1"]


async def test_what_the_spec_says_of_the_secret_is_on_it(stage):
    """Its type, its labels and annotations; one that leaves the spec leaves the Secret."""
    stage.operator()
    stage.put_item("login", {"tls.crt": "certificate", "tls.key": "key"})
    await stage.shape(
        "login",
        secret={
            "type": "kubernetes.io/tls",
            "labels": {"cnpg.io/reload": "true"},
            "annotations": {"argocd.argoproj.io/sync-options": "Prune=false"},
        },
    )
    await stage.ready("login", kind=SHAPED)

    secret = await stage.secret("login")
    assert secret["type"] == "kubernetes.io/tls"
    assert labels_of(secret) == {"cnpg.io/reload": "true", names.MANAGED_BY: names.PRODUCT}
    assert annotations_of(secret)["argocd.argoproj.io/sync-options"] == "Prune=false"

    await stage.edit("login", {"spec": {"secret": {"labels": None, "annotations": None}}}, kind=SHAPED)
    await stage.ready("login", kind=SHAPED)
    secret = await stage.secret("login")
    assert labels_of(secret) == {names.MANAGED_BY: names.PRODUCT}
    assert "argocd.argoproj.io/sync-options" not in annotations_of(secret)

    await stage.edit("login", {"spec": {"secret": {"type": "Opaque"}}}, kind=SHAPED)
    await stage.says("login", "TypeImmutable", ready="False", kind=SHAPED)


async def test_failures_are_told_as_for_a_onepassworditem(stage):
    """The same reasons and Events, and the Secret is made as soon as the item is there."""
    stage.operator()
    await stage.shape("login")
    await stage.says("login", "ItemNotFound", kind=SHAPED)
    event = await stage.event("login", "ItemNotFound")
    assert event["involvedObject"]["apiVersion"] == "keyturn.dev/v1alpha1"

    stage.put_item("login")
    await stage.ready("login", kind=SHAPED)


@pytest.mark.parametrize(("switch", "restarts"), [(True, 1), (False, 0)])
async def test_the_switch_in_the_spec_decides_about_restarts(stage, switch, restarts):
    """Before the setting of the operator, which says the opposite here."""
    stage.operator(AUTO_RESTART=str(not switch).lower())
    stage.put_item("login")
    await stage.shape("login", autoRestart=switch)
    await stage.ready("login", kind=SHAPED)
    await stage.deploy("web", secret="login")

    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second"})
    await stage.paid("login")
    await stage.settled("web", restarts=restarts)
    await stage.ready("login", kind=SHAPED, itemVersion="2")


async def test_deletion_takes_the_secret_along(stage):
    """Kubernetes deletes it; no finalizer holds the object."""
    operator = stage.operator()
    stage.put_item("login")
    await stage.shape("login")
    await stage.ready("login", kind=SHAPED)

    await stage.unask("login", kind=SHAPED)

    await stage.has_no_secret("login")
    await operator.polls(2)
    await stage.has_no_secret("login")


async def test_a_move_from_a_onepassworditem_and_back_changes_owners_alone(stage):
    """The same Secret and the same pods at each of four steps; the next rotation arrives as ever."""
    operator = stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    before = await stage.secret("login")

    def same(secret):
        return secret["metadata"]["uid"] == before["metadata"]["uid"] and secret["data"] == before["data"]

    await stage.shape("login")
    await stage.ready("login", kind=SHAPED)
    overruled = await stage.says("login", "Overruled", ready="False")
    assert "KeyturnSecret login" in condition_of(overruled, "Ready")["message"]
    assert condition_of(overruled, "Stalled") == {}
    assert same(await owned(stage, "KeyturnSecret", "OnePasswordItem"))
    event = await stage.event("login", "Overruled")
    assert event["involvedObject"]["kind"] == "OnePasswordItem"

    await stage.unask("login")
    assert same(await owned(stage, "KeyturnSecret"))

    await stage.ask("login")
    await stage.says("login", "Overruled", ready="False")
    assert same(await owned(stage, "KeyturnSecret", "OnePasswordItem"))

    await stage.unask("login", kind=SHAPED)
    await stage.ready("login", itemVersion="1")
    assert same(await owned(stage, "OnePasswordItem"))
    assert await stage.restarts("web") == 0
    assert operator.metric("keyturn_items_managed") == 1

    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second"})
    await stage.settled("web", restarts=1)


async def test_both_at_once_is_a_quiet_state(stage):
    """Whoever forgets the second step of a move has an operator that writes nothing, also after its restart."""
    operator = stage.operator()
    await stage.provide("login")
    await stage.shape("login")
    await stage.says("login", "Overruled")
    await stage.ready("login", kind=SHAPED)
    version = await settled(stage, operator)
    operator.stop()
    stage.connect.clear_requests()

    operator = stage.operator()
    await operator.polls(2)

    assert operator.api_writes() == {}
    assert GET_ITEM not in stage.connect.request_counts()
    assert (await stage.secret("login"))["metadata"]["resourceVersion"] == version


async def test_an_object_deleted_while_nobody_ran_lets_the_other_decide(stage):
    """What was overruled comes back by itself at the next start."""
    operator = stage.operator()
    stage.put_item("login")
    stage.put_item("other", {"password": "of the other"})
    await stage.ask("login")
    await stage.shape("login", f"vaults/{VAULT}/items/other")
    await stage.says("login", "Overruled")
    await stage.holds("login", {"password": "of the other"})
    operator.stop()
    await stage.unask("login", kind=SHAPED)
    before = await owned(stage, "OnePasswordItem")

    stage.operator()

    await stage.ready("login")
    after = await stage.holds("login", {"password": "first"})
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_it_decides_over_annotated_workloads(stage):
    """A workload that names another item learns it from an Event, and gets its own Secret again afterwards."""
    stage.operator()
    stage.put_item("login")
    stage.put_item("other", {"password": "of the other"})
    await deploy(stage, "web", asking("other", "login"))
    await stage.holds("login", {"password": "of the other"})

    await stage.shape("login")
    await stage.holds("login", {"password": "first"})
    event = await stage.event("web", "Overruled")
    assert "KeyturnSecret login" in event["message"]
    await owned_by(stage, "login", "login", "web")

    await stage.unask("login", kind=SHAPED)
    await stage.holds("login", {"password": "of the other"})


async def test_a_suspended_one_leaves_its_secret_as_it_is(stage):
    """Neither a rotation nor an edit of somebody is touched until it ends; a Secret that is missing is made once."""
    operator = stage.operator()
    stage.put_item("login")
    await stage.shape("login", suspend=True)
    await stage.holds("login", {"password": "first"})
    await stage.says("login", "Suspended", ready="True", kind=SHAPED)

    stage.rotate("login", "second")
    await operator.polls(2)
    assert decoded(await stage.secret("login")) == {"password": b"first"}

    await stage.edit("login", {"spec": {"suspend": False}}, kind=SHAPED)
    await stage.holds("login", {"password": "second"})
    await stage.ready("login", kind=SHAPED, itemVersion="2")


async def test_somebody_elses_secret_is_left_alone(stage):
    """Consent lies on the Secret, for this kind as for the other."""
    stage.operator()
    stage.put_item("login")
    await stage.cluster.create(SECRETS, stage.namespace, "login", {"data": {}}, field_manager="kubectl")
    await stage.shape("login")
    await stage.says("login", "SecretNotOurs", ready="False", kind=SHAPED)

    await stage.annotate_secret("login", {names.ADOPT: "true"})

    await stage.holds("login", {"password": "first"})
    await stage.ready("login", kind=SHAPED)
    await stage.event("login", "Recovered")


async def test_an_edit_of_its_secret_is_undone(stage):
    """Drift is repaired at once."""
    stage.operator()
    stage.put_item("login")
    await stage.shape("login")
    await stage.ready("login", kind=SHAPED)

    await stage.edit_secret("login", {"data": {"password": "eHh4"}})

    await stage.holds("login", {"password": "first"})
    await stage.event("login", "Repaired")
