"""A node that stays up with the chart's trial on it, for playing, and its end."""

import contextlib
import json
import os
import shlex
import shutil
import signal
import time
from pathlib import Path

from localcluster.binaries import ensure_helm
from localcluster.processes import Process
from localnode import cgroups
from localnode.building import IMAGES, OPERATOR, ensure_image
from localnode.commands import run
from localnode.errors import NodeFailed
from localnode.layout import Layout
from localnode.node import LocalNode

_ROOT = Path(__file__).resolve().parents[2]
_WEB = Path(__file__).with_name("web.yaml")
_NAMESPACE = "keyturn"
_INTERVAL_S = 2
_STOP_S = 60.0
_PROGRAM = """#!/bin/sh
# Runs {program} in the network of the node, since everything listens there.
export KUBECONFIG={kubeconfig} KUBECACHEDIR={folder}/kubectl
export HELM_CACHE_HOME={folder}/cache HELM_CONFIG_HOME={folder}/config HELM_DATA_HOME={folder}/data
exec nsenter --net=/proc/{pid}/ns/net -- {program} "$@"
"""


def up(directory: Path) -> None:
    """Start a node in a directory, install the chart with its emulator on it, and let both go on; print what to do next.

    If one runs there already, only print that.

    Raises:
        ClusterSetupError: it cannot be done; nothing is left running.
    """
    layout = Layout(directory.absolute())
    if (process := _supervisor(layout)) is not None and process.alive():
        _say(f"The node in {layout.directory} runs already")
    else:
        # What a crash of the machine may have left behind.
        down(directory)
        began = time.monotonic()
        _start(layout)
        _say(f"Ready after {time.monotonic() - began:.0f} s")
    print(_next(layout))


def down(directory: Path) -> None:
    """End the node that `up` started in a directory, and remove every trace of it; do nothing if there is none."""
    layout = Layout(directory.absolute())
    process = _supervisor(layout)
    if process is None:
        return
    process.send(signal.SIGTERM)
    if not process.wait(_STOP_S):
        process.send(signal.SIGKILL)
        process.wait(_STOP_S)
    # A supervisor that was killed has not cleared up.
    cgroups.remove(layout.cgroup)
    shutil.rmtree(layout.directory, ignore_errors=True)


def _start(layout: Layout) -> None:
    helm, archives = ensure_helm(), [ensure_image(image) for image in IMAGES]
    _say("Starting a control plane and a node")
    with contextlib.ExitStack() as until_released:
        node = LocalNode.start(layout.directory)
        until_released.callback(node.stop)
        _say("Giving the node the images of Keyturn and of the emulator")
        for archive in archives:
            node.load(archive)
        _write_programs(layout, node, helm)
        _say("Installing the chart with its emulator")
        repository, _, tag = OPERATOR.name.partition(":")
        chosen = f"image.repository={repository},image.tag={tag},emulator.enabled=true,operator.pollingInterval={_INTERVAL_S}"
        _run(layout, "helm", "install", "keyturn", str(_ROOT / "helm" / "keyturn"), *_in_namespace(), "--set", chosen)
        _say("Requesting a Secret, and running a Deployment that uses it")
        _run(layout, "kubectl", "apply", "-f", str(_ROOT / "examples" / "database.yaml"), "-f", str(_WEB))
        _run(layout, "kubectl", "wait", "--for=condition=Ready", "opi/database", "--timeout=60s")
        _run(layout, "kubectl", "rollout", "status", "deployment/web", "--timeout=180s")
        node.release()
        until_released.pop_all()


def _in_namespace() -> tuple[str, ...]:
    return (f"--namespace={_NAMESPACE}", "--create-namespace", "--wait", "--timeout=180s")


def _write_programs(layout: Layout, node: LocalNode, helm: Path) -> None:
    """Write small scripts that do what the reader's own `kubectl`, `helm` and `curl` would, but in the node's network."""
    layout.programs.mkdir()
    for name, program in (("kubectl", str(node.cluster.kubectl_path)), ("helm", str(helm)), ("inside", "")):
        script = layout.programs / name
        text = _PROGRAM.format(
            program=shlex.quote(program) if program else "",
            kubeconfig=shlex.quote(str(node.cluster.kubeconfig)),
            folder=shlex.quote(str(layout.directory)),
            pid=node.pid,
        )
        script.write_text(text, encoding="utf-8")
        script.chmod(0o755)


def _run(layout: Layout, program: str, *arguments: str) -> None:
    run(str(layout.programs / program), *arguments, environment=os.environ)


def _supervisor(layout: Layout) -> Process | None:
    """The process that ends the node, if one was started in this directory."""
    try:
        return Process(**json.loads(layout.state.read_text(encoding="utf-8")))
    except FileNotFoundError:
        pass
    if layout.directory.exists() and any(layout.directory.iterdir()):
        raise NodeFailed(
            f"{layout.directory} is not empty, and no node runs in it: remove it, or name another with --dir"
        )
    return None


def _say(what: str) -> None:
    print(f"==> {what}", flush=True)


def _next(layout: Layout) -> str:
    kubectl = "kubectl --namespace keyturn"
    return f"""
Everything listens in a network of its own, so use these `kubectl` and `helm`; `inside COMMAND` runs anything else there:

  export PATH={shlex.quote(str(layout.programs))}:$PATH
  export KUBECONFIG={shlex.quote(str(layout.kubeconfig))}

  kubectl get opi,secrets,pods
  kubectl describe opi database
  {kubectl} logs deployment/keyturn

  # rotate the password in the emulated vault, and see the Deployment restart with the new one
  {kubectl} port-forward deployment/keyturn-emulator 8081 &
  inside curl -X POST http://127.0.0.1:8081/vaults/Production/items/database/rotate -d '{{}}'
  kubectl rollout status deployment/web
  kubectl exec deployment/web -- printenv PASSWORD

To stop it and remove every trace:

  make node-down"""
