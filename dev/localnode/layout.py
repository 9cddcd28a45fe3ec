"""The paths in the directory of one node."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

LONGEST_DIRECTORY = 107 - len("/kubelet/pod-resources/kubelet.sock")
"""Bytes that the path of a node's directory may have, since the path of a Unix socket has at most 107 (unix(7))."""


@dataclass(frozen=True)
class Layout:
    """The files of the node in `directory`, which is not below /run, /var/lib or /var/log: the box hides those."""

    directory: Path

    @property
    def cluster(self) -> Path:
        """The directory of the node's control plane."""
        return self.directory / "cluster"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.cluster / "admin.kubeconfig"

    @property
    def state(self) -> Path:
        """The state file of a node that goes on without its starter: which process ends it."""
        return self.directory / "state.json"

    @property
    def programs(self) -> Path:
        """The folder of the programs for those who play with such a node."""
        return self.directory / "bin"

    @property
    def containerd(self) -> Path:
        """The folder of all that containerd keeps."""
        return self.directory / "containerd"

    @property
    def socket(self) -> Path:
        """Where containerd listens."""
        return self.containerd / "containerd.sock"

    @property
    def kubelet(self) -> Path:
        """The folder of all that kubelet keeps, including the volumes of pods."""
        return self.directory / "kubelet"

    @property
    def is_too_long(self) -> bool:
        """Whether the directory's path leaves no room for the longest path that something listens at."""
        return len(bytes(self.directory)) > LONGEST_DIRECTORY

    @property
    def logs(self) -> Path:
        """The folder of one log per program."""
        return self.directory / "logs"

    def log(self, program: str) -> Path:
        """Return the log of one program."""
        return self.logs / f"{program}.log"

    def configuration(self, program: str) -> Path:
        """Return the configuration file of one program."""
        return self.directory / f"{program}.conf"

    @property
    def cgroup(self) -> str:
        """The name of the cgroup that all pods are below."""
        return f"keyturn-node-{hashlib.sha256(bytes(self.directory)).hexdigest()[:12]}"

    def tail(self, program: str, *, lines: int = 15) -> str:
        """Return the last lines of a program's log, indented."""
        try:
            text = self.log(program).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            text = ""
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (the log is empty)"
