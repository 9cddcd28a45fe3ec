"""What the package costs in memory."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, json, sys
import keyturn.cluster
from keyturn.cluster import ALL_NAMESPACES, Access, Cluster, ClusterError, Informer, SECRETS
from kubernetes.aio.client import Configuration

async def use():
    access = Access(Configuration(host="http://127.0.0.1:9"), in_cluster=False, namespace="default")
    async with Cluster.at(access) as cluster:
        for call in (
            cluster.get(SECRETS, "a", "b"),
            cluster.apply(SECRETS, "a", "b", {"data": {}}, field_manager="t"),
            cluster.list(SECRETS, ALL_NAMESPACES),
        ):
            try:
                await call
            except ClusterError:
                pass

asyncio.run(use())
resident = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))
print(json.dumps({"modules": sorted(sys.modules), "kib": resident}))
"""


@pytest.fixture(scope="module")
def process():
    """A new interpreter that has imported and used the package."""
    run = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def test_no_generated_api_or_model_is_loaded(process):
    """`CoreV1Api` alone would cost 25 MiB, and its models print Secrets."""
    generated = (
        "kubernetes.aio.client.api.",
        "kubernetes.aio.client.models.v1",
        "kubernetes.client.api.",
        "kubernetes.client.models.v1",
    )
    assert [module for module in process["modules"] if module.startswith(generated)] == []


def test_the_package_stays_small(process):
    """It takes about 57 MiB resident with its client library; ten more mean that something large was added."""
    assert process["kib"] < 67 * 1024
