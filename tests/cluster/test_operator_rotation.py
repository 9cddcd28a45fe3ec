import pytest
from operator_fixtures import VAULT, annotations_of

from keyturn.cluster.resources import DAEMONSETS, DEPLOYMENTS, NAMESPACES, STATEFULSETS
from keyturn.core import names

pytestmark = pytest.mark.cluster


async def test_a_rotation_restarts_the_workload_once(stage):
    """A rotated value restarts the Deployment that uses it exactly once, and the mark on the Secret goes."""
    operator = stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")

    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second"})
    deployment = await stage.settled("web", restarts=1)
    secret = await stage.paid("login")
    await operator.polls(1)

    carried = deployment["spec"]["template"]["metadata"]["annotations"]
    uid = secret["metadata"]["uid"].split("-")[0]
    assert carried[names.REVISION] == f"login={uid}.2"
    assert names.LAST_RESTARTED in carried
    assert await stage.restarts("web") == 1
    assert operator.metric("keyturn_restarts_total", kind="Deployment") == 1
    assert operator.metric("keyturn_restarts_owed") == 0


@pytest.mark.parametrize("kind", [STATEFULSETS, DAEMONSETS], ids=lambda kind: kind.kind)
async def test_every_kind_that_rolls_its_pods_restarts(stage, kind):
    """A StatefulSet and a DaemonSet are restarted like a Deployment, once."""
    operator = stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    container = {"name": "main", "image": "nowhere.example/none", "envFrom": [{"secretRef": {"name": "login"}}]}
    spec = {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}},
    }
    await stage.cluster.create(kind, stage.namespace, "web", {"spec": spec}, field_manager="kubectl")

    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second"})
    await stage.paid("login")
    await operator.polls(2)

    found = await stage.cluster.get(kind, stage.namespace, "web")
    assert found["metadata"]["generation"] == 2
    assert names.LAST_RESTARTED in found["spec"]["template"]["metadata"]["annotations"]
    assert operator.metric("keyturn_restarts_total", kind=kind.kind, outcome="done") == 1


async def test_each_rotation_restarts_anew(stage):
    """Two rotations, one after the other, restart twice."""
    stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")

    for number, value in enumerate(("second", "third"), start=1):
        stage.rotate("login", value)
        await stage.holds("login", {"password": value})
        await stage.settled("web", restarts=number)
        await stage.paid("login")


async def test_a_workload_of_two_rotated_secrets_restarts_once(stage):
    """Two Secrets that rotate together restart the workload that uses both only once."""
    stage.operator(AUTO_RESTART="true")
    await stage.provide("one")
    await stage.provide("two")
    await stage.deploy("web", secret="one")
    source = {"secretRef": {"name": "two"}}
    patch = [{"op": "add", "path": "/spec/template/spec/containers/0/envFrom/-", "value": source}]
    await stage.cluster.json_patch(DEPLOYMENTS, stage.namespace, "web", patch, field_manager="kubectl")

    stage.connect.bulk_rotate(VAULT)
    await stage.ready("one", itemVersion="2")
    await stage.ready("two", itemVersion="2")
    await stage.paid("one")
    await stage.paid("two")

    # The edit above counts as one change of the template too.
    assert await stage.restarts("web") == 2


async def test_a_new_version_of_equal_bytes_restarts_nothing(stage):
    """An item whose version moved without its values changing raises no revision and owes no restart."""
    stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")

    stage.connect.touch(VAULT, "login")
    await stage.ready("login", itemVersion="2")
    # Proves that the restarter would have had its turn: a later rotation passes through all of it.
    await stage.provide("other")
    await stage.deploy("other", secret="other")
    stage.rotate("other", "second")
    await stage.settled("other", restarts=1)

    secret = await stage.secret("login")
    assert annotations_of(secret)[names.ITEM_VERSION] == "2"
    assert annotations_of(secret)[names.REVISION] == "1"
    assert await stage.restarts("web") == 0


async def test_what_does_not_use_the_secret_is_left_alone(stage):
    """A Deployment without the rotated Secret is not touched while the one with it restarts."""
    stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("stranger")
    await stage.deploy("web", secret="login")

    stage.rotate("login", "second")
    await stage.settled("web", restarts=1)
    await stage.paid("login")

    assert await stage.restarts("stranger") == 0


@pytest.mark.parametrize("switch", ["F", None])
async def test_nothing_restarts_unless_somebody_wants_it(stage, switch):
    """With AUTO_RESTART off or unset a rotation writes the Secret, restarts nothing, and the mark goes all the same."""
    operator = stage.operator(AUTO_RESTART=switch)
    await stage.provide("login")
    await stage.deploy("web", secret="login")

    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second"})
    await stage.paid("login")
    await operator.polls(1)

    assert await stage.restarts("web") == 0


@pytest.mark.parametrize("switch", ["1", "TRUE"])
async def test_every_spelling_of_yes_turns_restarts_on(stage, switch):
    """AUTO_RESTART takes the official operator's spellings of true."""
    stage.operator(AUTO_RESTART=switch)
    await stage.provide("login")
    await stage.deploy("web", secret="login")

    stage.rotate("login", "second")

    await stage.settled("web", restarts=1)


@pytest.mark.parametrize(
    ("on_secret", "on_workload", "on_namespace", "default", "restarts"),
    [
        ("true", "false", "false", "false", 1),
        ("false", "true", "true", "true", 0),
        (None, "true", "false", "false", 1),
        (None, "false", "true", "true", 0),
        (None, None, "true", "false", 1),
        (None, None, "false", "true", 0),
        ("perhaps", "true", "true", "true", 0),
    ],
)
async def test_the_nearest_switch_decides(stage, on_secret, on_workload, on_namespace, default, restarts):  # noqa: PLR0917
    """Of the restart switches, that of the Secret goes before the workload's, the Namespace's and the operator's own."""
    switch = names.AUTO_RESTART
    if on_namespace is not None:
        patch = {"metadata": {"annotations": {switch: on_namespace}}}
        await stage.cluster.merge_patch(NAMESPACES, None, stage.namespace, patch, field_manager="kubectl")
    stage.operator(AUTO_RESTART=default)
    stage.put_item("login")
    await stage.ask("login", annotations={} if on_secret is None else {switch: on_secret})
    await stage.ready("login")
    await stage.deploy("web", secret="login", annotations={} if on_workload is None else {switch: on_workload})

    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second"})
    await stage.paid("login")

    assert await stage.restarts("web") == restarts


async def test_a_switch_on_the_pod_template_counts_for_nothing(stage):
    """As with the official operator, which looks at the top level alone: pods carry all sorts of annotations."""
    operator = stage.operator(AUTO_RESTART="false")
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    template = {"spec": {"template": {"metadata": {"annotations": {names.AUTO_RESTART: "true"}}}}}
    await stage.cluster.merge_patch(DEPLOYMENTS, stage.namespace, "web", template, field_manager="kubectl")
    await stage.settled("web", restarts=1)

    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second"})
    await stage.paid("login")
    await operator.polls(1)

    assert await stage.restarts("web") == 1


async def test_a_workload_made_after_the_change_is_not_restarted(stage):
    """A Deployment created after a rotation holds the new value and is left alone by later restarts for that rotation."""
    stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("old", secret="login")
    stage.rotate("login", "second")
    await stage.settled("old", restarts=1)
    await stage.paid("login")

    await stage.deploy("new", secret="login")
    await stage.provide("other")
    await stage.deploy("witness", secret="other")
    stage.rotate("other", "second")
    await stage.settled("witness", restarts=1)

    assert await stage.restarts("new") == 0
    assert await stage.restarts("old") == 1


async def test_a_mark_that_nobody_can_read_is_cleared(stage):
    """A restart mark edited into nonsense restarts nothing and does not stay for ever."""
    stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")

    await stage.annotate_secret("login", {names.RESTART_OWED: "nonsense"})

    await stage.paid("login")
    assert await stage.restarts("web") == 0


async def test_a_workload_that_cannot_be_patched_keeps_no_other_from_its_restart(stage):
    """A policy forbids to touch one Deployment: the others restart at once, and it does when the policy is gone."""
    stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("a-stuck", secret="login")
    await stage.deploy("web", secret="login")
    async with stage.untouchable("a-stuck"):
        before = await stage.restarts("a-stuck")
        stage.rotate("login", "second")
        await stage.settled("web", restarts=1)
        assert await stage.restarts("a-stuck") == before
        assert names.RESTART_OWED in annotations_of(await stage.secret("login"))

    await stage.paid("login")
    assert await stage.restarts("a-stuck") == before + 1
    assert await stage.restarts("web") == 1
