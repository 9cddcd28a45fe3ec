"""Kinds of objects Keyturn touches, and the API paths they live at."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object, as the API server addresses it.

    `quotable` says that no object of this kind holds values worth hiding, so the API server's own error text about it may be
    passed on. It is False unless said otherwise: the text of a rejected Secret or Deployment may quote what was rejected.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    quotable: bool = False

    @property
    def api_version(self) -> str:
        """What the object's `apiVersion` says: `v1` for the core group, else `group/version`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def label(self) -> str:
        """A short name for logs and metrics, as RBAC writes it: `secrets`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def template(self, *, in_namespace: bool = True, name: bool = False, subresource: str | None = None) -> str:
        """The path with `{namespace}` and `{name}` left open: what error texts and metrics may show."""
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
        ValueError: A needed part is missing, or would change which path is meant. An empty name would address the whole
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
# Core v1 and not events.k8s.io/v1: see `events.py` for the reason.
EVENTS = Resource("", "v1", "events", "Event", quotable=True)
ONEPASSWORD_ITEMS = Resource("onepassword.com", "v1", "onepassworditems", "OnePasswordItem", quotable=True)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
STATEFULSETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
DAEMONSETS = Resource("apps", "v1", "daemonsets", "DaemonSet")
WORKLOADS = (DEPLOYMENTS, STATEFULSETS, DAEMONSETS)
"""Kinds that roll their pods when their template changes."""
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", quotable=True)
CRDS = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
    quotable=True,
)
