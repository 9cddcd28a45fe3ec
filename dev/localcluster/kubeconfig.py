"""Kubeconfig files that hold all they need, so that a copy works anywhere on this machine."""

import base64
import json
import os
from pathlib import Path

from localcluster.certificates import KeyPair


def write_kubeconfig(path: Path, *, server: str, authority: Path, identity: KeyPair, user: str) -> Path:
    """Write a kubeconfig, readable by its owner only, and return its path.

    Args:
        path: the file to write.
        server: address of the API server.
        authority: the certificate that the server's is signed by.
        identity: the user's certificate and key.
        user: a name for humans; what counts is the certificate.
    """
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "keyturn-local", "cluster": {"server": server, "certificate-authority-data": _inline(authority)}}
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _inline(identity.certificate),
                    "client-key-data": _inline(identity.key),
                },
            }
        ],
        "contexts": [{"name": "keyturn-local", "context": {"cluster": "keyturn-local", "user": user}}],
        "current-context": "keyturn-local",
    }
    # JSON is YAML, and needs no library.
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
    return path


def _inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")
