"""Which kinds are restarted, how their pod template is found, and how it is patched."""

import logging

import pytest

from keyturn.cluster import DEPLOYMENTS, Resource, Unavailable
from keyturn.control.restarts.kinds import BUILT_IN_KINDS, ChosenKind, WorkloadKind
from keyturn.core.restart_kinds import parse_kinds
from support.fake_api import FakeApiServer
from support.fake_context import fake_context
from support.fake_time import FakeTime

ROLLOUTS = Resource("argoproj.io", "v1alpha1", "rollouts", "Rollout")
CLUSTER_WIDE = Resource("argoproj.io", "v1alpha1", "rollouts", "Rollout", namespaced=False)
OTHER_PATH = ("spec", "workload", "pods")
TEMPLATE = {"metadata": {}, "spec": {}}


def test_the_built_in_kinds_are_those_that_replace_their_pods():
    """A Job or CronJob never runs because a Secret changed."""
    assert [kind.resource.kind for kind in BUILT_IN_KINDS] == ["Deployment", "StatefulSet", "DaemonSet"]


@pytest.mark.parametrize(
    ("path", "manifest", "template"),
    [
        pytest.param(("spec", "template"), {"spec": {"template": TEMPLATE}}, TEMPLATE, id="at the usual path"),
        pytest.param(OTHER_PATH, {"spec": {"workload": {"pods": TEMPLATE}}}, TEMPLATE, id="at another path"),
        pytest.param(OTHER_PATH, {"spec": {"template": TEMPLATE}}, None, id="not there"),
        pytest.param(("spec", "template"), {}, None, id="an empty object"),
        pytest.param(("spec", "template"), {"spec": 5}, None, id="a number on the way"),
        pytest.param(("spec", "template"), {"spec": {"template": ["a"]}}, None, id="a list instead"),
    ],
)
def test_the_template_is_found_by_its_path(path, manifest, template):
    """A custom resource may hold anything; what has no template is not restarted."""
    assert WorkloadKind(DEPLOYMENTS, path).template_of(manifest) == template


@pytest.mark.parametrize(
    ("path", "spec"),
    [
        (("spec", "template"), {"template": {"metadata": {"annotations": {"a": "1"}}}}),
        (OTHER_PATH, {"workload": {"pods": {"metadata": {"annotations": {"a": "1"}}}}}),
    ],
    ids=["at the usual path", "at another path"],
)
def test_a_patch_reaches_the_annotations_of_the_template_alone(path, spec):
    """Of the very state that was judged."""
    assert WorkloadKind(DEPLOYMENTS, path).patch({"a": "1"}, resource_version="7") == {
        "metadata": {"resourceVersion": "7"},
        "spec": spec,
    }


async def find(api, *, time=None, text="argoproj.io/v1alpha1/Rollout"):
    [reference] = parse_kinds(text)
    return await ChosenKind(fake_context(api, time=time), reference).find()


@pytest.mark.parametrize(
    ("served", "found"),
    [
        pytest.param([ROLLOUTS], WorkloadKind(ROLLOUTS), id="served"),
        pytest.param([], None, id="not served"),
        pytest.param([Resource("argoproj.io", "v1", "rollouts", "Rollout")], None, id="served at another version"),
        pytest.param([CLUSTER_WIDE], None, id="not namespaced"),
    ],
)
async def test_a_chosen_kind_is_looked_up_by_group_version_and_kind(served, found):
    """The plural is the API server's business."""
    api = FakeApiServer()
    for resource in served:
        api.serve(resource)

    assert await find(api) == found


async def test_a_chosen_kind_may_have_its_template_at_another_path():
    """As the setting names it."""
    api = FakeApiServer()
    api.serve(ROLLOUTS)

    assert await find(api, text="argoproj.io/v1alpha1/Rollout=spec.workload.pods") == WorkloadKind(ROLLOUTS, OTHER_PATH)


async def test_a_lookup_that_fails_raises():
    """Then it is unknown whether there are objects to restart."""
    api = FakeApiServer()
    api.fail("discovery", "/apis/argoproj.io/v1alpha1", status=503)

    with pytest.raises(Unavailable):
        await find(api)


async def test_a_kind_that_is_not_served_is_logged_when_that_begins_and_ends(caplog):
    """Not in each pass."""
    caplog.set_level(logging.INFO)
    api, time = FakeApiServer(), FakeTime()
    chosen = ChosenKind(fake_context(api, time=time), *parse_kinds("argoproj.io/v1alpha1/Rollout"))

    await chosen.find()
    await chosen.find()
    time.advance(90)
    api.serve(ROLLOUTS)
    await chosen.find()
    await chosen.find()

    named = "kind argoproj.io/v1alpha1/Rollout, which KEYTURN_RESTART_KINDS names,"
    assert caplog.messages == [
        f"{named} is not served by the API server",
        f"{named} can be restarted again after 90 s",
    ]
    assert caplog.records[0].about["kind"] == "argoproj.io/v1alpha1/Rollout"
