"""Every name that Keyturn reads or writes on a Kubernetes object, and nothing else."""

from __future__ import annotations

from typing import Final

GROUP: Final = "onepassword.com"
VERSION: Final = "v1"
KIND: Final = "OnePasswordItem"
API_VERSION: Final = f"{GROUP}/{VERSION}"

KEYTURN_GROUP: Final = "keyturn.dev"
KEYTURN_VERSION: Final = "v1alpha1"
KEYTURN_API_VERSION: Final = f"{KEYTURN_GROUP}/{KEYTURN_VERSION}"
SHAPED_KIND: Final = "KeyturnSecret"
CONNECTION_KIND: Final = "Connection"
ACCESS_GRANT_KIND: Final = "AccessGrant"

OWN_KINDS: Final = frozenset({KIND, SHAPED_KIND})

# Annotations of 1Password's own operator, with the meaning they have there.
ITEM_PATH: Final = "operator.1password.io/item-path"
ITEM_NAME: Final = "operator.1password.io/item-name"
ITEM_VERSION: Final = "operator.1password.io/item-version"
AUTO_RESTART: Final = "operator.1password.io/auto-restart"
LAST_RESTARTED: Final = "operator.1password.io/last-restarted"

# What its users put on items, and what it leaves on objects.
IGNORE_TAG: Final = "operator.1password.io:ignore-secret"
LEGACY_FINALIZER: Final = "onepassword.com/finalizer.secret"

# Our own annotations.
REVISION: Final = "keyturn.dev/revision"
RESTART_OWED: Final = "keyturn.dev/restart-owed"
RESTART_DECLINED: Final = "keyturn.dev/restart-declined"
ADOPT: Final = "keyturn.dev/adopt"
OPTIONS: Final = "keyturn.dev/options"
KEYS: Final = "keyturn.dev/keys"
FURTHER_ITEMS: Final = "keyturn.dev/items"
SHAPE: Final = "keyturn.dev/shape"
PREVIOUS: Final = "keyturn.dev/previous"
REFRESH_MOUNTS: Final = "keyturn.dev/refresh-mounts"
REFRESHED: Final = "keyturn.dev/refreshed"
SYNC_REQUESTED: Final = "keyturn.dev/sync-requested"
CONNECTION: Final = "keyturn.dev/connection"

# On a Namespace: models may be shown what a grant allows to reveal.
ALLOW_REVEAL: Final = "keyturn.dev/allow-reveal"

# On a Connection whose Secrets are deleted with it.
DISCONNECT_FINALIZER: Final = "keyturn.dev/disconnect"

OPAQUE: Final = "Opaque"

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
PRODUCT: Final = "keyturn"
OURS: Final = f"{MANAGED_BY}={PRODUCT}"

# One field manager per role, so that `kubectl get --show-managed-fields` tells who wrote what and why.
SECRET_MANAGER: Final = PRODUCT
STATUS_MANAGER: Final = f"{PRODUCT}-status"
RESTART_MANAGER: Final = f"{PRODUCT}-restart"
LEASE_MANAGER: Final = f"{PRODUCT}-lease"

# Labels and annotations by which other tools track their objects, or that steer what a tool does with the very object that it
# tracks. A copy of one on the Secret would make that tool prune or adopt it. All else is copied, also what the same tools read
# on a Secret, such as `argocd.argoproj.io/secret-type`. An entry that ends in "*" stands for every key that begins like it.
TRACKING: Final = (
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "applyset.kubernetes.io/*",
    "argocd.argoproj.io/compare-options",
    "argocd.argoproj.io/hook*",
    "argocd.argoproj.io/installation-id",
    "argocd.argoproj.io/instance",
    "argocd.argoproj.io/managed-by*",
    "argocd.argoproj.io/refresh",
    "argocd.argoproj.io/sync-options",
    "argocd.argoproj.io/sync-wave",
    "argocd.argoproj.io/tracking-id",
    "config.k8s.io/owning-inventory",
    "config.kubernetes.io/owning-inventory",
    "helm.sh/hook*",
    "helm.sh/resource-policy",
    "helm.toolkit.fluxcd.io/*",
    "internal.config.kubernetes.io/*",
    "kapp.k14s.io/*",
    "kopf.zalando.org/*",
    "kubectl.kubernetes.io/last-applied-configuration",
    "kustomize.toolkit.fluxcd.io/*",
    "meta.helm.sh/*",
    "objectset.rio.cattle.io/*",
    "reconcile.fluxcd.io/forceAt",
    "reconcile.fluxcd.io/requestedAt",
    "reconcile.fluxcd.io/resetAt",
)

# Secrets of these types are credentials of the cluster itself: Kubernetes fills the first with a token of the service account that
# its annotation names, and admits new nodes by the second.
REFUSED_TYPES: Final = frozenset({"bootstrap.kubernetes.io/token", "kubernetes.io/service-account-token"})

_RESERVED = ("kubernetes.io", "k8s.io")


def is_tracking(key: str) -> bool:
    """Whether a label or annotation is another tool's way to track its objects, and must not be copied."""
    return any(key.startswith(entry[:-1]) if entry.endswith("*") else key == entry for entry in TRACKING)


def is_reserved(key: str) -> bool:
    """Whether Kubernetes reserves a key for itself: an annotation of its own can make it act with rights that nobody gave."""
    domain, slash, _ = key.lower().partition("/")
    return bool(slash) and any(domain == each or domain.endswith(f".{each}") for each in _RESERVED)


def is_own(key: str) -> bool:
    """Whether a label or annotation means something to Keyturn, or to the official operator, so that only they may write it."""
    return key == MANAGED_BY or key.lower().startswith(("keyturn.dev/", "operator.1password.io/"))


def issues_token(key: str) -> bool:
    """Whether an annotation names the service account for which Kubernetes fills a Secret with a token."""
    return key.lower().startswith("kubernetes.io/service-account.")


def is_copied(key: str) -> bool:
    """Whether an annotation may be copied from an object to its Secret.

    It must be neither Kubernetes' own nor another tool's, and must mean nothing to Keyturn on a Secret.
    """
    return not is_own(key) and not is_reserved(key) and not is_tracking(key)
