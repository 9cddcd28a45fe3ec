"""What a run of `make chaos` or `make soak` happens on: a namespace with our CRDs, a proxy, a Connect server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from keyturn.cluster.access import Access
from keyturn.cluster.discovery import crd_served
from keyturn.cluster.resources import CRDS, NAMESPACES
from support.admin_cluster import AdminCluster
from support.api_proxy import ApiProxy
from support.emulator import EmulatorProcess
from support.operator import eventually

VAULT = "Production"
"""The only vault, empty at first."""

_DESCRIPTION = {"vaults": [{"name": VAULT}], "tokens": [{"name": "all", "vaults": {"*": "rw"}}]}
_CRDS = Path(__file__).resolve().parents[2] / "crds"


@dataclass(frozen=True)
class Ground:
    """All that a run needs.

    Attributes:
        cluster: the API server, past the proxy.
        namespace: an empty one.
        proxy: between the operators and the API server.
        emulator: a Connect server with an empty vault.
        folder: for logs.
    """

    cluster: AdminCluster
    namespace: str
    proxy: ApiProxy
    emulator: EmulatorProcess
    folder: Path


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
        for file in sorted(_CRDS.glob("*.yaml")):
            for crd in yaml.safe_load_all(file.read_text()):
                await cluster.apply(CRDS, None, crd["metadata"]["name"], crd, field_manager="tests")
        async with asyncio.timeout(30):
            while not await crd_served(cluster):  # noqa: ASYNC110 - it is the server we wait for
                await asyncio.sleep(0.05)
        await cluster.create(NAMESPACES, None, namespace, {}, field_manager="tests")
        try:
            knobs = {"lag_s": 0, "replicas": replicas}
            with EmulatorProcess(_DESCRIPTION, folder=folder, knobs=knobs) as emulator:
                yield Ground(cluster, namespace, proxy, emulator, folder)
        finally:
            await eventually(lambda: cluster.delete(NAMESPACES, None, namespace))
