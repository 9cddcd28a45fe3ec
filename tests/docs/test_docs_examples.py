"""The gallery of examples: an operator makes each Secret that a KeyturnSecret of it requests, on a real API server."""

from pathlib import Path

import pytest
import yaml
from operator_fixtures import VAULT

from keyturn.cluster.resources import KEYTURN_SECRETS
from support.key_material import MAKERS, certificate_pem, chain, private_pem

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = {
    (path.name, document["kind"]): document
    for path in sorted((ROOT / "examples").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
}
REQUESTS = {file: document for (file, kind), document in DOCUMENTS.items() if kind == KEYTURN_SECRETS.kind}
# The keys of the Secret of each example.
KEYS = {
    "argocd-repository.yaml": {"sshPrivateKey", "type", "url"},
    "cloudnative-pg.yaml": {"username", "password"},
    "dotenv.yaml": {".env"},
    "image-pull.yaml": {".dockerconfigjson"},
    "keyturnsecret.yaml": {"DB_USER", "DB_PASSWORD", "DATABASE_URL"},
    "spring-boot.yaml": {"application.yaml"},
    "ssh.yaml": {"ssh-privatekey", "known_hosts"},
    "tls-keystore.yaml": {"tls.crt", "tls.key", "ca.crt", "keystore.p12", "truststore.p12"},
}


def item_values():
    """The items that the examples name, by title."""
    key = MAKERS["p256"]()
    certificates = chain(key)
    login = {"username": "app", "password": "p@ss: #1"}
    return {
        "database": login,
        "ghcr": login,
        "Docker Hub": login,
        "shop settings": {"DB_USER": "app", "DB_PASSWORD": "p"},
        "deploy key": {"private key": private_pem(MAKERS["ed25519"]()).decode()},
        "gateway certificate": {
            "certificate": certificate_pem(certificates).decode(),
            "private key": private_pem(key).decode(),
            "authorities": certificate_pem(certificates[1:]).decode(),
            "store password": "changeit",
        },
    }


async def test_each_example_makes_its_secret(stage):
    """The API server has rules of its own for types, names and labels, and a filter may refuse what an item holds."""
    assert REQUESTS.keys() == KEYS.keys()
    assert VAULT == "Production", "the vault of the examples"
    for title, values in item_values().items():
        stage.put_item(title, values)
    for document in REQUESTS.values():
        document["metadata"]["namespace"] = stage.namespace
        name = document["metadata"]["name"]
        await stage.cluster.create(KEYTURN_SECRETS, stage.namespace, name, document, field_manager="kubectl")
    stage.operator()

    for file, document in REQUESTS.items():
        name, wanted = document["metadata"]["name"], document["spec"].get("secret", {})
        await stage.ready(name, kind=KEYTURN_SECRETS)
        secret = await stage.secret(name)
        assert secret["data"].keys() == KEYS[file], file
        assert secret["type"] == wanted.get("type", "Opaque")
        assert wanted.get("labels", {}).items() <= secret["metadata"]["labels"].items()


def test_what_examples_mount_and_pull_with_is_there():
    """A workload beside a KeyturnSecret uses the Secret of the same file, by a key that it has."""
    beside = {where: each for where, each in DOCUMENTS.items() if where[0] in KEYS and where[1] != KEYTURN_SECRETS.kind}

    assert {kind for _, kind in beside} == {"ServiceAccount", "Deployment"}
    for (file, kind), document in beside.items():
        name = REQUESTS[file]["metadata"]["name"]
        if kind == "ServiceAccount":
            assert document["imagePullSecrets"] == [{"name": name}]
            continue
        pod = document["spec"]["template"]["spec"]
        assert [volume["secret"]["secretName"] for volume in pod["volumes"]] == [name]
        mounts = pod["containers"][0]["volumeMounts"]
        assert {mount["subPath"] for mount in mounts if "subPath" in mount} <= KEYS[file]
