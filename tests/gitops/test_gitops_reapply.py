"""What a GitOps tool does all day, applying what it has applied before, undoes no restart and makes none."""

import asyncio
import json
from pathlib import Path

import pytest
import yaml
from operator_fixtures import VAULT, annotations_of

from keyturn.cluster.resources import DEPLOYMENTS
from keyturn.core import names
from support.operator import eventually

pytestmark = pytest.mark.cluster

WEB = yaml.safe_load((Path(__file__).resolve().parents[2] / "examples" / "web.yaml").read_text())
ITEM = {
    "apiVersion": "onepassword.com/v1",
    "kind": "OnePasswordItem",
    "metadata": {"name": "database"},
    "spec": {"itemPath": f"vaults/{VAULT}/items/database"},
}
# As kubectl and Argo CD apply from the client, and as Flux and Argo CD apply on the server.
WAYS = {
    "client": ("apply",),
    "flux": ("apply", "--server-side", "--force-conflicts", "--field-manager=kustomize-controller"),
    "argocd": ("apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller"),
}


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_applied_again_changes_nothing(stage, api_server, way):
    """A tool that took the mark of a restart for drift would restart every pod a second time, at every look."""
    manifests = json.dumps({"apiVersion": "v1", "kind": "List", "items": [ITEM, WEB]})

    async def apply() -> None:
        command = (*WAYS[way], f"--namespace={stage.namespace}", "-f", "-")
        await asyncio.to_thread(api_server.kubectl, *command, input=manifests)

    async def restarted():
        web = await stage.cluster.get(DEPLOYMENTS, stage.namespace, "web")
        assert names.LAST_RESTARTED in annotations_of(web["spec"]["template"])
        return web

    stage.put_item("database")
    operator = stage.operator()
    await apply()
    await stage.ready("database")
    stage.rotate("database", "second")
    web = await eventually(restarted)
    await stage.paid("database")
    item = await stage.ready("database", itemVersion="2")
    writes = operator.settled_writes()

    await apply()
    await operator.polls(2)

    again = await restarted()
    assert again["metadata"]["generation"] == web["metadata"]["generation"]
    assert again["spec"] == web["spec"]
    assert (await stage.asked("database"))["metadata"]["resourceVersion"] == item["metadata"]["resourceVersion"]
    assert operator.api_writes() == writes
