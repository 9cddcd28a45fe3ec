"""A real Kubernetes control plane on this machine: built once from pinned modules, started in seconds, gone without a trace."""

from localcluster.cluster import LocalCluster
from localcluster.errors import ClusterSetupError, ComponentDied, KubectlFailed, NotReadyInTime, NotRunning
from localcluster.paths import existing_kubeconfig

__all__ = [
    "ClusterSetupError",
    "ComponentDied",
    "KubectlFailed",
    "LocalCluster",
    "NotReadyInTime",
    "NotRunning",
    "existing_kubeconfig",
]
