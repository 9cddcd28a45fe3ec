"""Kinds beside those of Kubernetes itself are restarted, as an Argo Rollout is, whether or not they are installed."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest
from operator_fixtures import annotations_of

from keyturn.cluster.discovery import find_resource
from keyturn.cluster.resources import CRDS, Resource
from keyturn.core import names
from support.operator import eventually

pytestmark = pytest.mark.cluster

CONTAINER = {"name": "main", "image": "nowhere.example/none", "envFrom": [{"secretRef": {"name": "login"}}]}
POD = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [CONTAINER]}}


def crd(group):
    """A definition of the shape of Argo's: the spec may hold anything, and the plural is not to be guessed."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}},
    }
    plural = {"kind": "Rollout", "plural": "rolloutses", "singular": "rollout", "listKind": "RolloutList"}
    return {"spec": {"group": group, "scope": "Namespaced", "names": plural, "versions": [version]}}


class Installable(NamedTuple):
    """A kind that a test may install: the function that does it, and its name in a setting."""

    now: Callable[[], Awaitable[Resource]]
    reference: str


@pytest.fixture
async def install(stage):
    """Installs the kind in a group of this test's own, and gives how to address it; its end is the end of the test."""
    group = f"{stage.namespace}.example"
    name = f"rolloutses.{group}"
    installed = False

    async def served() -> Resource:
        found = await find_resource(stage.cluster, group=group, version="v1alpha1", kind="Rollout")
        assert found is not None
        return found

    async def install():
        nonlocal installed
        await stage.cluster.create(CRDS, None, name, crd(group), field_manager="tests")
        installed = True
        return await eventually(served)

    yield Installable(install, f"{group}/v1alpha1/Rollout")
    if installed:
        await stage.cluster.delete(CRDS, None, name)


async def carries(stage, resource, name, *path):
    """Wait until a pod template carries a revision; returns it and the object's generation."""

    async def check():
        found = await stage.cluster.get(resource, stage.namespace, name)
        template = found["spec"]
        for member in path:
            template = template[member]
        assert names.REVISION in annotations_of(template)
        return annotations_of(template)[names.REVISION], found["metadata"]["generation"]

    return await eventually(check)


async def test_a_kind_of_our_users_restarts_like_a_deployment(stage, install):
    """Once for each rotation, at the usual place of its pod template and at another."""
    rollouts = await install.now()
    kinds = f"{install.reference},{install.reference}=spec.blue.pod"
    operator = stage.operator(AUTO_RESTART="true", KEYTURN_RESTART_KINDS=kinds)
    await stage.provide("login")
    for name, spec in (("usual", {"template": POD}), ("other", {"blue": {"pod": POD}}), ("odd", {"template": 5})):
        await stage.cluster.create(rollouts, stage.namespace, name, {"spec": spec}, field_manager="kubectl")

    stage.rotate("login", "second")
    secret = await stage.paid_for("login", revision=2)

    mark = f"login={secret['metadata']['uid'].split('-')[0]}.2"
    assert await carries(stage, rollouts, "usual", "template") == (mark, 2)
    assert await carries(stage, rollouts, "other", "blue", "pod") == (mark, 2)
    assert operator.metric("keyturn_restarts_total", kind="Rollout", outcome="done") == 2
    assert (await stage.event("usual", "Restarted"))["involvedObject"]["kind"] == "Rollout"


async def test_a_kind_that_is_not_installed_keeps_nobody_from_its_restart(stage, install):
    """It is said once; the kind is restarted from the moment it is there, without a restart of the operator."""
    operator = stage.operator(AUTO_RESTART="true", KEYTURN_RESTART_KINDS=install.reference)
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    for revision in (2, 3):
        stage.rotate("login", f"value {revision}")
        await stage.paid_for("login", revision=revision)
    assert await stage.restarts("web") == 2
    assert operator.logged().count("is not served by the API server") == 1

    rollouts = await install.now()
    await stage.cluster.create(rollouts, stage.namespace, "web", {"spec": {"template": POD}}, field_manager="kubectl")
    stage.rotate("login", "value 4")
    await stage.paid_for("login", revision=4)
    assert (await carries(stage, rollouts, "web", "template"))[0].endswith(".4")


async def test_a_job_cannot_be_restarted(stage):
    """The operator says so and ends, rather than run somebody's job for a new password."""
    with pytest.raises(RuntimeError, match="a Job never runs because a Secret changed"):
        stage.operator(KEYTURN_RESTART_KINDS="batch/v1/Job")
