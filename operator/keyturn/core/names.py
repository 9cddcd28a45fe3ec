"""Every name that Keyturn reads or writes on a Kubernetes object, and nothing else."""

from __future__ import annotations

from typing import Final

GROUP: Final = "onepassword.com"
VERSION: Final = "v1"
KIND: Final = "OnePasswordItem"
API_VERSION: Final = f"{GROUP}/{VERSION}"
OWN_KINDS: Final = frozenset({KIND})

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
REFRESH_MOUNTS: Final = "keyturn.dev/refresh-mounts"
REFRESHED: Final = "keyturn.dev/refreshed"

OPAQUE: Final = "Opaque"

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
PRODUCT: Final = "keyturn"
OURS: Final = f"{MANAGED_BY}={PRODUCT}"

# One field manager per role, so that `kubectl get --show-managed-fields` tells who wrote what and why.
SECRET_MANAGER: Final = PRODUCT
STATUS_MANAGER: Final = f"{PRODUCT}-status"
RESTART_MANAGER: Final = f"{PRODUCT}-restart"
LEASE_MANAGER: Final = f"{PRODUCT}-lease"

# Labels and annotations by which other tools track their objects. A copy of one on the Secret would make
# that tool prune or adopt it. An entry that ends in "/" stands for every key below that prefix.
TRACKING: Final = (
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "applyset.kubernetes.io/",
    "argocd.argoproj.io/",
    "config.k8s.io/",
    "config.kubernetes.io/",
    "helm.sh/",
    "helm.toolkit.fluxcd.io/",
    "internal.config.kubernetes.io/",
    "kapp.k14s.io/",
    "kopf.zalando.org/",
    "kubectl.kubernetes.io/",
    "kustomize.toolkit.fluxcd.io/",
    "meta.helm.sh/",
    "objectset.rio.cattle.io/",
    "reconcile.fluxcd.io/",
)


def is_tracking(key: str) -> bool:
    """Whether a label or annotation is another tool's way to track its objects, and must not be copied."""
    return any(key.startswith(entry) if entry.endswith("/") else key == entry for entry in TRACKING)


def is_copied(key: str) -> bool:
    """Whether an annotation may be copied from an object to its Secret: it is not another tool's, and means nothing on a Secret."""
    return not is_tracking(key) and not key.startswith(("keyturn.dev/", "operator.1password.io/"))
