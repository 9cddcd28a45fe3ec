"""The Kubernetes side: one gateway to the API server, informers, the Lease, Events."""

from keyturn.cluster.access import Access
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
from keyturn.cluster.if_served import IfServed
from keyturn.cluster.informer import Informer
from keyturn.cluster.lasting_reads import LastingReads, LastingWatch
from keyturn.cluster.lease import Elector, LeaseLost, LeaseName
from keyturn.cluster.list_watch import METADATA, ApiListWatch, projection_of
from keyturn.cluster.resources import (
    ACCESS_GRANTS,
    ALL_NAMESPACES,
    CONNECTIONS,
    CRDS,
    DAEMONSETS,
    DEPLOYMENTS,
    EVENTS,
    KEYTURN_SECRETS,
    LEASES,
    NAMESPACES,
    ONEPASSWORD_ITEMS,
    PODS,
    SECRETS,
    STATEFULSETS,
    WORKLOADS,
    Resource,
    namespaces_or_all,
)

__all__ = [
    "ACCESS_GRANTS",
    "ALL_NAMESPACES",
    "CONNECTIONS",
    "CRDS",
    "DAEMONSETS",
    "DEPLOYMENTS",
    "EVENTS",
    "KEYTURN_SECRETS",
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
    "ApiListWatch",
    "ByName",
    "Cause",
    "Cluster",
    "ClusterError",
    "Conflict",
    "Elector",
    "EventPoster",
    "Forbidden",
    "Gone",
    "IfServed",
    "Informer",
    "Invalid",
    "LastingReads",
    "LastingWatch",
    "LeaseLost",
    "LeaseName",
    "Misconfigured",
    "NotFound",
    "NotLeading",
    "Resource",
    "TooLarge",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "crd_served",
    "find_resource",
    "is_pruned",
    "namespaces_or_all",
    "projection_of",
]
