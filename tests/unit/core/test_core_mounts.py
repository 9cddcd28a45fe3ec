"""Which pods get changed files refreshed at once."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core import names
from keyturn.core.metadata import ObjectMeta
from keyturn.core.mounts import touch_of
from keyturn.core.pending import Change, PendingChanges
from keyturn.core.restarts import PendingRestart
from keyturn.core.stamps import read_stamps

CHANGED_AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
BEFORE, AFTER = "2026-11-25T11:00:00Z", "2026-11-25T13:00:00Z"
REQUESTED = {names.REFRESH_MOUNTS: "true"}


def pending(name="db", *, keys=("password",), revision=3, annotations=None):
    changes = PendingChanges((Change(revision, tuple(keys), CHANGED_AT),))
    metadata = {
        "namespace": "app",
        "name": name,
        "uid": f"{name}-uid",
        "annotations": {
            names.REVISION: str(revision),
            names.RESTART_OWED: changes.to_annotation(),
            **(annotations or {}),
        },
    }
    return PendingRestart.of(ObjectMeta.of({"metadata": metadata}))


def pod(*volumes, annotations=None, created_at=BEFORE, phase="Running", **metadata):
    return {
        "metadata": {
            "namespace": "app",
            "name": "web-1",
            "uid": "pod-1",
            "creationTimestamp": created_at,
            "annotations": REQUESTED if annotations is None else annotations,
            **metadata,
        },
        "spec": {"volumes": [{"name": f"v{number}", **volume} for number, volume in enumerate(volumes)]},
        "status": {"phase": phase},
    }


def secret(name="db", *keys):
    items = {"items": [{"key": key, "path": key} for key in keys]} if keys else {}
    return {"secret": {"secretName": name, **items}}


def projected(name="db", *keys):
    items = {"items": [{"key": key, "path": key} for key in keys]} if keys else {}
    return {"projected": {"sources": [{"configMap": {"name": name}}, {"secret": {"name": name, **items}}]}}


@pytest.mark.parametrize(
    ("touched", "found"),
    [
        pytest.param(True, pod(secret()), id="whole Secret"),
        pytest.param(True, pod(secret("db", "password")), id="the key that changed"),
        pytest.param(False, pod(secret("db", "username")), id="another key"),
        pytest.param(True, pod(projected()), id="projected"),
        pytest.param(False, pod(projected("db", "username")), id="projected, another key"),
        pytest.param(True, pod(secret("db", "password"), secret("db", "username")), id="the key that changed, first"),
        pytest.param(True, pod(secret("db", "username"), secret("db", "password")), id="the key that changed, last"),
        pytest.param(False, pod(secret("other")), id="another Secret"),
        pytest.param(False, pod(), id="no files"),
        pytest.param(False, pod(secret(), created_at=AFTER), id="created after the change"),
        pytest.param(False, pod(secret(), phase="Succeeded"), id="finished"),
        pytest.param(False, pod(secret(), deletionTimestamp=AFTER), id="being deleted"),
        pytest.param(False, pod(secret(), annotations={}), id="not requested"),
        pytest.param(False, pod(secret(), annotations={names.REFRESH_MOUNTS: "no"}), id="unreadable switch"),
    ],
)
def test_a_pod_is_touched_if_it_requests_that_and_mounts_what_changed(touched, found):
    """Every other write on a pod would be useless."""
    assert (touch_of(found, {"db": pending()}) is not None) == touched


def test_the_secret_requests_it_for_all_pods_but_those_that_decline():
    """The nearer switch wins, as with restarts."""
    requesting = pending(annotations=REQUESTED)

    assert touch_of(pod(secret(), annotations={}), {"db": requesting}) is not None
    assert touch_of(pod(secret(), annotations={names.REFRESH_MOUNTS: "false"}), {"db": requesting}) is None


def test_a_pod_is_touched_once_for_several_secrets_and_once_for_each_change():
    """Its stamps then say what it has seen; the stamp of a Secret that it does not mount any more is dropped."""
    pending_restarts = {"db": pending(), "tls": pending("tls", keys=["crt"])}
    found = pod(secret(), projected("tls"), annotations={**REQUESTED, names.REFRESHED: "old=x.1"})
    touch = touch_of(found, pending_restarts)

    assert touch.patch["metadata"]["uid"] == "pod-1"
    assert touch.secrets == {"db", "tls"}
    written = touch.patch["metadata"]["annotations"]
    assert read_stamps(written, names.REFRESHED) == {
        "db": pending_restarts["db"].stamp,
        "tls": pending_restarts["tls"].stamp,
    }
    after = pod(secret(), projected("tls"), annotations={**REQUESTED, **written})
    assert touch_of(after, pending_restarts) is None
    assert touch_of(after, {"db": pending(revision=4)}) is not None


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["volumes", "secret", "projected", "sources", "items", "secretName", "name"]), inner)))  # fmt: skip
def test_an_odd_pod_ends_no_pass(spec):
    """One object of a shape that the API does not allow must not end a pass over all others."""
    odd = {**pod(), "spec": spec}

    assert touch_of(odd, {"db": pending()}) is None or spec
