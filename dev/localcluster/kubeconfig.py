"""Kubeconfig files that hold all they need, so that a copy works anywhere on this machine."""

import base64
import json
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
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def _inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")
