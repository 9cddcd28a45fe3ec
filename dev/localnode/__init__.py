"""A real Kubernetes node on this machine, in namespaces of its own: started in seconds, gone without a trace."""

from localnode.errors import NodeFailed, NodeUnavailable
from localnode.node import LocalNode
from localnode.packages import obstacle

__all__ = ["LocalNode", "NodeFailed", "NodeUnavailable", "obstacle"]
