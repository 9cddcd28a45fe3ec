"""Paths, labels, and which kinds may be quoted."""

import pytest

from keyturn.cluster.resources import (
    ALL_NAMESPACES,
    DEPLOYMENTS,
    NAMESPACES,
    SECRETS,
    Resource,
    fill,
    namespaces_or_all,
)


def test_names_are_quoted_in_paths():
    """A name may hold characters that mean something else in a URL."""
    assert fill("/a/{namespace}/b/{name}", namespace="x", name="system:node é") == "/a/x/b/system%3Anode%20%C3%A9"


def test_unknown_kinds_are_not_quotable():
    """An error text about them might quote a value."""
    assert not Resource("example.com", "v1", "things", "Thing").quotable
    assert not SECRETS.quotable
    assert not DEPLOYMENTS.quotable


@pytest.mark.parametrize(
    ("resource", "options", "path"),
    [
        (SECRETS, {"name": True}, "/api/v1/namespaces/{namespace}/secrets/{name}"),
        (SECRETS, {"in_namespace": False}, "/api/v1/secrets"),
        (NAMESPACES, {"name": True}, "/api/v1/namespaces/{name}"),
        (
            DEPLOYMENTS,
            {"name": True, "subresource": "scale"},
            "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale",
        ),
    ],
    ids=["core", "all namespaces", "cluster-wide", "subresource"],
)
def test_each_kind_has_its_path(resource, options, path):
    """The core group and cluster-wide kinds have paths of another form."""
    assert resource.template(**options) == path


def test_no_namespaces_mean_all():
    """An empty setting serves the whole cluster."""
    assert namespaces_or_all(()) == (ALL_NAMESPACES,)
    assert namespaces_or_all(["apps", "blue"]) == ("apps", "blue")
