"""Reads a KeyturnSecret into a request for a Secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from keyturn.core.connection import ConnectionKey
from keyturn.core.content import DEFAULT_MAPPING, MappingOptions
from keyturn.core.names import (
    AUTO_RESTART,
    KEYTURN_API_VERSION,
    OPAQUE,
    SHAPED_KIND,
    is_own,
    issues_token,
)
from keyturn.core.request import Owner, SecretRequest, request_from_item
from keyturn.core.shape import Shape


def request_from_keyturn_secret(
    manifest: Mapping[str, Any], *, mapping: MappingOptions = DEFAULT_MAPPING, copy_annotations: bool = False
) -> SecretRequest:
    """Read a request from a KeyturnSecret as the API server gives it. What has the wrong type counts as absent.

    It is read as a OnePasswordItem of the same path, so that both make the same Secret, and then what only this kind can say is added.

    Args:
        manifest: the object.
        mapping: how an item becomes keys; an object of this kind cannot choose.
        copy_annotations: as for a OnePasswordItem.
    """
    metadata, spec = manifest["metadata"], _mapping(manifest.get("spec"))
    secret, switch = _mapping(spec.get("secret")), spec.get("autoRestart")
    request = request_from_item({**manifest, "spec": spec}, mapping=mapping, copy_annotations=copy_annotations)
    switches = {AUTO_RESTART: str(switch).lower()} if isinstance(switch, bool) else {}
    secret_type = secret.get("type")
    return replace(
        request,
        owners=(Owner(KEYTURN_API_VERSION, SHAPED_KIND, metadata["name"], metadata["uid"]),),
        secret_type=secret_type if isinstance(secret_type, str) and secret_type else OPAQUE,
        labels={**request.labels, **_permitted(secret.get("labels"))},
        annotations={**request.annotations, **_permitted(secret.get("annotations")), **switches},
        shape=Shape.read(spec),
        suspend=spec.get("suspend") is True,
        connection_ref=ConnectionKey.read(spec.get("connectionRef"), own=request.key.namespace),
        # The official operator knows nothing of this kind, so that its finalizer is not removed here.
        finalizers=(),
    )


def _permitted(given: Any) -> dict[str, str]:
    """Labels or annotations without those that the definition refuses too, which may be older than the operator."""
    return {
        key: value
        for key, value in _mapping(given).items()
        if isinstance(value, str) and not is_own(key) and not issues_token(key)
    }


def _mapping(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {}
