"""The gateway on a real API server: what each verb does, and how each refusal arrives."""

import base64
import secrets

import pytest
from kubernetes.aio.client import Configuration

from keyturn.cluster.access import Access
from keyturn.cluster.discovery import crd_served
from keyturn.cluster.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from keyturn.cluster.gateway import Cluster
from keyturn.cluster.resources import (
    ALL_NAMESPACES,
    CRDS,
    DEPLOYMENTS,
    NAMESPACES,
    ONEPASSWORD_ITEMS,
    SECRETS,
    Resource,
)
from support.accounts import kubeconfig_of_account

pytestmark = pytest.mark.cluster

CANARY = "canary-5f1d0c"
DATA = {"password": base64.b64encode(CANARY.encode()).decode()}


async def apply_secret(cluster, namespace, data=None, **arguments):
    return await cluster.apply(
        SECRETS, namespace, "login", {"data": DATA if data is None else data}, field_manager="keyturn", **arguments
    )


async def test_an_apply_that_changes_nothing_keeps_the_resource_version(cluster, namespace):
    """Steady state costs no write in etcd."""
    first = await apply_secret(cluster, namespace)
    second = await apply_secret(cluster, namespace)

    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


async def test_writes_answer_without_values(cluster, namespace):
    """Create, apply and both patches of a Secret return metadata only."""
    created = await cluster.create(SECRETS, namespace, "login", {"data": DATA}, field_manager="keyturn")
    applied = await apply_secret(cluster, namespace)
    merged = await cluster.merge_patch(SECRETS, namespace, "login", {"type": "Opaque"}, field_manager="keyturn")
    patched = await cluster.json_patch(
        SECRETS, namespace, "login", [{"op": "test", "path": "/type", "value": "Opaque"}], field_manager="keyturn"
    )

    for answer in (created, applied, merged, patched):
        assert answer["kind"] == "PartialObjectMetadata"
        assert set(answer) == {"apiVersion", "kind", "metadata"}
        assert answer["metadata"]["name"] == "login"


async def test_get_reads_everything_and_get_metadata_no_value(cluster, namespace):
    """These are the two ways to read one object."""
    await apply_secret(cluster, namespace)

    assert (await cluster.get(SECRETS, namespace, "login"))["data"] == DATA
    assert "data" not in await cluster.get_metadata(SECRETS, namespace, "login")


async def test_lists_cross_pages_and_honour_the_selector(cluster, namespace):
    """A list is complete with any page size, and holds only the selected objects."""
    for number in range(5):
        labels = {"app": "keyturn"} if number % 2 else {}
        await cluster.create(
            SECRETS, namespace, f"s{number}", {"metadata": {"labels": labels}, "data": DATA}, field_manager="keyturn"
        )

    pages = [page async for page in cluster.pages(SECRETS, namespace, size=2)]
    assert [len(page["items"]) for page in pages] == [2, 2, 1]
    assert len({page["metadata"]["resourceVersion"] for page in pages}) == 1
    found = await cluster.list_metadata(SECRETS, namespace, label_selector="app=keyturn")
    assert [item["metadata"]["name"] for item in found] == ["s1", "s3"]
    assert all("data" not in item for item in found)
    everywhere = await cluster.list(SECRETS, ALL_NAMESPACES, label_selector="app in (keyturn)")
    assert {"s1", "s3"} <= {item["metadata"]["name"] for item in everywhere}


async def test_apply_without_force_names_the_field_that_another_manager_owns(cluster, namespace):
    """A conflict names the field, and no value."""
    await apply_secret(cluster, namespace)

    other = base64.b64encode(b"other-canary").decode()
    with pytest.raises(Conflict) as refused:
        await cluster.apply_without_force(
            SECRETS, namespace, "login", {"data": {"password": other}}, field_manager="another"
        )

    assert refused.value.causes[0].field == ".data.password"
    assert "canary" not in str(refused.value)


async def test_a_second_create_already_exists(cluster, namespace):
    """409 on create is its own error."""
    await apply_secret(cluster, namespace)

    with pytest.raises(AlreadyExists):
        await cluster.create(SECRETS, namespace, "login", {}, field_manager="keyturn")


async def test_a_stale_resource_version_conflicts(cluster, namespace):
    """Optimistic locking works through the merge patch."""
    old = (await apply_secret(cluster, namespace))["metadata"]["resourceVersion"]
    await apply_secret(cluster, namespace, {})

    with pytest.raises(Conflict):
        await cluster.merge_patch(
            SECRETS, namespace, "login", {"metadata": {"resourceVersion": old}, "data": DATA}, field_manager="keyturn"
        )


async def test_a_uid_guards_every_write(cluster, namespace):
    """A write with the wrong uid is a Conflict and changes nothing, also if there is no object."""
    uid = {"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}}
    with pytest.raises(Conflict):
        await cluster.apply(SECRETS, namespace, "login", uid, field_manager="keyturn")
    await apply_secret(cluster, namespace)

    with pytest.raises(Conflict):
        await cluster.apply(SECRETS, namespace, "login", uid, field_manager="keyturn")
    with pytest.raises(Conflict):
        await cluster.merge_patch(SECRETS, namespace, "login", uid, field_manager="keyturn")

    present = (await cluster.get_metadata(SECRETS, namespace, "login"))["metadata"]
    guarded = {"metadata": {"uid": present["uid"]}, "data": DATA}
    applied = await cluster.apply(SECRETS, namespace, "login", guarded, field_manager="keyturn")
    assert applied["metadata"]["resourceVersion"] == present["resourceVersion"]
    assert "uid" not in str(applied["metadata"]["managedFields"])


async def test_a_resource_version_guards_no_missing_object(cluster, namespace):
    """An apply creates a missing object although it names a version; only a uid prevents that."""
    await cluster.apply(SECRETS, namespace, "login", {"metadata": {"resourceVersion": "1"}}, field_manager="keyturn")

    assert (await cluster.get_metadata(SECRETS, namespace, "login"))["metadata"]["resourceVersion"] != "1"


async def test_a_refused_token_is_unauthorized(api_server):
    """401 has an error of its own."""
    known = (await Access.load(kubeconfig=str(api_server.kubeconfig))).configuration
    stranger = Configuration(
        host=known.host, ssl_ca_cert=known.ssl_ca_cert, api_key={"BearerToken": "Bearer canary-token"}
    )
    async with Cluster.at(Access(stranger, in_cluster=False, namespace="default")) as cluster:
        with pytest.raises(Unauthorized) as refused:
            await cluster.get(SECRETS, "default", "login")

    assert "canary" not in str(refused.value)


async def test_an_unknown_authority_is_named(api_server):
    """The error names the certificate as the cause of the missing connection."""
    known = (await Access.load(kubeconfig=str(api_server.kubeconfig))).configuration
    async with Cluster.at(Access(Configuration(host=known.host), in_cluster=False, namespace="default")) as cluster:
        with pytest.raises(Unavailable, match="certificate verify failed"):
            await cluster.get(SECRETS, "default", "login")


async def test_a_failed_test_operation_is_invalid(cluster, namespace):
    """A JSON patch guards itself."""
    await apply_secret(cluster, namespace)

    with pytest.raises(Invalid):
        await cluster.json_patch(
            SECRETS, namespace, "login", [{"op": "test", "path": "/type", "value": "x"}], field_manager="keyturn"
        )


async def test_a_refused_secret_is_reported_by_field_and_reason_only(cluster, namespace):
    """The API server quotes the refused value in its text; the error does not."""
    with pytest.raises(Invalid) as refused:
        await apply_secret(cluster, namespace, {f"bad key {CANARY}": DATA["password"]})

    assert CANARY not in str(refused.value)
    assert CANARY not in repr(refused.value.causes)
    assert refused.value.__context__ is None
    assert refused.value.__cause__ is None

    with pytest.raises(Invalid) as refused:
        await apply_secret(cluster, namespace, {"password": "no base64: " + CANARY})
    assert CANARY not in str(refused.value)


async def test_a_secret_beyond_the_limit_is_refused_by_field(cluster, namespace):
    """More than 1 MiB of data is Invalid with the field's name; a request beyond the API server's limit is TooLarge."""
    with pytest.raises(Invalid) as refused:
        await apply_secret(cluster, namespace, {"file": base64.b64encode(bytes(1_100_000)).decode()})
    assert refused.value.causes[0].field == "data"
    assert refused.value.causes[0].reason == "FieldValueTooLong"

    with pytest.raises(TooLarge):
        await apply_secret(cluster, namespace, {"file": base64.b64encode(bytes(4_000_000)).decode()})


async def test_a_merge_patch_never_creates(cluster, namespace):
    """A restart of a deleted Deployment is NotFound."""
    with pytest.raises(NotFound):
        await cluster.merge_patch(DEPLOYMENTS, namespace, "gone", {"spec": {}}, field_manager="keyturn-restart")


async def test_a_status_apply_to_a_vanished_object_is_not_found(cluster, namespace, crds):
    """The status subresource never creates its object."""
    with pytest.raises(NotFound):
        await cluster.apply(
            ONEPASSWORD_ITEMS,
            namespace,
            "gone",
            {"status": {"observedGeneration": 1}},
            field_manager="keyturn-status",
            subresource="status",
        )


async def test_a_status_apply_that_changes_nothing_keeps_the_resource_version(cluster, namespace, crds):
    """A repeated status costs no write in etcd, either."""
    await cluster.create(
        ONEPASSWORD_ITEMS, namespace, "login", {"spec": {"itemPath": "vaults/v/items/i"}}, field_manager="user"
    )
    status = {"status": {"observedGeneration": 1}}
    versions = {
        (
            await cluster.apply(
                ONEPASSWORD_ITEMS, namespace, "login", status, field_manager="keyturn-status", subresource="status"
            )
        )["metadata"]["resourceVersion"]
        for _ in range(3)
    }

    assert len(versions) == 1


async def test_a_terminating_namespace_is_recognised(cluster):
    """A create in a namespace that is being deleted is Forbidden, with a cause that tells it from a missing right."""
    name = f"test-{secrets.token_hex(6)}"
    await cluster.create(NAMESPACES, None, name, {}, field_manager="tests")
    await cluster.create(
        SECRETS, name, "held", {"metadata": {"finalizers": ["keyturn.dev/test"]}}, field_manager="tests"
    )
    await cluster.delete(NAMESPACES, None, name)

    with pytest.raises(Forbidden) as refused:
        await apply_secret(cluster, name)
    assert refused.value.namespace_terminating

    await cluster.merge_patch(SECRETS, name, "held", {"metadata": {"finalizers": None}}, field_manager="tests")


async def test_a_missing_right_is_reported_in_the_authorizers_words(api_server, namespace, tmp_path):
    """Forbidden names user, verb, resource and namespace, for Secrets too."""
    api_server.kubectl("create", "serviceaccount", "nobody", "-n", namespace)
    nobody = kubeconfig_of_account(api_server.kubectl, "nobody", namespace=namespace, folder=tmp_path)

    async with Cluster.at(await Access.load(kubeconfig=str(nobody))) as stranger:
        with pytest.raises(Forbidden) as refused:
            await apply_secret(stranger, namespace)

    assert refused.value.message == (
        f'User "system:serviceaccount:{namespace}:nobody" cannot patch resource "secrets" in API group "" '
        f'in the namespace "{namespace}"'
    )


async def test_an_unserved_kind_is_known_as_such(cluster, crds):
    """Discovery lists the served kinds."""
    assert await crd_served(cluster)
    assert not await crd_served(cluster, Resource("onepassword.com", "v1", "others", "Other"))
    assert not await crd_served(cluster, Resource("nowhere.example", "v1", "others", "Other"))


async def test_cluster_wide_objects_need_no_namespace(cluster, crds):
    """A CRD is read by its name alone."""
    assert (await cluster.get(CRDS, None, "onepassworditems.onepassword.com"))["spec"]["group"] == "onepassword.com"
