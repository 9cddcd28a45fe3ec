"""The gateway's requests, and the errors of those that fail."""

import pytest
from cluster_fakes import ScriptedTransport, answer, status

from keyturn.cluster.errors import Gone, Invalid, NotFound, NotLeading, Unavailable
from keyturn.cluster.gateway import Cluster
from keyturn.cluster.resources import ALL_NAMESPACES, CRDS, DEPLOYMENTS, ONEPASSWORD_ITEMS, SECRETS
from keyturn.cluster.transport import Request, TransportError
from support.fake_time import FakeTime

DOWN = TransportError("ClientConnectorError: Cannot connect to host kubernetes:443")
LATE = TransportError("no answer in time", timed_out=True)
ONE, TWO = {"metadata": {"name": "one"}}, {"metadata": {"name": "two"}}
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


class Called:
    """A cluster over a scripted API server, with its requests and what it counted."""

    def __init__(self, *script):
        self.transport = ScriptedTransport(*(script or [answer({"kind": "X", "metadata": {}})]))
        self.counted = []
        self.cluster = Cluster(self.transport, observer=lambda *what: self.counted.append(what[:3]), time=FakeTime())

    @property
    def request(self):
        """The only request."""
        [request] = self.transport.requests
        return request


async def test_apply_is_a_forced_patch_of_a_complete_object():
    """Kind, name and namespace are filled in, so that no caller can send a body for another object by accident."""
    called = Called()
    body = {"metadata": {"labels": {"a": "b"}}, "data": {"k": "dg=="}}
    await called.cluster.apply(SECRETS, "apps", "login", body, field_manager="keyturn")

    request = called.request
    assert (request.method, request.path) == ("PATCH", "/api/v1/namespaces/apps/secrets/login")
    assert request.query == {"fieldManager": "keyturn", "force": "true"}
    assert request.content_type == "application/apply-patch+yaml"
    assert request.accept == METADATA
    assert request.body == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": "apps", "labels": {"a": "b"}},
        "data": {"k": "dg=="},
    }
    assert body["metadata"] == {"labels": {"a": "b"}}
    assert called.counted == [("apply", "secrets", 200)]


async def test_apply_reaches_a_subresource():
    """A status has a path of its own."""
    called = Called()
    await called.cluster.apply(
        ONEPASSWORD_ITEMS, "apps", "login", {"status": {}}, field_manager="s", subresource="status"
    )

    assert called.request.path == "/apis/onepassword.com/v1/namespaces/apps/onepassworditems/login/status"


async def test_create_posts_to_the_collection():
    """The name travels in the body."""
    called = Called()
    await called.cluster.create(SECRETS, "apps", "login", {"type": "Opaque"}, field_manager="keyturn")

    assert (called.request.method, called.request.path) == ("POST", "/api/v1/namespaces/apps/secrets")
    assert called.request.body["metadata"] == {"name": "login", "namespace": "apps"}
    assert called.request.accept == METADATA
    assert called.counted == [("create", "secrets", 200)]


async def test_patches_name_their_kind():
    """A merge patch and a JSON patch differ in content type only."""
    called = Called(*[answer({"metadata": {}})] * 2)
    await called.cluster.merge_patch(DEPLOYMENTS, "apps", "web", {"spec": {}}, field_manager="r")
    await called.cluster.json_patch(DEPLOYMENTS, "apps", "web", [{"op": "test"}], field_manager="r")

    merge, patch = called.transport.requests
    assert merge.content_type == "application/merge-patch+json"
    assert patch.content_type == "application/json-patch+json"
    assert merge.body == {"spec": {}}
    assert patch.body == [{"op": "test"}]
    assert merge.accept == patch.accept == METADATA
    assert called.counted == [("patch", "deployments.apps", 200)] * 2


async def test_cluster_wide_objects_have_no_namespace():
    """Neither in the path nor in the body."""
    called = Called()
    await called.cluster.apply(CRDS, None, "x.example.com", {}, field_manager="t")

    assert called.request.path == "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x.example.com"
    assert called.request.body["metadata"] == {"name": "x.example.com"}


async def test_a_list_is_read_page_by_page():
    """Each request for a page carries the token of the page before."""
    called = Called(
        answer({"metadata": {"continue": "more"}, "items": [ONE]}), answer({"metadata": {}, "items": [TWO]})
    )

    assert await called.cluster.list(SECRETS, ALL_NAMESPACES, label_selector="a=b") == [ONE, TWO]
    first, second = called.transport.requests
    assert first.path == "/api/v1/secrets"
    assert first.query == {"limit": "500", "labelSelector": "a=b"}
    assert second.query == {"limit": "500", "labelSelector": "a=b", "continue": "more"}
    assert first.accept == "application/json"


async def test_after_an_expired_page_token_the_list_has_one_page():
    """As in client-go; a second refusal is an error."""
    first = answer({"metadata": {"continue": "more"}, "items": [ONE]})
    called = Called(first, status(410, "Expired"), answer({"metadata": {}, "items": [ONE, TWO]}))
    assert await called.cluster.list(SECRETS, "apps") == [ONE, TWO]
    assert "limit" not in called.transport.requests[2].query

    called = Called(first, status(410, "Expired"), status(410, "Expired"))
    with pytest.raises(Gone):
        await called.cluster.list(SECRETS, "apps")


async def test_a_get_survives_one_broken_connection():
    """The server may have closed a kept-alive connection; a second failure is an error."""
    called = Called(DOWN, answer({"metadata": {}}))
    assert await called.cluster.get(SECRETS, "apps", "login") == {"metadata": {}}

    called = Called(DOWN, DOWN, answer({}))
    with pytest.raises(Unavailable) as failed:
        await called.cluster.get(SECRETS, "apps", "login")
    assert failed.value.reason == "NoConnection"
    assert called.counted == [("get", "secrets", 0)]


async def test_a_get_that_took_too_long_is_not_sent_again():
    """The deadline is for the whole call."""
    called = Called(LATE, answer({}))
    with pytest.raises(Unavailable) as failed:
        await called.cluster.get(SECRETS, "apps", "login")

    assert failed.value.reason == "Timeout"
    assert len(called.transport.requests) == 1


@pytest.mark.parametrize("verb", ["apply", "create", "merge_patch"])
async def test_a_write_is_sent_once(verb):
    """It may have been applied although no response arrived."""
    called = Called(DOWN, answer({}))
    with pytest.raises(Unavailable):
        await getattr(called.cluster, verb)(SECRETS, "apps", "login", {}, field_manager="t")

    assert len(called.transport.requests) == 1


async def test_a_fenced_write_is_no_outage():
    """Nothing was sent, and a retry would be of no use."""
    called = Called(TransportError("the Lease is not ours", fenced=True))

    with pytest.raises(NotLeading, match="the Lease is not ours") as fenced:
        await called.cluster.apply(SECRETS, "apps", "login", {}, field_manager="keyturn")

    assert not isinstance(fenced.value, Unavailable)
    assert called.counted == [("apply", "secrets", 0)]


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b"[]", b""])
async def test_a_success_without_an_object_is_an_error(body):
    """A proxy's login page with status 200 is no response of an API server."""
    called = Called(answer(body))
    with pytest.raises(Unavailable) as failed:
        await called.cluster.get(SECRETS, "apps", "login")

    assert failed.value.reason == "BadAnswer"


async def test_errors_have_no_cause_and_no_context():
    """Either could keep a body."""
    for script in (status(422, "Invalid"), answer(b"<html>"), DOWN):
        called = Called(script, script)
        with pytest.raises((Invalid, Unavailable)) as failed:
            await called.cluster.get(SECRETS, "apps", "login")
        assert failed.value.__cause__ is None
        assert failed.value.__context__ is None


async def test_leaving_closes_the_transport():
    """The context manager owns it."""
    called = Called()
    async with called.cluster:
        pass

    assert called.transport.closed


async def test_no_repr_shows_a_body():
    """Tracebacks may print requests and responses."""
    request = Request("PATCH", "/x", body={"data": "canary"})

    assert "canary" not in repr(request)
    assert "canary" not in repr(answer({"data": "canary"}))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a%2fb", "a?b", "a#b", "a\nb", None])
async def test_a_name_that_would_address_another_path_is_refused(name):
    """An empty name would address the whole collection, and dots its parent."""
    called = Called()
    with pytest.raises(ValueError, match="no usable value"):
        await called.cluster.get(SECRETS, "apps", name)

    assert called.transport.requests == []


async def test_an_error_names_the_path_template():
    """Names stay out of errors: the caller knows them, and metrics need none."""
    called = Called(status(404, "NotFound", 'secrets "login" not found'))
    with pytest.raises(NotFound) as failed:
        await called.cluster.get(SECRETS, "apps", "login")

    assert str(failed.value) == "GET /api/v1/namespaces/{namespace}/secrets/{name}: 404 NotFound: not found"
