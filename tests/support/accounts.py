"""Service accounts: a kubeconfig that acts as one, and an audit policy that tells what it asked for."""

import json
from pathlib import Path

from localcluster.kubectl import Kubectl


def kubeconfig_of_account(kubectl: Kubectl, name: str, *, namespace: str, folder: Path) -> Path:
    """A kubeconfig for the same cluster that holds nothing but the account's token."""
    view = ("config", "view", "--minify", "--flatten", "--raw", "--output=json")
    content = json.loads(kubectl(*view).stdout)
    token = kubectl("create", "token", name, f"--namespace={namespace}").stdout.strip()
    # The administrator's certificate would win over the token.
    content["users"][0]["user"] = {"token": token}
    path = folder / f"{name}.kubeconfig"
    path.write_text(json.dumps(content))
    return path


def audit_of_account(name: str, *, namespace: str, folder: Path) -> Path:
    """An audit policy with which the log tells of every request of the account, and of no other."""
    user = f"system:serviceaccount:{namespace}:{name}"
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata", "users": [user]}, {"level": "None"}],
    }
    path = folder / "audit.json"
    path.write_text(json.dumps(policy))
    return path
