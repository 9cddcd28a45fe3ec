"""The programs of a node that are built from pinned Go modules: kubelet and kube-proxy."""

from dataclasses import replace
from pathlib import Path

from localcluster.binaries import Programs, control_plane, ensure

# A module of its own: the control plane's cache is named by its module's pins.
_MODULE = Path(__file__).resolve().parent.parent / "go-node"


def node() -> Programs:
    """Return what is built, in the version of the control plane."""
    return replace(
        control_plane(),
        name="node",
        title="kubelet and kube-proxy",
        patience="1 to 4 minutes",
        module=_MODULE,
        packages={name: f"k8s.io/kubernetes/cmd/{name}" for name in ("kubelet", "kube-proxy")},
    )


def ensure_node_programs() -> Path:
    """Return the folder of the executables, building them first if it is not there yet.

    Raises:
        BuildFailed: something cannot be built; the message holds the end of the compiler's output.
    """
    return ensure(node())
