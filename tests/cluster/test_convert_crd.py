"""What `keyturn convert` prints is accepted by a real API server, and holds back what still lacks its vault."""

import asyncio
import subprocess
import sys

import pytest
import yaml

from localcluster import KubectlFailed
from support.patience import LONG_S

pytestmark = pytest.mark.cluster

# One of each construct, in the ways in which people combine them.
MANIFESTS = r"""
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: plain, labels: {team: red}, annotations: {argocd.argoproj.io/sync-wave: "-1", note: "a: b # c"}}
spec: {dataFrom: [{extract: {key: "Web: database #1"}}]}
---
apiVersion: external-secrets.io/v1beta1
kind: ExternalSecret
metadata: {name: chosen}
spec:
  refreshInterval: 1h
  target: {name: chosen-keys, creationPolicy: Orphan}
  data:
    - {secretKey: ca.crt, remoteRef: {key: team/CA, property: file/bundle.pem}}
    - {secretKey: token, remoteRef: {key: 2fa, property: api token, decodingStrategy: Base64URL}}
  dataFrom: [{extract: {key: "Größe"}}]
---
apiVersion: v1
kind: List
items:
  - apiVersion: external-secrets.io/v1
    kind: ExternalSecret
    metadata: {name: composed}
    spec:
      target:
        template:
          type: kubernetes.io/dockerconfigjson
          metadata: {labels: {cnpg.io/reload: "true"}, annotations: {a/b: "{{ `{{x}}` }}"}}
          data:
            .dockerconfigjson: |
              {"auths": {"ghcr.io": {"auth": "{{ printf "%s:%s" .gh_user .gh_password | b64enc }}"}}}
            DSN: 'postgres://{{ .user | urlquery }}:{{ .password | urlquery }}@{{ .host | default "db" }}/{{ .name }}'
            application.yaml: |
              album: {{ printf "%q" "{{album}}" }}
              password: {{ .password | quote }}

                key: |
              {{ .key | indent 4 }}
            TUNNEL: '{{ toJson (dict "a" .account "s" .secret) | b64enc }}'
            percent: "{%"
            number: "5432"
      dataFrom:
        - {extract: {key: app}}
        - {extract: {key: app-two}}
        - extract: {key: github}
          rewrite: [{regexp: {source: "(.*)", target: "gh_$1"}}]
  - apiVersion: onepassword.com/v1
    kind: OnePasswordItem
    metadata: {name: login}
    type: kubernetes.io/basic-auth
    spec: {itemPath: vaults/Home/items/login}
"""


def converted(*flags):
    command = [sys.executable, "-m", "keyturn", "convert", *flags]
    done = subprocess.run(command, input=MANIFESTS, capture_output=True, text=True, check=True, timeout=LONG_S)
    return done.stdout


async def test_the_output_is_accepted(stage, api_server):
    """By `kubectl apply` on the definition of KeyturnSecret, without a change, and stays as it was written."""
    output = converted("--vault=Home")
    documents = list(yaml.safe_load_all(output))
    assert len(documents) == 4

    applied = await asyncio.to_thread(
        api_server.kubectl, "apply", "-n", stage.namespace, "-o", "yaml", "-f", "-", input=output
    )
    stored = yaml.safe_load(applied.stdout)["items"]
    assert [each["spec"] for each in stored] == [each["spec"] for each in documents]


async def test_without_a_vault_it_is_refused(stage, api_server):
    """Nobody applies by mistake what a person still has to complete."""
    output = converted()
    assert output.count("# TODO vault") == 7

    for document in yaml.safe_load_all(output):
        if document["metadata"]["name"] == "login":
            continue
        with pytest.raises(KubectlFailed) as refused:
            await asyncio.to_thread(
                api_server.kubectl, "apply", "-n", stage.namespace, "-f", "-", input=yaml.safe_dump(document)
            )
        assert "must be of the form vaults/<vault>/items/<item>" in str(refused.value)
