"""The paths in the directory of one cluster, and the state file that says what runs."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from localcluster.errors import NotRunning
from localcluster.processes import Process


@dataclass(frozen=True)
class Layout:
    """The files of the cluster in `directory`."""

    directory: Path

    @property
    def state(self) -> Path:
        """The state file: its presence says that a cluster was started here."""
        return self.directory / "state.json"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.directory / "admin.kubeconfig"

    @property
    def certificates(self) -> Path:
        """The folder of the authority that the API server and its clients trust."""
        return self.directory / "pki"

    @property
    def etcd_certificates(self) -> Path:
        """The folder of etcd's own authority: a user's certificate must not open the store behind the API server."""
        return self.directory / "pki" / "etcd"

    @property
    def logs(self) -> Path:
        """The folder of one log per component."""
        return self.directory / "logs"

    def log(self, component: str) -> Path:
        """Return the log of one component."""
        return self.logs / f"{component}.log"

    def component_kubeconfig(self, component: str) -> Path:
        """Return the kubeconfig a component itself uses."""
        return self.directory / f"{component}.kubeconfig"


@dataclass(frozen=True)
class State:
    """What runs in a directory.

    Attributes:
        server: address of the API server.
        binaries: folder of the executables in use.
        supervisor: the process that started the components and ends them.
        components: the components by name.
    """

    server: str
    binaries: Path
    supervisor: Process
    components: dict[str, Process]

    @classmethod
    def read(cls, layout: Layout) -> Self:
        """Read the state file.

        Raises:
            NotRunning: there is none.
        """
        try:
            stored = json.loads(layout.state.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise NotRunning(
                f"no local cluster in {layout.directory}: start one with `python -m localcluster up`"
            ) from None
        return cls(
            server=stored["server"],
            binaries=Path(stored["binaries"]),
            supervisor=Process(**stored["supervisor"]),
            components={name: Process(**process) for name, process in stored["components"].items()},
        )

    def write(self, layout: Layout) -> None:
        """Replace the state file; readers see the old one or the new one."""
        content = {
            "server": self.server,
            "binaries": str(self.binaries),
            "supervisor": vars(self.supervisor),
            "components": {name: vars(process) for name, process in self.components.items()},
        }
        partial = layout.state.with_suffix(".partial")
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        partial.replace(layout.state)
