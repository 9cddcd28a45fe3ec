"""Everything that can go wrong with the local cluster, each error saying what is wrong and what to do."""


class ClusterSetupError(Exception):
    """The root of all errors this package raises on purpose."""


class UnsupportedPlatform(ClusterSetupError):
    """The local cluster needs Linux: it ties processes to each other by Linux's own means."""


class BuildFailed(ClusterSetupError):
    """The Go compiler is missing, too old, or could not build a component."""


class CacheUnusable(ClusterSetupError):
    """The folder for what is built once cannot be written."""


class DirectoryInUse(ClusterSetupError):
    """The directory for a new cluster holds files already."""


class NotRunning(ClusterSetupError):
    """No cluster runs from this directory."""


class ComponentDied(ClusterSetupError):
    """A process of the cluster ended by itself; the message ends with the tail of its log."""


class NotReadyInTime(ClusterSetupError):
    """The cluster's processes run, but it did not become usable within the time allowed."""


class KubectlFailed(ClusterSetupError):
    """A kubectl command ended with an error.

    Attributes:
        returncode: kubectl's exit status.
        stderr: what kubectl printed about it.
    """

    def __init__(self, command: str, *, returncode: int, stderr: str) -> None:
        super().__init__(f"`{command}` ended with status {returncode}: {stderr.strip() or 'it printed nothing'}")
        self.returncode = returncode
        self.stderr = stderr
