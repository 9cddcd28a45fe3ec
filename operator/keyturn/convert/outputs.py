"""The objects that the converter gives: a KeyturnSecret, checked as far as that can be done without a vault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from keyturn.convert import fields
from keyturn.convert.errors import NotConvertible, named
from keyturn.core import names
from keyturn.core.keys import is_legal_key
from keyturn.core.shape import Shape, plan_shape
from keyturn.core.shape_errors import ShapeError

UNKNOWN_VAULT: Final = "vaults//items/"
"""Begins the path of an item whose vault is not known; on purpose, the API server refuses it."""

_LONGEST_PATH: Final = 2048


@dataclass(frozen=True, slots=True)
class Converted:
    """The result for one object.

    Attributes:
        manifest: a KeyturnSecret, its fields in the order in which people read them.
        notes: what is different from before, one line each.
    """

    manifest: Mapping[str, Any]
    notes: Sequence[str] = ()


def item_path(vault: str | None, item: str) -> str:
    """The path of an item."""
    return f"{UNKNOWN_VAULT}{item}" if vault is None else f"vaults/{vault}/items/{item}"


def kept_metadata(metadata: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The metadata of the new object: what a user wrote, without what the cluster and other controllers add.

    Raises:
        NotConvertible: labels or annotations are no texts.
    """
    annotations = fields.texts(metadata, "annotations", "metadata")
    kept = {
        "name": name,
        "namespace": fields.text(metadata, "namespace", "metadata", ""),
        "labels": fields.texts(metadata, "labels", "metadata"),
        "annotations": {key: each for key, each in annotations.items() if not is_transient(key)},
    }
    return {field: each for field, each in kept.items() if each}


def is_transient(annotation: str) -> bool:
    """Whether an annotation is one of External Secrets or of kubectl, which says nothing of the new object."""
    domain = annotation.partition("/")[0]
    return domain in {"force-sync", "kubectl.kubernetes.io"} or domain.endswith("external-secrets.io")


def keyturn_secret(*, metadata: Mapping[str, Any], spec: Mapping[str, Any], notes: Sequence[str] = ()) -> Converted:
    """A KeyturnSecret that the API server and the operator accept, but for a vault that is not known.

    Raises:
        NotConvertible: it would break a limit or a rule.
    """
    _check_spec(spec)
    head = {"apiVersion": names.KEYTURN_API_VERSION, "kind": names.SHAPED_KIND}
    return Converted(head | {"metadata": metadata, "spec": spec}, tuple(notes))


def _check_spec(spec: Mapping[str, Any]) -> None:
    if any(len(path) > _LONGEST_PATH for path in (spec["itemPath"], *spec.get("items", {}).values())):
        raise NotConvertible("spec", f"the path of an item is longer than {_LONGEST_PATH} characters")
    for key in (*spec.get("keys", {}), *spec.get("templates", {})):
        # What Flux substitutes is no key yet.
        if not is_legal_key(key) and "${" not in key:
            raise NotConvertible("data", f"{named(key)} is no legal key of a Secret")
    _check_secret(spec.get("secret", {}))
    try:
        plan_shape(Shape.read(spec))
    except ShapeError as error:
        raise NotConvertible("spec", f"the KeyturnSecret would not be valid: {error}") from None


def _check_secret(secret: Mapping[str, Any]) -> None:
    """Refuse what the CustomResourceDefinition refuses."""
    if secret.get("type") in names.REFUSED_TYPES:
        raise NotConvertible("the type of the Secret", "Kubernetes itself uses Secrets of this type")
    for kind in ("labels", "annotations"):
        for key in secret.get(kind, {}):
            if names.is_own(key):
                raise NotConvertible(fields.at(f"the {kind} of the Secret", key), "Keyturn writes this one itself")
            if kind == "annotations" and names.issues_token(key):
                why = "Kubernetes would issue a token for this service account"
                raise NotConvertible(fields.at("the annotations of the Secret", key), why)
