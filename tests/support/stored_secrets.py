"""Secrets as the API server keeps them: after a write of the operator, and after an edit by somebody else."""

from base64 import b64encode
from typing import Any

from keyturn.core.names import SECRET_MANAGER


def stored(
    manifest: dict[str, Any],
    *,
    by: str = SECRET_MANAGER,
    operation: str = "Apply",
    uid: str = "s-1",
    version: str = "10",
    time: str = "2026-11-21T12:00:00Z",
) -> dict[str, Any]:
    """A manifest that was written, with all its data, labels and annotations owned by who wrote it."""
    metadata = manifest["metadata"]
    owned = {
        "f:data": _fields(manifest["data"]),
        "f:metadata": {f"f:{part}": _fields(metadata[part]) for part in ("labels", "annotations")},
    }
    entry = {"manager": by, "operation": operation, "time": time, "fieldsV1": owned}
    return {**manifest, "metadata": {**metadata, "uid": uid, "resourceVersion": version, "managedFields": [entry]}}


def edited(secret: dict[str, Any], manager: str = "kubectl-edit", **data: bytes) -> dict[str, Any]:
    """A stored Secret after another client set some of its keys, be it to the same value."""
    (ours,) = secret["metadata"]["managedFields"]
    left = {field: owned for field, owned in ours["fieldsV1"]["f:data"].items() if field[2:] not in data}
    theirs = {"manager": manager, "operation": "Update", "fieldsV1": {"f:data": _fields(data)}}
    fields = [{**ours, "fieldsV1": {**ours["fieldsV1"], "f:data": left}}, theirs]
    values = {key: b64encode(value).decode() for key, value in data.items()}
    return {**secret, "data": {**secret["data"], **values}, "metadata": {**secret["metadata"], "managedFields": fields}}


def _fields(members: dict[str, Any]) -> dict[str, Any]:
    return {f"f:{name}": {} for name in members}
