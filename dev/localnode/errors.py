"""What can go wrong with the local node."""

from localcluster import ClusterSetupError


class NodeUnavailable(ClusterSetupError):
    """This machine cannot run the node; the message says what is missing and how to get it."""


class NodeFailed(ClusterSetupError):
    """A part of the node did not start or did not do its work; the message ends with the tail of its log."""
