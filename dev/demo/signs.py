"""What the story waits for: predicates over single events of a watch."""

from collections.abc import Callable
from typing import Any

Manifest = dict[str, Any]
Sign = Callable[[str, Manifest], bool]
"""Takes the kind of an event (ADDED, MODIFIED, DELETED) and the object."""

_OWED = "keyturn.dev/restart-owed"
_RESTARTED = "operator.1password.io/last-restarted"
_OUR_REVISION = "keyturn.dev/revision"
_REVISION = "deployment.kubernetes.io/revision"


def named(name: str) -> Sign:
    """The object is there."""
    return lambda kind, manifest: kind != "DELETED" and manifest["metadata"]["name"] == name


def deleted(name: str) -> Sign:
    """The object is gone."""
    return lambda kind, manifest: kind == "DELETED" and manifest["metadata"]["name"] == name


def ready(version: str) -> Sign:
    """A OnePasswordItem is ready and says that its Secret holds this version."""

    def seen(_: str, manifest: Manifest) -> bool:
        status = manifest.get("status", {})
        conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
        return conditions.get("Ready") == "True" and status.get("itemVersion") == version

    return seen


def has_key(key: str) -> Sign:
    """A Secret has a key."""
    return lambda _, manifest: key in manifest.get("data", {})


def holds(password: str) -> Sign:
    """A Secret holds this password, given as it is encoded there."""
    return lambda _, manifest: manifest.get("data", {}).get("password") == password


def holds_other(password: str) -> Sign:
    """A Secret holds a password, and another than this one."""
    return lambda _, manifest: manifest.get("data", {}).get("password") not in {None, password}


def owes_nothing(_: str, manifest: Manifest) -> bool:
    """A Secret owes no restart."""
    return _OWED not in manifest["metadata"].get("annotations", {})


def restarted_after(stamp: str) -> Sign:
    """A Deployment's pod template carries another restart than this one."""
    return lambda _, manifest: restart_stamp(manifest) not in {"", stamp}


def restart_stamp(deployment: Manifest) -> str:
    """What a Deployment's pod template says of its last restart; empty if there was none."""
    annotations = deployment["spec"]["template"]["metadata"].get("annotations", {})
    return str(annotations.get(_RESTARTED, ""))


def carries_revision(number: int) -> Sign:
    """A Deployment's pod template was restarted for this revision of one Secret."""

    def seen(_: str, manifest: Manifest) -> bool:
        annotations = manifest["spec"]["template"]["metadata"].get("annotations", {})
        return str(annotations.get(_OUR_REVISION, "")).endswith(f".{number}")

    return seen


def rolls_out(revision: str) -> Sign:
    """A ReplicaSet or Deployment is at this revision."""
    return lambda _, manifest: manifest["metadata"].get("annotations", {}).get(_REVISION) == revision


def event(reason: str) -> Sign:
    """An Event gives this reason."""
    return lambda _, manifest: manifest.get("reason") == reason
