"""Where things lie outside a cluster: the pinned versions, the user's cache, an existing cluster's kubeconfig."""

import os
import re
from pathlib import Path

from localcluster.errors import ClusterSetupError

_HERE = Path(__file__).resolve().parent
GO_MODULE = _HERE.parent / "go"
HELM_MODULE = _HERE.parent / "go-helm"
FLUX_MODULE = _HERE.parent / "go-flux"
# A module for each further version of Kubernetes, in a folder named like `1.34`.
KUBERNETES_MODULES = _HERE.parent / "go-kubernetes"


def cache_directory() -> Path:
    """Return the folder below which everything is cached: `$XDG_CACHE_HOME/keyturn`, or `~/.cache/keyturn`."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says to ignore relative paths.
    base = Path(configured) if configured.startswith("/") else Path.home() / ".cache"
    return base / "keyturn"


def default_run_directory() -> Path:
    """Return the directory of the cluster that `up` starts when none is named."""
    return cache_directory() / "run" / "default"


def default_node_directory() -> Path:
    """Return the directory of the node that `python -m localnode up` starts when none is named."""
    return cache_directory() / "run" / "node"


def pinned(file: Path, pattern: str) -> str:
    """Return what the first group of `pattern` matches in a file that pins versions."""
    found = re.search(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ClusterSetupError(f"{file} pins no version (nothing in it matches {pattern}): restore it from git")
    return found[1]


def existing_kubeconfig() -> Path | None:
    """Return the kubeconfig of an existing cluster that tests shall use instead of a local one, if asked for.

    Only the environment variable `TEST_KUBECONFIG` asks for it. `KUBECONFIG` is ignored on purpose: it may well
    name a production cluster, and tests create and delete objects.

    Raises:
        ClusterSetupError: the variable names a file that does not exist.
    """
    configured = os.environ.get("TEST_KUBECONFIG", "")
    if not configured:
        return None
    path = Path(configured).expanduser()
    if not path.is_file():
        raise ClusterSetupError(f"TEST_KUBECONFIG names {path}, which is no file: correct it, or unset it")
    return path
