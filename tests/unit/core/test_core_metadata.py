"""The part of an object's metadata that is remembered."""

from keyturn.core.metadata import ObjectMeta


def test_the_annotation_of_kubectl_apply_is_not_remembered():
    """It holds the whole object again, including the values of a Secret that was created by hand."""
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": '{"data": {}}', "note": "x"}

    remembered = ObjectMeta.of({"metadata": {"name": "db", "annotations": annotations}})

    assert remembered.annotations == {"note": "x"}


def test_an_object_with_a_name_only_is_read():
    """Cluster-wide objects have no namespace, and may have no labels or annotations."""
    remembered = ObjectMeta.of({"metadata": {"name": "db"}})

    assert remembered.key == ("", "db")
    assert (remembered.annotations, remembered.labels, remembered.owner_references) == ({}, {}, ())
    assert remembered.deletion_timestamp is None


def test_metadata_is_read_as_it_is():
    """Each rule reads metadata in this form."""
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
