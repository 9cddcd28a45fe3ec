"""The Kubernetes side: one gateway to the API server, informers, the Lease, events."""

from keyturn.cluster.access import Access, Credentials
from keyturn.cluster.by_name import ByName
from keyturn.cluster.discovery import crd_served, find_resource, is_pruned
from keyturn.cluster.errors import (
    AlreadyExists,
    Cause,
    ClusterError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    Misconfigured,
    NotFound,
    NotLeading,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from keyturn.cluster.events import About, EventPoster
from keyturn.cluster.gateway import Cluster
from keyturn.cluster.informer import METADATA, Informer, parts_of
from keyturn.cluster.lease import Elector, LeaseLost, LeaseName
from keyturn.cluster.resources import (
    CRDS,
    DAEMONSETS,
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    NAMESPACES,
    ONEPASSWORD_ITEMS,
    PODS,
    SECRETS,
    STATEFULSETS,
    WORKLOADS,
    Resource,
)
from keyturn.core.metadata import Key, ObjectMeta

__all__ = [
    "CRDS",
    "DAEMONSETS",
    "DEPLOYMENTS",
    "EVENTS",
    "LEASES",
    "METADATA",
    "NAMESPACES",
    "ONEPASSWORD_ITEMS",
    "PODS",
    "SECRETS",
    "STATEFULSETS",
    "WORKLOADS",
    "About",
    "Access",
    "AlreadyExists",
    "ByName",
    "Cause",
    "Cluster",
    "ClusterError",
    "Conflict",
    "Credentials",
    "Elector",
    "EventPoster",
    "Forbidden",
    "Gone",
    "Informer",
    "Invalid",
    "Key",
    "LeaseLost",
    "LeaseName",
    "Misconfigured",
    "NotFound",
    "NotLeading",
    "ObjectMeta",
    "Resource",
    "TooLarge",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "crd_served",
    "find_resource",
    "is_pruned",
    "parts_of",
]
