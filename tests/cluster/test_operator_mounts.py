"""Pods that read changed files by themselves are touched, so that the kubelet writes the files at once."""

from typing import Any

import pytest
from operator_fixtures import annotations_of

from keyturn.cluster.resources import PODS
from keyturn.core import names

pytestmark = pytest.mark.cluster

ASKS = {names.REFRESH_MOUNTS: "true"}


async def pod(stage, name, secret, *, annotations=None, env=False):
    """A pod that no node runs, with a Secret as files or in its environment."""
    container: dict[str, Any] = {"name": "main", "image": "none"}
    spec: dict[str, Any] = {"containers": [container], "automountServiceAccountToken": False}
    if env:
        container["envFrom"] = [{"secretRef": {"name": secret}}]
    else:
        container["volumeMounts"] = [{"name": "files", "mountPath": "/files"}]
        spec["volumes"] = [{"name": "files", "secret": {"secretName": secret}}]
    body = {"metadata": {"annotations": dict(annotations or {})}, "spec": spec}
    await stage.cluster.create(PODS, stage.namespace, name, body, field_manager="kubectl")


async def refreshed(stage, name):
    """What a pod was touched for."""
    return annotations_of(await stage.cluster.get(PODS, stage.namespace, name)).get(names.REFRESHED)


async def test_pods_with_files_of_a_changed_secret_are_touched_once_each(stage):
    """Asked for on the object, it holds for all pods that show the files, and for no others."""
    stage.put_item("login")
    await stage.ask("login", annotations=ASKS)
    operator = stage.operator(KEYTURN_REFRESH_MOUNTS="true")
    await stage.ready("login")
    await pod(stage, "files", "login")
    await pod(stage, "declines", "login", annotations={names.REFRESH_MOUNTS: "false"})
    await pod(stage, "environment", "login", env=True)
    assert await refreshed(stage, "files") is None

    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second"})
    secret = await stage.paid("login")

    first = await refreshed(stage, "files")
    assert first == f"login={secret['metadata']['uid'].split('-')[0]}.2"
    assert await refreshed(stage, "declines") is None
    assert await refreshed(stage, "environment") is None
    assert operator.api_writes()["patch pods"] == 1

    stage.rotate("login", "third")
    await stage.holds("login", {"password": "third"})
    await stage.paid("login")
    assert (await refreshed(stage, "files")).endswith(".3")


async def test_a_killed_operator_touches_afterwards_what_it_had_not_touched(stage):
    """What is owed stands on the Secret until it is done; so does a change that was made while nobody ran."""
    stage.put_item("login")
    await stage.ask("login")
    operator = stage.operator(KEYTURN_REFRESH_MOUNTS="true")
    await stage.ready("login")
    operator.kill()
    await pod(stage, "files", "login", annotations=ASKS)
    stage.rotate("login", "second")
    operator = stage.operator(KEYTURN_REFRESH_MOUNTS="true", ready=False)
    await stage.holds("login", {"password": "second"})
    operator.kill()

    stage.operator(KEYTURN_REFRESH_MOUNTS="true")
    await stage.paid("login")

    assert (await refreshed(stage, "files")).endswith(".2")


async def test_pods_are_nobodys_business_unless_that_is_switched_on(stage):
    """Who may touch pods may also change other things of them, so nobody needs to grant that for nothing."""
    stage.put_item("login")
    await stage.ask("login", annotations=ASKS)
    operator = stage.operator()
    await stage.ready("login")
    await pod(stage, "files", "login")

    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second"})
    await stage.paid("login")

    assert await refreshed(stage, "files") is None
    assert operator.metric("keyturn_apiserver_requests_total", resource="pods") == 0
