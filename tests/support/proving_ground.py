"""What a run of `make chaos` or `make soak` happens on: a namespace with our CRDs, a proxy, a Connect server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from keyturn.cluster.access import Access
from keyturn.cluster.resources import NAMESPACES
from support.admin_cluster import AdminCluster
from support.api_proxy import ApiProxy
from support.definitions import define_kinds
from support.emulator import EmulatorProcess
from support.operator import eventually

VAULT = "Production"
"""The only vault, empty at first."""

_DESCRIPTION = {"vaults": [{"name": VAULT}], "tokens": [{"name": "all", "vaults": {"*": "rw"}}]}


@dataclass(frozen=True)
class Ground:
    """All that a run needs.

    Attributes:
        cluster: the API server, past the proxy.
        namespace: an empty one.
        proxy: between the operators and the API server.
        emulator: a Connect server with an empty vault.
        folder: for logs, and for the token of the operators.
    """

    cluster: AdminCluster
    namespace: str
    proxy: ApiProxy
    emulator: EmulatorProcess
    folder: Path

    @property
    def token_file(self) -> Path:
        """Where the operators find their token."""
        return self.folder / "token"

    def give_token(self) -> None:
        """Put a good token there, also if there is one: an operator whose token was refused then tries again."""
        self.token_file.write_text(self.emulator.token("all"))


@asynccontextmanager
async def proving_ground(kubeconfig: Path, namespace: str, *, folder: Path, replicas: int = 1) -> AsyncIterator[Ground]:
    """Everything but the operators, for the length of the block.

    Args:
        kubeconfig: the administrator's.
        namespace: is created, and deleted at the end.
        folder: for logs.
        replicas: of Connect.
    """
    async with (
        AdminCluster.at(await Access.load(kubeconfig=str(kubeconfig))) as cluster,
        ApiProxy.standing(kubeconfig) as proxy,
    ):
        await define_kinds(cluster)
        await cluster.create(NAMESPACES, None, namespace, {}, field_manager="tests")
        try:
            knobs = {"lag_s": 0, "replicas": replicas}
            with EmulatorProcess(_DESCRIPTION, folder=folder, knobs=knobs) as emulator:
                yield Ground(cluster, namespace, proxy, emulator, folder)
        finally:
            await eventually(lambda: cluster.delete(NAMESPACES, None, namespace))
