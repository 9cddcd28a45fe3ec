"""What NetworkPolicies say, as rules of the node's own kernel: the local node has no network plugin that would enforce them.

Only what our chart writes is understood; anything else is refused, so that no rule is silently left out.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from localcluster.kubectl import Kubectl

Json = dict[str, Any]

_CHAINS = ("POLICIES-IN", "POLICIES-OUT")


@contextmanager
def enforced(kubectl: Kubectl, namespace: str) -> Iterator[None]:
    """Within the block, pods of a namespace are cut off from all that its policies do not allow, in open connections as well.

    It counts for the pods that there are now. Call it within the node's network. The node itself is never cut off, as Kubernetes wants it.
    """
    policies = _objects(kubectl, "networkpolicies", "-n", namespace)
    pods = _objects(kubectl, "pods", "--all-namespaces")
    namespaces = {each["metadata"]["name"]: each["metadata"]["labels"] for each in _objects(kubectl, "namespaces")}
    rules = _rules(policies, [pod for pod in pods if pod["status"].get("podIP")], namespaces, namespace=namespace)
    _iptables("-N POLICIES")
    for chain in _CHAINS:
        _iptables(f"-N {chain}")
    try:
        # Only the side that asks is judged.
        _iptables("-A POLICIES -m conntrack --ctdir REPLY -j RETURN")
        for chain in _CHAINS:
            _iptables(f"-A POLICIES -j {chain}")
        for rule in rules:
            _iptables(rule)
        # To other pods, and to the node.
        for chain in ("FORWARD", "INPUT"):
            _iptables(f"-I {chain} 1 -j POLICIES")
        yield
    finally:
        for chain in ("FORWARD", "INPUT"):
            subprocess.run(["iptables", "-w", "-D", chain, "-j", "POLICIES"], check=False, capture_output=True)
        for chain in ("POLICIES", *_CHAINS):
            _iptables(f"-F {chain}")
        for chain in ("POLICIES", *_CHAINS):
            _iptables(f"-X {chain}")


def _rules(
    policies: Sequence[Json], pods: Sequence[Json], namespaces: Mapping[str, Json], *, namespace: str
) -> Iterator[str]:
    """The arguments of iptables, in order: for each pod that a policy selects what is allowed, and the end of all else."""
    for pod in pods:
        if pod["metadata"]["namespace"] != namespace or pod["spec"].get("hostNetwork"):
            continue
        selecting = [
            each["spec"] for each in policies if _selects(each["spec"]["podSelector"], pod["metadata"]["labels"])
        ]
        address = pod["status"]["podIP"]
        for kind, chain, own, other, peers_of in (
            ("Ingress", "POLICIES-IN", "-d", "-s", "from"),
            ("Egress", "POLICIES-OUT", "-s", "-d", "to"),
        ):
            judging = [spec for spec in selecting if kind in spec["policyTypes"]]
            for rule in (rule for spec in judging for rule in spec.get(kind.lower()) or ()):
                peers = rule.get(peers_of)
                ranges = (
                    ["0.0.0.0/0"]
                    if peers is None
                    else [each for peer in peers for each in _ranges(peer, pods, namespaces, namespace=namespace)]
                )
                for port in rule["ports"]:
                    protocol, number = port.get("protocol", "TCP").lower(), _number(port["port"], pod)
                    for each in ranges:
                        yield f"-A {chain} {own} {address} {other} {each} -p {protocol} --dport {number} -j RETURN"
            if judging:
                yield f"-A {chain} {own} {address} -j DROP"


def _ranges(peer: Json, pods: Sequence[Json], namespaces: Mapping[str, Json], *, namespace: str) -> list[str]:
    """The addresses that a peer of a rule stands for."""
    if "ipBlock" in peer:
        assert peer["ipBlock"].keys() == {"cidr"}
        return [peer["ipBlock"]["cidr"]]
    if (selector := peer.get("namespaceSelector")) is None:
        within = {namespace}
    else:
        within = {name for name, labels in namespaces.items() if _selects(selector, labels)}
    return [
        pod["status"]["podIP"]
        for pod in pods
        if pod["metadata"]["namespace"] in within
        and _selects(peer.get("podSelector", {}), pod["metadata"].get("labels", {}))
    ]


def _selects(selector: Json, labels: Mapping[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels"}
    return selector.get("matchLabels", {}).items() <= labels.items()


def _number(port: int | str, pod: Json) -> int:
    """The number of a port, which the containers of the pod may name."""
    if isinstance(port, int):
        return port
    [number] = {
        each["containerPort"]
        for container in pod["spec"]["containers"]
        for each in container.get("ports", ())
        if each.get("name") == port
    }
    return int(number)


def _objects(kubectl: Kubectl, *arguments: str) -> list[Json]:
    found: list[Json] = json.loads(kubectl("get", *arguments, "-o", "json").stdout)["items"]
    return found


def _iptables(arguments: str) -> None:
    subprocess.run(["iptables", "-w", *arguments.split()], check=True, capture_output=True)
