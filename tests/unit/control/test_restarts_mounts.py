"""Which pods are touched so that the kubelet refreshes their files, and what happens if a touch fails."""

import asyncio

import pytest

from keyturn.cluster import PODS
from keyturn.control.restarts.mounts import MountRefresher
from keyturn.core.names import REFRESH_MOUNTS, REFRESHED
from support.fake_api import FakeApiServer
from support.fake_context import fake_context
from support.restart_objects import BEFORE, add_pending


@pytest.fixture
def api():
    return FakeApiServer()


def add_pod(api, name="web-1", *secrets, requests_it=True, **metadata):
    volumes = [{"name": secret, "secret": {"secretName": secret}} for secret in secrets or ("login",)]
    annotations = {REFRESH_MOUNTS: "true"} if requests_it else {}
    metadata = {"namespace": "app", "name": name, "creationTimestamp": BEFORE, "annotations": annotations, **metadata}
    api.add(PODS, {"metadata": metadata, "spec": {"volumes": volumes}})


def refresh(api, *names):
    refresher = MountRefresher(fake_context(api), writing=asyncio.Semaphore(10))
    return refresher.refresh("app", {each.secret.name: each for each in add_pending(api, *names)})


def touched(api):
    return [call.name for call in api.writes]


async def test_each_pod_that_requests_it_is_touched_once(api):
    """For all Secrets that it mounts; a second pass finds it done."""
    add_pod(api, "web-1", "login", "tls")
    add_pod(api, "web-2", "login")
    add_pod(api, "without", "login", requests_it=False)
    add_pod(api, "other", "unrelated")

    assert await refresh(api, "login", "tls") == []
    assert await refresh(api, "login", "tls") == []

    assert touched(api) == ["web-1", "web-2"]
    assert api.find(PODS, "app", "web-1")["metadata"]["annotations"][REFRESHED] == "login=login.2,tls=tls.2"


async def test_pods_are_read_in_pages_of_a_hundred(api):
    """Whole pods are large, and a namespace may hold thousands."""
    for number in range(201):
        add_pod(api, f"p{number:03d}", requests_it=number % 100 == 0)

    await refresh(api, "login")

    assert api.count("list", PODS) == 3
    assert touched(api) == ["p000", "p100", "p200"]


@pytest.mark.parametrize(
    ("failure", "left"),
    [
        pytest.param({"status": 404}, [], id="gone: the next pod has new files"),
        pytest.param({"status": 409, "reason": "Conflict"}, [], id="recreated: the same"),
        pytest.param({"status": 403}, [], id="forbidden: the kubelet refreshes later by itself"),
        pytest.param({"status": 503}, [{"login", "tls"}], id="unavailable: tried again"),
        pytest.param({"status": 429, "retry_after": 3}, [{"login", "tls"}], id="too many requests: the same"),
    ],
)
async def test_a_touch_that_fails_is_tried_again_if_that_helps(api, failure, left):
    """And keeps no other pod from being touched."""
    add_pod(api, "web-1", "login", "tls")
    add_pod(api, "web-2", "login")
    api.fail("patch", PODS, "web-1", **failure)

    failures = await refresh(api, "login", "tls")

    assert [set(each.secrets) for each in failures] == left
    assert touched(api) == ["web-2"]


async def test_a_pod_that_was_recreated_under_its_name_is_not_touched(api):
    """A pod of a StatefulSet is; it started after the change."""
    add_pod(api)
    recreated = {"metadata": {"uid": "another"}}
    api.before = lambda call: api.edit(PODS, "app", "web-1", recreated) if call.verb == "patch" else None

    assert await refresh(api, "login") == []
    assert touched(api) == []


@pytest.mark.parametrize(
    ("status", "left", "message"),
    [
        (403, [], "pods in namespace app cannot be listed, so their files are refreshed later"),
        (503, [{"login", "tls"}], ""),
    ],
    ids=["forbidden: nothing to try again", "unavailable: every Secret is tried again"],
)
async def test_pods_that_cannot_be_listed(api, caplog, status, left, message):
    """Without the right, the kubelet still does it within a minute or so; that is logged with its namespace."""
    api.fail("list", PODS, status=status)

    failures = await refresh(api, "login", "tls")

    assert [set(each.secrets) for each in failures] == left
    assert message in caplog.text
    assert [record.about for record in caplog.records] == ([{"namespace": "app"}] if message else [])
