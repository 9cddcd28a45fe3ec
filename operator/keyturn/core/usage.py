"""Which keys of which Secrets the pods of a workload use, and which of them the pods cannot do without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from keyturn.core.keys import ALL_KEYS
from keyturn.core.workloads import secret_asked_for

_PULL_KEYS = frozenset({".dockerconfigjson", ".dockercfg"})
"""The only keys that the kubelet reads of an image pull secret."""

_WHOLE_IN_VOLUMES = (
    ("azureFile", "secretName"),
    ("cephfs", "secretRef"),
    ("cinder", "secretRef"),
    ("csi", "nodePublishSecretRef"),
    ("flexVolume", "secretRef"),
    ("iscsi", "secretRef"),
    ("rbd", "secretRef"),
    ("scaleIO", "secretRef"),
    ("storageos", "secretRef"),
)
"""Volumes whose driver gets a whole Secret; which of its keys it uses is unknown."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """KeySet of one Secret.

    Attributes:
        names: of the keys; None for all that the Secret has and will have.
    """

    names: frozenset[str] | None = None

    def __contains__(self, key: str) -> bool:
        return self.names is None or key in self.names or (key == ALL_KEYS and bool(self.names))

    def __or__(self, other: KeySet) -> KeySet:
        if self.names is None or other.names is None:
            return ALL
        return KeySet(self.names | other.names)


ALL: Final = KeySet()
"""Every key, whatever its name."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What pods require of one Secret: without it they do not start, or start with nothing.

    Attributes:
        names: of keys to which they refer one by one, and not as optional.
        whole: whether they use the Secret as a whole, and not as optional. Which of its keys they cannot do without is unknown,
            so only a Secret without any key leaves them nothing.
    """

    names: frozenset[str] = frozenset()
    whole: bool = False

    def __or__(self, other: Requirement) -> Requirement:
        return Requirement(self.names | other.names, self.whole or other.whole)

    def unmet(self, gone: frozenset[str], *, empty: bool) -> frozenset[str]:
        """Which of the keys that are gone make new pods fail.

        Args:
            gone: keys that the Secret had and has no longer.
            empty: whether the Secret has no key at all.
        """
        return gone if self.whole and empty else gone & self.names


class _Reference(NamedTuple):
    """One reference of a pod template to a Secret; the name is of any type in a custom resource."""

    name: Any
    keys: KeySet
    required: bool


def secrets_used(pod_template: Mapping[str, Any], annotations: Mapping[str, str]) -> dict[str, KeySet]:
    """The Secrets that a workload uses, by name, with the keys it uses of each.

    A reference counts whether or not it is optional. A value of a shape that the API does not allow, which a custom
    resource may hold, refers to nothing. Of a Secret that the workload requests by annotations, all keys count.

    Args:
        pod_template: of the workload.
        annotations: of the workload itself.
    """
    used: dict[str, KeySet] = {}
    asked_for = secret_asked_for(annotations, template_annotations(pod_template))
    for name, keys, _ in (_Reference(asked_for, ALL, required=False), *_references(_member(pod_template, "spec"))):
        if isinstance(name, str) and name:
            used[name] = used[name] | keys if name in used else keys
    return used


def secrets_required(pod_template: Mapping[str, Any]) -> dict[str, Requirement]:
    """What the pods of a workload require of Secrets, by the name of the Secret. An optional reference requires nothing.

    Nor does an image pull secret: the kubelet pulls without it.
    """
    required: dict[str, Requirement] = {}
    for reference in _references(_member(pod_template, "spec")):
        if reference.required and isinstance(reference.name, str) and reference.name:
            names = reference.keys.names
            one = Requirement(whole=True) if names is None else Requirement(names)
            required[reference.name] = required.get(reference.name, Requirement()) | one
    return required


def secrets_mounted(pod: Mapping[str, Any]) -> dict[str, KeySet]:
    """The Secrets that a pod mounts as files, by name, with the keys that it mounts of each."""
    mounted: dict[str, KeySet] = {}
    for volume in _each(_member(pod, "spec"), "volumes"):
        for name, keys, _ in _of_files(volume):
            if isinstance(name, str) and name:
                mounted[name] = mounted[name] | keys if name in mounted else keys
    return mounted


def template_annotations(pod_template: Mapping[str, Any]) -> dict[str, str]:
    """The annotations of a pod template. In a custom resource they may be of any shape; only text counts."""
    annotations = _member(_member(pod_template, "metadata"), "annotations")
    return {name: text for name, text in annotations.items() if isinstance(text, str)}


def _references(spec: Mapping[str, Any]) -> Iterator[_Reference]:
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in _each(spec, kind):
            yield from _of_container(container)
    for volume in _each(spec, "volumes"):
        yield from _of_volume(volume)
    for reference in _each(spec, "imagePullSecrets"):
        yield _Reference(reference.get("name"), KeySet(_PULL_KEYS), required=False)


def _of_container(container: Mapping[str, Any]) -> Iterator[_Reference]:
    for variable in _each(container, "env"):
        reference = _member(_member(variable, "valueFrom"), "secretKeyRef")
        keys = KeySet(frozenset({str(reference.get("key"))}))
        yield _Reference(reference.get("name"), keys, _is_required(reference))
    for source in _each(container, "envFrom"):
        reference = _member(source, "secretRef")
        yield _Reference(reference.get("name"), ALL, _is_required(reference))


def _of_files(volume: Mapping[str, Any]) -> Iterator[_Reference]:
    """The Secrets that the kubelet itself writes into files and keeps up to date."""
    secret = _member(volume, "secret")
    yield _Reference(secret.get("secretName"), _items(secret), _is_required(secret))
    for source in _each(_member(volume, "projected"), "sources"):
        secret = _member(source, "secret")
        yield _Reference(secret.get("name"), _items(secret), _is_required(secret))


def _of_volume(volume: Mapping[str, Any]) -> Iterator[_Reference]:
    yield from _of_files(volume)
    for kind, member in _WHOLE_IN_VOLUMES:
        reference = _member(volume, kind).get(member)
        name = reference.get("name") if isinstance(reference, Mapping) else reference
        yield _Reference(name, ALL, required=True)


def _is_required(reference: Mapping[str, Any]) -> bool:
    return reference.get("optional") is not True


def _items(source: Mapping[str, Any]) -> KeySet:
    """A volume without `items` holds all keys of its Secret, including those that are added later."""
    items = list(_each(source, "items"))
    return KeySet(frozenset(str(item.get("key")) for item in items)) if items else ALL


def _member(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    member = holder.get(name)
    return member if isinstance(member, Mapping) else {}


def _each(holder: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    members = holder.get(name)
    if isinstance(members, list):
        yield from (member for member in members if isinstance(member, Mapping))
