"""Who may read Secrets, by RBAC."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.rbac import READING_VERBS, RbacSubject, read_rights, readers_of
from keyturn.core.request import Key

DB = Key("team-a", "db")


def role(name, *rules, namespace="team-a"):
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"metadata": metadata, "rules": list(rules)}


def rule(verbs, resources=("secrets",), groups=("",), names=None):
    given = {"apiGroups": list(groups), "resources": list(resources), "verbs": list(verbs)}
    return given if names is None else {**given, "resourceNames": names}


def binding(name, role_name, *subjects, namespace="team-a", kind="Role"):
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    subjects = subjects or ({"kind": "User", "name": "alice"},)
    return {"metadata": metadata, "roleRef": {"kind": kind, "name": role_name}, "subjects": list(subjects)}


def readers(secret=DB, **objects):
    kinds = ("roles", "cluster_roles", "role_bindings", "cluster_role_bindings")
    return list(readers_of([secret], read_rights(**{kind: objects.get(kind, ()) for kind in kinds})))


def verbs_by(given):
    """The verbs that one rule gives alice on the Secret."""
    found = readers(roles=[role("r", given)], role_bindings=[binding("b", "r")])
    return found[0].verbs if found else ()


@pytest.mark.parametrize(
    ("given", "verbs"),
    [
        (rule(["get"]), ("get",)),
        (rule(["watch", "list", "get"]), ("get", "list", "watch")),
        (rule(["patch", "update", "delete"]), ("patch",)),
        (rule(["update", "create", "delete", "deletecollection"]), ()),
        (rule(["*"]), READING_VERBS),
        (rule(["get"], ["*"]), ("get",)),
        (rule(["get"], groups=["*"]), ("get",)),
        (rule(["get"], groups=["apps"]), ()),
        (rule(["get"], ["configmaps", "pods"]), ()),
        (rule(["get"], ["secrets/status"]), ()),
        (rule(["get"], names=["db"]), ("get",)),
        (rule(["get"], names=["db2"]), ()),
        (rule(["get"], names=[]), ("get",)),
        ({"nonResourceURLs": ["*"], "verbs": ["get"]}, ()),
        ({}, ()),
    ],
    ids=str,
)
def test_what_a_rule_says_of_a_secret(given, verbs):
    """As the API server reads it."""
    assert verbs_by(given) == verbs


@given(st.lists(st.sampled_from([rule(["get"]), rule(["list"], names=["db"]), rule(["watch"], names=["x"])])))
def test_rules_are_added_together(rules):
    """One more never takes away, and their order is irrelevant."""
    found = readers(roles=[role("r", *rules)], role_bindings=[binding("b", "r")])
    singly = {verb for each in rules for verb in verbs_by(each)}

    assert {verb for each in found for verb in each.verbs} == singly


def test_a_binding_counts_in_its_namespace():
    """Also if its rules are those of a ClusterRole; a ClusterRoleBinding counts in all."""
    objects = {
        "cluster_roles": [role("all", rule(["get"]), namespace="")],
        "role_bindings": [binding("here", "all", kind="ClusterRole")],
        "cluster_role_bindings": [binding("everywhere", "all", namespace="", kind="ClusterRole")],
    }

    assert [each.by for each in readers(**objects)] == [
        "RoleBinding team-a/here",
        "ClusterRoleBinding everywhere",
    ]
    assert [each.by for each in readers(Key("team-b", "db"), **objects)] == ["ClusterRoleBinding everywhere"]


def test_a_role_of_another_namespace_gives_nothing():
    """It only has the same name."""
    assert readers(roles=[role("r", rule(["get"]), namespace="team-b")], role_bindings=[binding("b", "r")]) == []


def test_a_binding_without_its_role_or_subjects_gives_nothing():
    """Both are legal."""
    orphan = binding("b", "gone")
    nobody = {**binding("b", "r"), "subjects": None}

    assert readers(roles=[role("r", rule(["get"]))], role_bindings=[orphan, nobody]) == []


def test_every_subject_is_named():
    """A service account is the same one if it is named as the user that it is."""
    subjects = (
        {"kind": "User", "name": "alice"},
        {"kind": "Group", "name": "system:authenticated"},
        {"kind": "ServiceAccount", "name": "ci", "namespace": "team-b"},
        {"kind": "User", "name": "system:serviceaccount:team-b:ci"},
        {"kind": "User", "name": "system:serviceaccount:odd"},
    )
    found = readers(roles=[role("r", rule(["get"]))], role_bindings=[binding("b", "r", *subjects)])

    assert [str(each.subject) for each in found] == [
        "User alice",
        "Group system:authenticated",
        "ServiceAccount team-b/ci",
        "ServiceAccount team-b/ci",
        "User system:serviceaccount:odd",
    ]
    assert found[2].subject == RbacSubject("ServiceAccount", "team-b", "ci")
