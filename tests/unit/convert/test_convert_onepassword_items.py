"""A OnePasswordItem becomes the KeyturnSecret of the same path."""

import pytest

from keyturn.convert.errors import NotConvertible
from keyturn.convert.onepassword_items import convert_onepassword_item


def item(metadata=None, spec=None, **more):
    return {
        "apiVersion": "onepassword.com/v1",
        "kind": "OnePasswordItem",
        "metadata": {"name": "web", **(metadata or {})},
        "spec": {"itemPath": "vaults/Home/items/web", **(spec or {})},
        **more,
    }


def test_path_type_and_metadata_stay():
    """What the cluster and operators wrote goes."""
    manifest = item(
        {
            "namespace": "shop",
            "labels": {"team": "red"},
            "annotations": {"operator.1password.io/auto-restart": "true"},
            "finalizers": ["onepassword.com/finalizer.secret"],
        },
        type="kubernetes.io/basic-auth",
        status={"conditions": []},
    )
    assert convert_onepassword_item(manifest).manifest == {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "KeyturnSecret",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "labels": {"team": "red"},
            "annotations": {"operator.1password.io/auto-restart": "true"},
        },
        "spec": {"itemPath": "vaults/Home/items/web", "secret": {"type": "kubernetes.io/basic-auth"}},
    }
    assert convert_onepassword_item(item(type="")).manifest["spec"] == {"itemPath": "vaults/Home/items/web"}


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        (item(spec={"itemPath": "op://a/b"}), "spec.itemPath: the item path 'op://a/b' must be of the form"),
        (item(spec={"itemPath": None}), "spec.itemPath: a text must stand here"),
        (item(spec={"keys": {"a": "b"}}), "spec.keys: a field that the converter does not know"),
        (item({"name": ""}), "metadata.name: a text must stand here"),
        (item(type="bootstrap.kubernetes.io/token"), "the type of the Secret: Kubernetes itself uses"),
        ({"kind": "OnePasswordItem"}, "spec.itemPath: a text must stand here"),
    ],
)
def test_what_is_none_is_named(manifest, why):
    """One line, no traceback."""
    with pytest.raises(NotConvertible) as refused:
        convert_onepassword_item(manifest)
    assert str(refused.value).startswith(why)
