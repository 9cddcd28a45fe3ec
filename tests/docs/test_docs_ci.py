"""The page on pipelines: its manifests are taken by a Kubernetes API server and by schemas, and its scripts run."""

import asyncio
import json
import os
import re
import subprocess
import textwrap
from pathlib import Path

import jsonschema
import pytest
import yaml

from keyturn.client.caller_token import TOKEN_AUDIENCE
from keyturn.client.client_settings import FOLDER
from support.client_process import ClientCommands
from support.client_shell import client_programs
from support.pages import shown_manifest, shown_yaml
from support.patience import PATIENCE_S
from support.stub_broker import stub_broker

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ci.md"
TEXT = PAGE.read_text()
DOCUMENTS = [document for block in shown_yaml(PAGE) for document in block]
MASK = "<concealed by Keyturn>"


def only(key):
    """The only document of the page with that key."""
    [found] = [each for each in DOCUMENTS if key in each]
    return found


def jenkinsfile():
    """The only block of Groovy, and the texts between its triple quotes: the pod, and the script."""
    [block] = re.findall(r"^```groovy\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    pod, script = (textwrap.dedent(text) for text in re.findall(r"'''\n(.*?)'''", block, re.DOTALL))
    return block, yaml.safe_load(pod), script


TASK, WORKFLOW = shown_manifest(PAGE, "Task"), shown_manifest(PAGE, "Workflow")
VALUES, ACTION = only("githubConfigUrl"), only("jobs")
JENKINSFILE, JENKINS_POD, JENKINS_SCRIPT = jenkinsfile()
[STEP] = TASK["spec"]["steps"]
[TEMPLATE] = WORKFLOW["spec"]["templates"]
[_, ACTION_STEP] = ACTION["jobs"]["deploy"]["steps"]


def without(mapping, *keys):
    return {key: value for key, value in mapping.items() if key not in keys}


# What Kubernetes runs in the end: the parts that Tekton and Argo Workflows copy into their pods.
POD_SPECS = {
    "Tekton": {
        "serviceAccountName": shown_manifest(PAGE, "TaskRun")["spec"]["serviceAccountName"],
        "containers": [without(STEP, "script")],
        "volumes": TASK["spec"]["volumes"],
    },
    "Argo Workflows": {
        "serviceAccountName": WORKFLOW["spec"]["serviceAccountName"],
        "containers": [{"name": TEMPLATE["name"], **without(TEMPLATE["script"], "source")}],
        "volumes": TEMPLATE["volumes"],
    },
    "Actions Runner Controller": VALUES["template"]["spec"],
    "Jenkins": JENKINS_POD["spec"],
}

NAME = {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]*[a-z0-9-]$"}
METADATA = {
    "type": "object",
    "properties": {"name": NAME, "generateName": NAME},
    "minProperties": 1,
    "additionalProperties": False,
}
# Checked above, as parts of pods.
OF_A_POD = {"type": "array", "items": {"type": "object", "required": ["name"]}, "minItems": 1}


def strict(**properties):
    """An object that has all of these members, and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


# What wraps the parts of pods, by the references of Tekton, Argo Workflows, the chart of the runners, and GitHub. The definitions that
# Tekton and Argo Workflows install took these manifests, too, when this was written; they are too large to be kept here.
SCHEMAS = {
    "Task": strict(
        apiVersion={"const": "tekton.dev/v1"},
        kind={"const": "Task"},
        metadata=METADATA,
        spec=strict(
            steps={
                "type": "array",
                "items": strict(
                    name=NAME, image={"type": "string"}, env=OF_A_POD, volumeMounts=OF_A_POD, script={"type": "string"}
                ),
            },
            volumes=OF_A_POD,
        ),
    ),
    "TaskRun": strict(
        apiVersion={"const": "tekton.dev/v1"},
        kind={"const": "TaskRun"},
        metadata=METADATA,
        spec=strict(serviceAccountName=NAME, taskRef=strict(name={"const": TASK["metadata"]["name"]})),
    ),
    "Workflow": strict(
        apiVersion={"const": "argoproj.io/v1alpha1"},
        kind={"const": "Workflow"},
        metadata=METADATA,
        spec=strict(
            serviceAccountName=NAME,
            entrypoint={"const": TEMPLATE["name"]},
            podGC=strict(
                strategy={"enum": ["OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion", "OnWorkflowSuccess"]}
            ),
            templates={
                "type": "array",
                "items": strict(
                    name=NAME,
                    volumes=OF_A_POD,
                    script=strict(
                        image={"type": "string"},
                        command={"type": "array", "items": {"type": "string"}},
                        env=OF_A_POD,
                        volumeMounts=OF_A_POD,
                        source={"type": "string"},
                    ),
                ),
            },
        ),
    ),
    "values": strict(
        githubConfigUrl={"type": "string", "pattern": "^https://github.com/"},
        githubConfigSecret=NAME,
        runnerScaleSetName=NAME,
        template=strict(spec={"type": "object", "required": ["containers"]}),
    ),
    "action": strict(
        name={"type": "string"},
        on=strict(push=strict(branches={"type": "array", "items": {"type": "string"}})),
        permissions=strict(contents={"enum": ["read", "write", "none"]}),
        jobs=strict(
            deploy={
                **strict(
                    **{"runs-on": {"const": VALUES["runnerScaleSetName"]}},
                    steps={
                        "type": "array",
                        "items": {
                            "oneOf": [
                                strict(uses={"type": "string", "pattern": "^[^@ ]+/[^@ ]+@[^@ ]+$"}),
                                strict(
                                    name={"type": "string"},
                                    env={"type": "object", "additionalProperties": {"type": "string"}},
                                    run={"type": "string"},
                                ),
                            ]
                        },
                    },
                )
            }
        ),
    ),
}


@pytest.mark.cluster
@pytest.mark.parametrize("where", POD_SPECS)
async def test_pods_are_taken_by_an_api_server(api_server, namespace, where):
    """With every field known, and every mount backed by a volume."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "step", "namespace": namespace},
        "spec": POD_SPECS[where],
    }
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ci", "namespace": namespace}}

    await asyncio.to_thread(api_server.kubectl, "apply", "-f", "-", input=json.dumps(account))
    await asyncio.to_thread(
        api_server.kubectl, "create", "--dry-run=server", "--validate=strict", "-f", "-", input=json.dumps(pod)
    )


@pytest.mark.parametrize("where", POD_SPECS)
def test_pods_have_what_the_client_looks_for(where):
    """Whoever copies a snippet sets no further variable."""
    spec = POD_SPECS[where]
    [volume] = spec["volumes"]
    [container] = spec["containers"]
    [mount] = container["volumeMounts"]
    token, authority = volume["projected"]["sources"]

    assert (mount["name"], mount["mountPath"], mount["readOnly"]) == (volume["name"], FOLDER, True)
    assert token == {"serviceAccountToken": {"audience": TOKEN_AUDIENCE, "expirationSeconds": 600, "path": "token"}}
    assert authority == {"configMap": {"name": "keyturn-ca"}}
    assert spec["serviceAccountName"] == "ci"
    assert {"name": "KEYTURN_BROKER_URL", "value": "https://keyturn-broker.keyturn.svc"} in container["env"]


@pytest.mark.parametrize("document", [each for each in DOCUMENTS if each.get("kind") != "AccessGrant"], ids=str)
def test_what_wraps_the_pods_fits_its_schema(document):
    """A field that is misspelt is ignored by some of these programs."""
    # YAML 1.1 reads the key `on` as true; GitHub does not.
    document = {"on" if key is True else key: value for key, value in document.items()}
    kind = document.get("kind") or ("action" if "jobs" in document else "values")

    jsonschema.Draft202012Validator(SCHEMAS[kind]).validate(document)


def test_the_jenkinsfile_is_balanced():
    """No Groovy is here to read it, but what is left open is found."""
    code = re.sub(r"'''.*?'''|'[^'\n]*'", "''", JENKINSFILE, flags=re.DOTALL)

    assert code.count("{") == code.count("}")
    assert "'" not in code.replace("''", "")
    assert re.findall(r"\b(?:pipeline|agent|kubernetes|environment|stages|steps)\b", code) == [
        *("pipeline", "agent", "kubernetes", "environment", "stages", "steps")
    ]


SCRIPTS = {
    "Tekton": STEP["script"],
    "Argo Workflows": TEMPLATE["script"]["source"],
    # As the runner starts it.
    "Actions Runner Controller": "set -e\n" + ACTION_STEP["run"],
    "Jenkins": "set -e\n" + JENKINS_SCRIPT,
}
VARIABLES = {
    "Tekton": {each["name"]: each["value"] for each in STEP["env"]},
    "Argo Workflows": {each["name"]: each["value"] for each in TEMPLATE["script"]["env"]},
    "Actions Runner Controller": ACTION_STEP["env"],
    "Jenkins": dict(re.findall(r"^ +(\w+) = '([^']*)'$", JENKINSFILE, re.MULTILINE)),
}


@pytest.mark.parametrize("where", SCRIPTS)
def test_scripts_run(tmp_path, where):
    """The step has the value, the log has not, and the pipeline sees the exit code."""
    deploy = tmp_path / "deploy.sh"
    deploy.write_text('#!/bin/sh\n[ ${#DB_PASSWORD} = 12 ] || exit 1\necho "with $DB_PASSWORD"\nexit 7\n')
    deploy.chmod(0o755)
    with stub_broker() as broker:
        broker.values = {"op://Production/database/password": b"canary-value"}
        client = ClientCommands(tmp_path / "unused", tmp_path, broker.url)
        environment = {**VARIABLES[where], **client.environment}
        environment["PATH"] = f"{client_programs(tmp_path)}:{os.environ['PATH']}"

        ended = subprocess.run(
            ["sh", "-c", SCRIPTS[where]],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )

    assert (ended.returncode, ended.stdout, ended.stderr) == (7, f"with {MASK}\n", "")


def test_the_grant_gives_what_the_scripts_read():
    """A reader tries both together."""
    [grant] = [each for each in DOCUMENTS if each.get("kind") == "AccessGrant"]
    [item] = grant["spec"]["items"]
    _, vault, _, title = item["path"].split("/")

    assert {variables["DB_PASSWORD"] for variables in VARIABLES.values()} == {
        f"op://{vault}/{title}/{field}" for field in item["fields"]
    }
    assert grant["spec"]["to"] == [{"serviceAccount": "ci"}]
