"""Objects around restarts, for unit tests: workloads that use Secrets, and Secrets with pending changes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from keyturn.cluster import DEPLOYMENTS, SECRETS, Resource
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import RESTART_OWED, REVISION
from keyturn.core.pending import Change, PendingChanges
from keyturn.core.restarts import PendingRestart
from support.fake_api import FakeApiServer

CHANGED_AT = datetime(2030, 1, 1, 12, tzinfo=UTC)
BEFORE, AFTER = "2030-01-01T11:00:00Z", "2030-01-01T13:00:00Z"


def add_workload(
    api: FakeApiServer,
    name: str,
    *secrets: str,
    resource: Resource = DEPLOYMENTS,
    namespace: str = "app",
    annotations: dict[str, str] | None = None,
    keys: Iterable[str] = (),
    **spec: Any,
) -> None:
    """A workload from before the change that uses Secrets as a whole, or only some of their keys."""
    sources = [] if keys else [{"secretRef": {"name": secret}} for secret in secrets]
    references = [{"secretKeyRef": {"name": secret, "key": key}} for secret in secrets for key in keys]
    env = [{"name": f"V{number}", "valueFrom": each} for number, each in enumerate(references)]
    container = {"name": "main", "envFrom": sources, "env": env}
    template = {"metadata": {}, "spec": {"containers": [container]}}
    metadata = {"namespace": namespace, "name": name, "uid": f"{name}-uid", "creationTimestamp": BEFORE}
    api.add(
        resource, {"metadata": {**metadata, "annotations": annotations or {}}, "spec": {"template": template, **spec}}
    )


def add_pending(
    api: FakeApiServer, *names: str, namespace: str = "app", present: Iterable[str] | None = None
) -> list[PendingRestart]:
    """Secrets whose key `password` changed, at revision 2.

    Args:
        api: gets them.
        names: of the Secrets.
        namespace: of the Secrets.
        present: names of the keys that their managed fields say are there; None if these say nothing.
    """
    found = []
    for name in names:
        changes = PendingChanges((Change(2, ("password",), CHANGED_AT),))
        metadata: dict[str, Any] = {"namespace": namespace, "name": name, "uid": f"{name}-uid"}
        metadata["annotations"] = {RESTART_OWED: changes.to_annotation(), REVISION: "2"}
        if present is not None:
            metadata["managedFields"] = [owning(present)]
        pending = PendingRestart.of(ObjectMeta.of(api.add(SECRETS, {"metadata": metadata})))
        assert pending is not None
        found.append(pending)
    return found


def owning(keys: Iterable[str]) -> dict[str, Any]:
    """The managed fields of Keyturn on a Secret with these keys."""
    return {"manager": "keyturn", "operation": "Apply", "fieldsV1": {"f:data": {f"f:{key}": {} for key in keys}}}


def seen_again(api: FakeApiServer, pending: PendingRestart) -> PendingRestart:
    """The same Secret as it is now."""
    manifest = api.find(SECRETS, *pending.secret.key)
    assert manifest is not None
    found = PendingRestart.of(ObjectMeta.of(manifest))
    assert found is not None
    return found


def still_pending(api: FakeApiServer, *names: str, namespace: str = "app") -> set[str]:
    """The names of those of these Secrets that have the annotation."""
    secrets = {name: api.find(SECRETS, namespace, name) for name in names}
    return {name for name, each in secrets.items() if each and RESTART_OWED in each["metadata"]["annotations"]}


def stamps(api: FakeApiServer, name: str, *, resource: Resource = DEPLOYMENTS, namespace: str = "app") -> str:
    """The revision stamps of a workload's template."""
    workload = api.find(resource, namespace, name)
    assert workload is not None
    return str((workload["spec"]["template"]["metadata"].get("annotations") or {}).get(REVISION, ""))
