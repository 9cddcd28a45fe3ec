"""Who may read which Secrets, by the objects of RBAC: their rules are added together, and nothing takes away.

`patch` reads, too: the API server answers it with the whole object. What leads to a Secret by a detour is not counted: whoever may
start pods in its namespace, or act as somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from keyturn.core.request import Key

READING_VERBS: Final = ("get", "list", "watch", "patch")
"""Verbs whose answers hold the data of a Secret, in the order in which they are named."""

_ACCOUNT: Final = "system:serviceaccount:"


class RbacSubject(NamedTuple):
    """Whom a binding names.

    Attributes:
        kind: `User`, `Group` or `ServiceAccount`.
        namespace: of a service account; else empty.
        name: of the subject.
    """

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class SecretRule:
    """One rule of a role, reduced to what it says of Secrets.

    Attributes:
        verbs: that read, in the order of `READING_VERBS`.
        names: of the only Secrets; None for all.
    """

    verbs: tuple[str, ...]
    names: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class RoleBinding:
    """Subjects, and the rules that a binding gives them.

    Attributes:
        kind: `RoleBinding` or `ClusterRoleBinding`.
        namespace: in which the rules count; empty for all.
        name: of the binding.
    """

    kind: str
    namespace: str
    name: str
    subjects: tuple[RbacSubject, ...]
    rules: tuple[SecretRule, ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


class SecretReader(NamedTuple):
    """One subject that may read one Secret.

    Attributes:
        subject: who.
        secret: which.
        verbs: how.
        by: the object that gives that.
    """

    subject: RbacSubject
    secret: Key
    verbs: tuple[str, ...]
    by: str


def read_rights(
    *,
    roles: Iterable[Mapping[str, Any]],
    cluster_roles: Iterable[Mapping[str, Any]],
    role_bindings: Iterable[Mapping[str, Any]],
    cluster_role_bindings: Iterable[Mapping[str, Any]],
) -> tuple[RoleBinding, ...]:
    """The bindings that give anybody a right to read Secrets. Arguments are objects as the API server lists them."""
    rules = {(each["metadata"]["namespace"], each["metadata"]["name"]): _rules(each) for each in roles}
    cluster_rules = {each["metadata"]["name"]: _rules(each) for each in cluster_roles}
    found = []
    for kind, objects in (("RoleBinding", role_bindings), ("ClusterRoleBinding", cluster_role_bindings)):
        for each in objects:
            metadata, ref = each["metadata"], each.get("roleRef") or {}
            namespace = metadata.get("namespace", "")
            is_cluster_role = ref.get("kind") == "ClusterRole"
            name = ref.get("name", "")
            given = cluster_rules.get(name, ()) if is_cluster_role else rules.get((namespace, name), ())
            subjects = tuple(map(_subject, each.get("subjects") or ()))
            if given and subjects:
                found.append(RoleBinding(kind, namespace, metadata["name"], subjects, given))
    return tuple(found)


def readers_of(secrets: Iterable[Key], rights: Iterable[RoleBinding]) -> Iterator[SecretReader]:
    """Who may read these Secrets, by each object that says so."""
    rights = tuple(rights)
    for secret in secrets:
        for each in rights:
            if each.namespace not in {"", secret.namespace}:
                continue
            verbs = _verbs(each.rules, secret.name)
            if verbs:
                for subject in each.subjects:
                    yield SecretReader(subject, secret, verbs, str(each))


def _verbs(rules: Iterable[SecretRule], name: str) -> tuple[str, ...]:
    given = {verb for rule in rules if rule.names is None or name in rule.names for verb in rule.verbs}
    return tuple(verb for verb in READING_VERBS if verb in given)


def _rules(role: Mapping[str, Any]) -> tuple[SecretRule, ...]:
    return tuple(rule for each in role.get("rules") or () if (rule := _rule(each)) is not None)


def _rule(given: Mapping[str, Any]) -> SecretRule | None:
    groups, resources = given.get("apiGroups") or (), given.get("resources") or ()
    if not ({"", "*"} & set(groups) and {"secrets", "*"} & set(resources)):
        return None
    verbs = set(given.get("verbs") or ())
    reading = READING_VERBS if "*" in verbs else tuple(verb for verb in READING_VERBS if verb in verbs)
    names = given.get("resourceNames")
    return SecretRule(reading, frozenset(names) if names else None) if reading else None


def _subject(given: Mapping[str, Any]) -> RbacSubject:
    """A service account that is named as a user is the same one."""
    kind, name = given.get("kind", ""), given.get("name", "")
    namespace, colon, account = name.removeprefix(_ACCOUNT).partition(":")
    if kind == "User" and name.startswith(_ACCOUNT) and colon:
        return RbacSubject("ServiceAccount", namespace, account)
    return RbacSubject(kind, given.get("namespace", "") if kind == "ServiceAccount" else "", name)
