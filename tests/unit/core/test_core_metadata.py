"""What is remembered of any object's metadata."""

from keyturn.core.metadata import ObjectMeta


def test_what_kubectl_applied_is_not_remembered():
    """It holds the whole object once more: of a Secret made by hand, all its values."""
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": '{"data": {}}', "note": "x"}

    remembered = ObjectMeta.of({"metadata": {"name": "db", "annotations": annotations}})

    assert remembered.annotations == {"note": "x"}


def test_an_object_of_no_namespace_with_nothing_but_a_name_is_read():
    """A cluster's own objects have little more."""
    remembered = ObjectMeta.of({"metadata": {"name": "db"}})

    assert remembered.key == ("", "db")
    assert (remembered.annotations, remembered.labels, remembered.owner_references) == ({}, {}, ())
    assert remembered.deletion_timestamp is None


def test_metadata_is_read_as_it_is():
    """Every rule looks at it through this."""
    found = ObjectMeta.of(
        {
            "metadata": {
                "namespace": "app",
                "name": "db",
                "uid": "u",
                "resourceVersion": "7",
                "labels": {"a": "b"},
                "ownerReferences": [{"uid": "o"}],
                "managedFields": [{"manager": "m"}],
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "deletionTimestamp": "2026-01-02T00:00:00Z",
            }
        }
    )

    assert found == ObjectMeta(
        namespace="app",
        name="db",
        uid="u",
        resource_version="7",
        labels={"a": "b"},
        annotations={},
        owner_references=({"uid": "o"},),
        managed_fields=({"manager": "m"},),
        creation_timestamp="2026-01-01T00:00:00Z",
        deletion_timestamp="2026-01-02T00:00:00Z",
    )
