"""Whether a kind is served, and whether its status is pruned."""

import pytest
from cluster_fakes import answer, scripted_cluster, status

from keyturn.cluster.discovery import crd_served, find_resource, is_pruned
from keyturn.cluster.errors import Unavailable
from keyturn.cluster.resources import Resource
from support.fake_time import FakeTime

SERVED = answer({"resources": [{"name": "onepassworditems", "kind": "OnePasswordItem", "namespaced": True}]})


def schema(*members):
    properties = {"status": {"properties": {member: {} for member in members}}} if members else {}
    return answer({"components": {"schemas": {"com.onepassword.v1.OnePasswordItem": {"properties": properties}}}})


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        (SERVED, True),
        (answer({"resources": []}), False),
        (answer({"resources": [{"name": "items", "kind": "OnePasswordItem"}]}), False),
        (status(404, "NotFound"), False),
    ],
    ids=["served", "no kind", "another plural", "no group"],
)
async def test_a_kind_is_served_under_its_own_plural_only(served, expected):
    """Objects under another plural cannot be reached."""
    assert await crd_served(scripted_cluster(served)) is expected


async def test_a_failed_request_is_no_answer():
    """An API server in an outage must not look as if it did not serve the kind."""
    with pytest.raises(Unavailable):
        await crd_served(scripted_cluster(status(503, "ServiceUnavailable")))


async def test_a_kind_is_found_and_its_subresources_are_not():
    """Discovery lists both."""
    listed = [
        {"name": "rollouts/status", "kind": "Rollout", "namespaced": True},
        {"name": "rollouts", "kind": "Rollout", "namespaced": True},
    ]
    found = await find_resource(
        scripted_cluster(answer({"resources": listed})), group="argoproj.io", version="v1alpha1", kind="Rollout"
    )

    assert found == Resource("argoproj.io", "v1alpha1", "rollouts", "Rollout")


@pytest.mark.parametrize(
    ("published", "pruned"),
    [
        ([schema("observedGeneration")], False),
        ([schema("conditions"), schema("conditions", "observedGeneration")], False),
        ([schema("conditions")] * 30, True),
        ([status(403, "Forbidden")], False),
        ([status(404, "NotFound")], False),
        ([answer({})], False),
        ([schema()], True),
    ],
    ids=["known", "known a moment later", "unknown", "unreadable", "not published", "empty", "no status at all"],
)
async def test_a_member_is_pruned_if_the_schema_lacks_it_for_a_while(published, pruned):
    """The published schema follows a new CRD some seconds later."""
    script = published * 30 if len(published) == 1 else published

    assert await is_pruned(scripted_cluster(*script), "observedGeneration", time=FakeTime()) is pruned
