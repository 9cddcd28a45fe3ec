"""The kinds of objects that Keyturn reads or writes, their API paths, and how namespaces are named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

ALL_NAMESPACES: Final = ""
"""Lists and watches all namespaces, as in client-go."""


def namespaces_or_all(names: Iterable[str]) -> tuple[str, ...]:
    """The namespaces of a setting; `ALL_NAMESPACES` alone if it names none."""
    return tuple(names) or (ALL_NAMESPACES,)


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object, as the API server addresses it.

    Attributes:
        group: empty for the core group.
        version: of the group.
        plural: as in paths.
        kind: as in manifests.
        namespaced: whether its objects live in namespaces.
        quotable: whether the API server's own error text may be passed on, because no object of this kind holds a value. False by
            default: the text about a rejected Secret or Deployment may quote what was rejected.
        page: how many whole objects one page of a list holds; it is in memory at once.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    quotable: bool = False
    page: int = 500

    @property
    def api_version(self) -> str:
        """The object's `apiVersion`: `v1` for the core group, else `group/version`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def label(self) -> str:
        """A short name for logs and metrics, as RBAC writes it: `secrets`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def template(self, *, in_namespace: bool = True, name: bool = False, subresource: str | None = None) -> str:
        """The path with `{namespace}` and `{name}` left open, for error texts and metrics."""
        parts = ["/apis" if self.group else "/api", self.api_version]
        if self.namespaced and in_namespace:
            parts += ["namespaces", "{namespace}"]
        parts.append(self.plural)
        if name:
            parts.append("{name}")
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


def fill(template: str, *, namespace: str | None, name: str | None) -> str:
    """Fill a path template.

    Raises:
        ValueError: a needed part is missing, or would address another path. An empty name would address the whole
            collection, and `..` its parent; the API server allows neither as a name.
    """
    path = template
    for placeholder, value in (("{namespace}", namespace), ("{name}", name)):
        if placeholder not in template:
            continue
        if not value or value in {".", ".."} or not value.isprintable() or any(char in value for char in "/%?#"):
            raise ValueError(f"no usable value for {placeholder} of {template}")
        path = path.replace(placeholder, quote(value, safe=""))
    return path


SECRETS = Resource("", "v1", "secrets", "Secret")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False, quotable=True)
PODS = Resource("", "v1", "pods", "Pod")
# Core v1 and not events.k8s.io/v1; `events.py` has the reason.
EVENTS = Resource("", "v1", "events", "Event", quotable=True)
ONEPASSWORD_ITEMS = Resource("onepassword.com", "v1", "onepassworditems", "OnePasswordItem", quotable=True)
# An object of this kind may hold a megabyte of templates.
KEYTURN_SECRETS = Resource("keyturn.dev", "v1alpha1", "keyturnsecrets", "KeyturnSecret", quotable=True, page=50)
CONNECTIONS = Resource("keyturn.dev", "v1alpha1", "connections", "Connection", quotable=True)
ACCESS_GRANTS = Resource("keyturn.dev", "v1alpha1", "accessgrants", "AccessGrant", quotable=True)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
STATEFULSETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
DAEMONSETS = Resource("apps", "v1", "daemonsets", "DaemonSet")
WORKLOADS = (DEPLOYMENTS, STATEFULSETS, DAEMONSETS)
"""Kinds that roll their pods when their template changes."""
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", quotable=True)
TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
CRDS = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
    quotable=True,
)
