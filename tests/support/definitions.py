"""Our CustomResourceDefinitions, on a real API server."""

import asyncio
from pathlib import Path

import yaml

from keyturn.cluster.discovery import crd_served
from keyturn.cluster.gateway import Cluster
from keyturn.cluster.resources import ACCESS_GRANTS, CONNECTIONS, CRDS, KEYTURN_SECRETS, ONEPASSWORD_ITEMS
from support.patience import PATIENCE_S

_FOLDER = Path(__file__).resolve().parents[2] / "crds"


async def define_kinds(cluster: Cluster) -> None:
    """Apply our definitions, and wait until the API server serves each kind."""
    for file in sorted(_FOLDER.glob("*.yaml")):
        for crd in yaml.safe_load_all(file.read_text()):
            await cluster.apply(CRDS, None, crd["metadata"]["name"], crd, field_manager="tests")
    async with asyncio.timeout(PATIENCE_S):
        for kind in (ONEPASSWORD_ITEMS, KEYTURN_SECRETS, CONNECTIONS, ACCESS_GRANTS):
            while not await crd_served(cluster, kind):  # noqa: ASYNC110 - it is the server we wait for
                await asyncio.sleep(0.05)
