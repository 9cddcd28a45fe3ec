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
