"""The API server that unit tests use answers as a real one does, as far as the operator relies on it."""

import pytest

from keyturn.cluster import (
    ALL_NAMESPACES,
    DEPLOYMENTS,
    ONEPASSWORD_ITEMS,
    SECRETS,
    AlreadyExists,
    Conflict,
    Invalid,
    NotFound,
    Resource,
    TooManyRequests,
    Unavailable,
    find_resource,
)
from keyturn.core.managed_fields import data_owners, taken_over
from support.fake_api import FakeApiServer

DATA = {"password": "MQ=="}


def secret(name="login", **members):
    return {"metadata": {"namespace": "app", "name": name}, "data": DATA, **members}


@pytest.fixture
def api():
    return FakeApiServer()


def apply(api, body, *, manager="keyturn", **more):
    return api.apply(SECRETS, "app", "login", body, field_manager=manager, **more)


async def test_an_apply_creates_owns_and_changes_nothing_the_second_time(api):
    """The operator's steady state relies on an equal apply that moves no resourceVersion."""
    first = await apply(api, {"data": DATA})
    second = await apply(api, {"data": DATA})

    assert first == second
    assert set(first) == {"apiVersion", "kind", "metadata"}
    assert data_owners(first["metadata"]["managedFields"]) == {"keyturn": {"password"}}
    assert [call.verb for call in api.writes] == ["apply", "apply"]


async def test_an_apply_removes_what_it_alone_owned(api):
    """Keys of another manager survive, also a forced apply."""
    await apply(api, {"data": {"a": "MQ==", "b": "MQ=="}})
    api.edit(SECRETS, "app", "login", {"data": {"c": "Mg=="}})
    await apply(api, {"data": {"a": "MQ=="}})

    found = await api.get(SECRETS, "app", "login")
    assert found["data"] == {"a": "MQ==", "c": "Mg=="}
    assert data_owners(found["metadata"]["managedFields"]) == {"keyturn": {"a"}, "kubectl": {"c"}}


async def test_an_apply_takes_a_foreign_edit_back_only_by_force(api):
    """What a repair does."""
    await apply(api, {"data": DATA})
    api.edit(SECRETS, "app", "login", {"data": {"password": "Mg=="}})

    with pytest.raises(Conflict) as conflict:
        await api.apply_without_force(SECRETS, "app", "login", {"data": DATA}, field_manager="keyturn")
    assert [cause.field for cause in conflict.value.causes] == [".data.password"]
    await apply(api, {"data": DATA})
    assert api.find(SECRETS, "app", "login")["data"] == DATA


async def test_owners_and_annotations_are_owned_one_by_one(api):
    """Two managers may each have their own."""
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "1"}
    await apply(api, {"metadata": {"annotations": {"a": "1"}, "ownerReferences": [owner]}})
    patch = {"metadata": {"annotations": {"b": "2"}, "ownerReferences": [owner, {**owner, "uid": "2"}]}}
    api.edit(SECRETS, "app", "login", patch)
    await apply(api, {"data": DATA})

    metadata = api.find(SECRETS, "app", "login")["metadata"]
    assert metadata["annotations"] == {"b": "2"}
    assert [each["uid"] for each in metadata["ownerReferences"]] == ["2"]


async def test_a_patch_of_the_managed_fields_moves_the_ownership(api):
    """How the operator adopts a Secret: the next apply then removes the keys that another manager left."""
    found = api.add(SECRETS, secret(data={"password": "MQ==", "stale": "MQ=="}), manager="onepassword-operator")
    fields = taken_over(found["metadata"]["managedFields"], found["data"])
    operations = [{"op": "replace", "path": "/metadata/managedFields", "value": fields}]

    answer = await api.json_patch(SECRETS, "app", "login", operations, field_manager="keyturn")
    assert data_owners(answer["metadata"]["managedFields"]) == {"keyturn": {"password", "stale"}}
    await apply(api, {"data": DATA})
    assert api.find(SECRETS, "app", "login")["data"] == DATA


async def test_a_create_meets_an_object_of_that_name(api):
    """So a foreign Secret is not taken for a new one."""
    await api.create(SECRETS, "app", "login", {"data": DATA}, field_manager="keyturn")

    with pytest.raises(AlreadyExists):
        await api.create(SECRETS, "app", "login", {"data": DATA}, field_manager="keyturn")
    assert len(api.writes) == 1
    assert api.count("create", SECRETS) == 2


@pytest.mark.parametrize("precondition", [{"uid": "another"}, {"resourceVersion": "1"}])
async def test_preconditions_hold_for_every_write(api, precondition):
    """An object that moved, or was made again, is not written."""
    api.add(SECRETS, secret())
    body = {"metadata": {**precondition, "annotations": {"a": "1"}}}

    with pytest.raises(Conflict):
        await apply(api, body)
    with pytest.raises(Conflict):
        await api.merge_patch(SECRETS, "app", "login", body, field_manager="keyturn")
    assert api.writes == []


@pytest.mark.parametrize("resource", [SECRETS, Resource("unknown.dev", "v1", "things", "Thing")])
async def test_what_is_not_there_is_not_found(api, resource):
    """An object, or its whole kind."""
    with pytest.raises(NotFound):
        await api.get(resource, "app", "login")
    with pytest.raises(NotFound):
        await api.merge_patch(resource, "app", "login", {}, field_manager="keyturn")


async def test_a_merge_patch_with_null_removes(api):
    """Also if there is nothing to remove, and then nothing moves."""
    before = api.add(
        SECRETS, secret(metadata={"namespace": "app", "name": "login", "annotations": {"a": "1", "b": "2"}})
    )
    patch = {"metadata": {"annotations": {"a": None, "c": None}}}

    first = await api.merge_patch(SECRETS, "app", "login", patch, field_manager="keyturn")
    second = await api.merge_patch(SECRETS, "app", "login", patch, field_manager="keyturn")

    assert first["metadata"]["annotations"] == {"b": "2"}
    assert before["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("operation", "left"),
    [
        pytest.param({"op": "test", "value": "1"}, {"a/b": "1"}, id="a test that holds"),
        pytest.param({"op": "remove"}, {}, id="a removal"),
        pytest.param({"op": "replace", "value": "2"}, {"a/b": "2"}, id="another value"),
        pytest.param({"op": "test", "value": "2"}, None, id="a test that fails"),
        pytest.param({"op": "remove", "path": "/metadata/annotations/c"}, None, id="a removal of nothing"),
        pytest.param({"op": "test", "path": "/metadata/labels/c", "value": ""}, None, id="a test of nothing"),
    ],
)
async def test_a_json_patch_is_carried_out_as_a_whole_or_refused(api, operation, left):
    """`Invalid` says that the object is not as the patch expects."""
    api.add(SECRETS, secret(metadata={"namespace": "app", "name": "login", "annotations": {"a/b": "1"}}))
    operations = [{"path": "/metadata/annotations/a~1b", **operation}]

    if left is None:
        with pytest.raises(Invalid):
            await api.json_patch(SECRETS, "app", "login", operations, field_manager="keyturn")
    else:
        answer = await api.json_patch(SECRETS, "app", "login", operations, field_manager="keyturn")
        assert answer["metadata"]["annotations"] == left


async def test_a_status_is_written_apart_from_everything_else(api):
    """And never created; its apply does not compare uids."""
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}, "metadata": {"uid": "another"}}

    def write():
        return api.apply(ONEPASSWORD_ITEMS, "app", "login", status, field_manager="status", subresource="status")

    with pytest.raises(NotFound):
        await write()
    api.add(ONEPASSWORD_ITEMS, {"metadata": {"namespace": "app", "name": "login"}, "spec": {"itemPath": "a"}})
    await write()
    patch = {"spec": {"itemPath": "b"}, "status": {"conditions": []}}
    await api.merge_patch(ONEPASSWORD_ITEMS, "app", "login", patch, field_manager="kubectl")

    found = api.find(ONEPASSWORD_ITEMS, "app", "login")
    assert found["status"] == status["status"]
    assert (found["spec"], found["metadata"]["generation"]) == ({"itemPath": "b"}, 2)


async def test_lists_are_selected_and_paged(api):
    """By namespace and label; with metadata alone if the request accepts no more."""
    for number in range(5):
        metadata = {"namespace": "app", "name": f"s{number}", "labels": {"ours": "yes" if number else "no"}}
        api.add(SECRETS, secret(metadata=metadata))
    api.add(SECRETS, secret(metadata={"namespace": "other", "name": "s9"}))
    api.largest_page = 2

    found = await api.list_metadata(SECRETS, "app", label_selector="ours=yes")

    assert [each["metadata"]["name"] for each in found] == ["s1", "s2", "s3", "s4"]
    assert all("data" not in each for each in found)
    assert len(await api.list(SECRETS, ALL_NAMESPACES)) == 6
    assert api.count("list", SECRETS) == 5


async def test_a_deletion_waits_for_finalizers(api):
    """And checks the preconditions that are sent."""
    added = api.add(SECRETS, secret(metadata={"namespace": "app", "name": "login", "finalizers": ["keep"]}))
    with pytest.raises(Conflict):
        await api.delete(SECRETS, "app", "login", uid="another")

    await api.delete(SECRETS, "app", "login", uid=added["metadata"]["uid"])
    assert api.find(SECRETS, "app", "login")["metadata"]["deletionTimestamp"]
    await api.merge_patch(SECRETS, "app", "login", {"metadata": {"finalizers": None}}, field_manager="keyturn")
    assert api.find(SECRETS, "app", "login") is None


async def test_the_type_of_a_secret_cannot_be_changed(api):
    """The one refusal by content that the operator handles."""
    api.add(SECRETS, secret(type="Opaque"))

    with pytest.raises(Invalid) as refused:
        await apply(api, {"type": "kubernetes.io/tls"})
    assert [cause.field for cause in refused.value.causes] == ["type"]


async def test_failures_come_in_the_order_of_the_script(api):
    """And concern only the requests that they are meant for."""
    api.add(SECRETS, secret())
    api.fail("get", SECRETS, "login", status=429, retry_after=7)
    api.fail("get", SECRETS, "login", status=0, times=2)

    with pytest.raises(TooManyRequests) as busy:
        await api.get(SECRETS, "app", "login")
    assert busy.value.retry_after == 7
    # The gateway reads once more when a connection breaks.
    with pytest.raises(Unavailable):
        await api.get(SECRETS, "app", "login")
    assert (await api.get(SECRETS, "app", "login"))["data"] == DATA
    assert [call.status for call in api.calls] == [429, 0, 0, 200]


async def test_a_write_may_be_carried_out_and_its_answer_lost(api):
    """The error does not say which."""
    api.fail("apply", SECRETS, status=0, applied=True)

    with pytest.raises(Unavailable):
        await apply(api, {"data": DATA})
    assert api.find(SECRETS, "app", "login")["data"] == DATA


async def test_another_client_may_write_first(api):
    """Races are played by a callback."""
    api.add(DEPLOYMENTS, {"metadata": {"namespace": "app", "name": "web", "resourceVersion": "7"}})
    api.before = lambda call: api.edit(DEPLOYMENTS, "app", "web", {}) if call.verb == "patch" else None

    with pytest.raises(Conflict):
        await api.merge_patch(
            DEPLOYMENTS, "app", "web", {"metadata": {"resourceVersion": "7"}}, field_manager="keyturn"
        )


async def test_a_kind_is_served_from_the_moment_of_its_definition(api):
    """Discovery and objects alike."""
    rollouts = Resource("argoproj.io", "v1alpha1", "rollouts", "Rollout")
    where = {"group": rollouts.group, "version": rollouts.version, "kind": rollouts.kind}
    assert await find_resource(api, **where) is None

    api.serve(rollouts)

    assert await find_resource(api, **where) == rollouts
    assert await api.list(rollouts, "app") == []
