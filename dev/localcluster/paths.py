"""Where the local cluster keeps what outlives a process: the user's cache folder."""

import os
from pathlib import Path

from localcluster.errors import ClusterSetupError

GO_MODULE = Path(__file__).resolve().parent.parent / "go"


def cache_directory() -> Path:
    """Return the folder below which everything is cached: `$XDG_CACHE_HOME/keyturn`, or `~/.cache/keyturn`."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says to ignore relative paths.
    base = Path(configured) if configured.startswith("/") else Path.home() / ".cache"
    return base / "keyturn"


def default_run_directory() -> Path:
    """Return the directory of the cluster that `up` starts when none is named."""
    return cache_directory() / "run" / "default"


def existing_kubeconfig() -> Path | None:
    """Return the kubeconfig of an existing cluster that tests shall use instead of a local one, if asked for.

    Only the environment variable `KEYTURN_TEST_KUBECONFIG` asks for it. `KUBECONFIG` is ignored on purpose: it may well
    name a production cluster, and tests create and delete objects.

    Raises:
        ClusterSetupError: the variable names a file that does not exist.
    """
    configured = os.environ.get("KEYTURN_TEST_KUBECONFIG", "")
    if not configured:
        return None
    path = Path(configured).expanduser()
    if not path.is_file():
        raise ClusterSetupError(f"KEYTURN_TEST_KUBECONFIG names {path}, which is no file: correct it, or unset it")
    return path
