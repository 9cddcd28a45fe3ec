"""What a workload says about its own rollout."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import AUTO_RESTART, LAST_RESTARTED, REVISION
from keyturn.core.rollouts import last_writer, lost_stamps, misplaced_switch, template_fingerprint, why_waiting

SWITCH = {AUTO_RESTART: "true"}


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"paused": True}, "paused"),
        ({"updateStrategy": {"type": "OnDelete"}}, "OnDelete"),
        ({"paused": False, "updateStrategy": {"type": "RollingUpdate"}}, ""),
        ({"paused": "yes", "updateStrategy": "OnDelete"}, ""),
        ({}, ""),
        (None, ""),
        ([], ""),
    ],
)
def test_a_workload_says_why_its_pods_are_not_replaced(spec, word):
    """Whatever the kind: an Argo Rollout can be paused, too. Fields of another shape say nothing."""
    why = why_waiting({"spec": spec})

    assert bool(why) == bool(word)
    assert word in why


def meta(**metadata):
    return ObjectMeta.of({"metadata": {"name": "web", **metadata}})


@pytest.mark.parametrize(
    ("workload", "template", "place"),
    [
        pytest.param({"labels": SWITCH}, {}, "the workload's labels", id="label"),
        pytest.param({}, {"metadata": {"annotations": SWITCH}}, "the pod template's annotations", id="template"),
        pytest.param({}, {"metadata": {"labels": SWITCH}}, "the pod template's labels", id="template's label"),
        pytest.param({"annotations": SWITCH, "labels": SWITCH}, {}, "", id="the annotation decides anyway"),
        pytest.param({"annotations": {AUTO_RESTART: ""}, "labels": SWITCH}, {}, "the workload's labels", id="empty"),
        pytest.param({}, {"metadata": {"labels": 5, "annotations": []}}, "", id="odd shapes"),
        pytest.param({}, {"metadata": None}, "", id="no metadata"),
        pytest.param({}, {}, "", id="nowhere"),
    ],
)
def test_a_switch_without_effect_is_found(workload, template, place):
    """Somebody meant a restart and will not get one."""
    assert misplaced_switch(meta(**workload), template) == place


@pytest.mark.parametrize(
    ("present", "lost"),
    [
        ("db=cafe.2,tls=beef.1", ()),
        ("db=cafe.3,tls=beef.1", ()),
        ("db=cafe.1,tls=beef.1", ("db",)),
        ("db=feed.2", ("db", "tls")),
        ("", ("db", "tls")),
    ],
)
def test_stamps_that_were_taken_away_are_found(present, lost):
    """A later stamp of the same Secret is none that was taken away."""
    template = {"metadata": {"annotations": {REVISION: present}}}

    assert lost_stamps(template, {"db": "cafe.2", "tls": "beef.1"}) == lost


ANNOTATIONS = st.dictionaries(st.sampled_from([REVISION, LAST_RESTARTED, "a"]), st.text(max_size=2))


@given(ANNOTATIONS, ANNOTATIONS)
def test_a_fingerprint_differs_by_what_a_restart_does_not_write(one, other):
    """Everything else that changes brings new pods anyway."""
    first, second = (template_fingerprint({"metadata": {"annotations": each}, "spec": {}}) for each in (one, other))

    assert (first == second) == (one.get("a") == other.get("a"))
    assert first != template_fingerprint({"metadata": {"annotations": one}, "spec": {"x": 1}})


def entry(manager, time, fields=("f:spec",), **more):
    return {"manager": manager, "time": time, "fieldsV1": {name: {} for name in fields}, **more}


@pytest.mark.parametrize(
    ("entries", "manager"),
    [
        ([entry("argocd", "2026-01-02T00:00:00Z"), entry("helm", "2026-01-01T00:00:00Z")], "argocd"),
        ([entry("helm", "2026-01-01T00:00:00Z"), entry("keyturn-restart", "2026-01-02T00:00:00Z")], "helm"),
        ([entry("scaler", "2026-01-03T00:00:00Z", subresource="scale"), entry("helm", "2026-01-01T00:00:00Z")], "helm"),
        ([entry("labeller", "2026-01-03T00:00:00Z", ("f:metadata",)), entry("helm", None)], "helm"),
        ([], ""),
    ],
)
def test_who_wrote_a_workload_last(entries, manager):
    """Not ourselves, and nobody who wrote only its status, its scale or its labels."""
    assert last_writer(meta(managedFields=entries)) == manager
