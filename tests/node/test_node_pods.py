"""The node is a real one: what the other tests rely on is seen here by itself."""

import json

import httpx
import pytest

from support.operator import eventually

pytestmark = pytest.mark.node

PODS = """
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: localhost/tools:1
    command: [sh, -c, "echo hello > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"]
    readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: server}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 0
  restartPolicy: OnFailure
  containers:
  - name: main
    image: localhost/tools:1
    command: [wget, -q, -O, "-", "http://web/"]
"""


def test_pods_reach_each_other_by_the_name_of_a_service(kubectl, namespace):
    """The operator will reach Connect this way: name service, kube-proxy's rules, the bridge between pods."""
    kubectl("apply", "--namespace", namespace, "-f", "-", input=PODS)
    kubectl.wait("-n", namespace, "--for=condition=Ready", "pod/server")
    kubectl.wait("-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "pod/client")
    assert kubectl("logs", "-n", namespace, "client").stdout == "hello\n"
    assert kubectl("exec", "-n", namespace, "server", "--", "cat", "/tmp/index.html").stdout == "hello\n"


async def test_a_test_reaches_pods_and_services_by_their_addresses(kubectl, namespace):
    """Tests look at the operator's metrics and steer the emulator without a port that is forwarded."""
    kubectl("apply", "--namespace", namespace, "-f", "-", input=PODS)
    kubectl.wait("-n", namespace, "--for=condition=Ready", "pod/server")
    service = json.loads(kubectl("get", "service", "web", "-n", namespace, "-o", "json").stdout)
    pod = json.loads(kubectl("get", "pod", "server", "-n", namespace, "-o", "json").stdout)
    for address in (f"{pod['status']['podIP']}:8080", f"{service['spec']['clusterIP']}:80"):

        async def check(url: str = f"http://{address}/") -> None:
            # kube-proxy learns a moment later than we do that a pod is ready.
            async with httpx.AsyncClient() as client:
                answer = await answer_or_none(client, url)
            assert answer == "hello\n"

        await eventually(check)


async def answer_or_none(client: httpx.AsyncClient, url: str) -> str | None:
    try:
        return (await client.get(url)).text
    except httpx.TransportError:
        return None
