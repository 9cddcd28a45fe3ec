"""The command line of the local cluster: `python -m localcluster build|up|down|status|env|kubectl`."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from localcluster.binaries import ensure_binaries, ensure_flux, ensure_helm, kubernetes_version
from localcluster.cluster import LocalCluster
from localcluster.components import Options
from localcluster.errors import ClusterSetupError, NotRunning
from localcluster.layout import Layout
from localcluster.paths import default_run_directory
from localcluster.supervisor import supervise


def main() -> int:
    """Run one command; return the exit status."""
    arguments = _parser().parse_args()
    try:
        return int(arguments.run(arguments))
    except (ClusterSetupError, OSError) as error:
        print(f"localcluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m localcluster", description=f"A local Kubernetes {kubernetes_version()}."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary, description=summary)
        added.set_defaults(run=run)
        return added

    command("build", _build, "build the control plane, Helm and Flux, if the cache does not hold them")
    for name, run, summary in (
        ("up", _up, "start a cluster that stays up"),
        ("down", _down, "stop it and remove its directory"),
        ("status", _status, "say what runs"),
        ("env", _env, "print the shell lines that make kubectl talk to it"),
        ("kubectl", _kubectl, "run the cluster's own kubectl"),
    ):
        added = command(name, run, summary)
        added.add_argument(
            "--dir", type=Path, default=default_run_directory(), help="its directory (default: %(default)s)"
        )
        if name == "kubectl":
            added.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGS")
    internal = commands.add_parser("supervise")
    internal.set_defaults(run=_supervise)
    internal.add_argument("directory", type=Path)
    internal.add_argument("--binaries", type=Path, required=True)
    internal.add_argument("--audit-policy", type=Path)
    internal.add_argument("--apiserver-arg", action="append", default=[])
    internal.add_argument("--controller-manager-arg", action="append", default=[])
    return parser


def _build(_: argparse.Namespace) -> int:
    print(ensure_binaries())
    print(ensure_helm())
    print(ensure_flux())
    return 0


def _up(arguments: argparse.Namespace) -> int:
    try:
        cluster = LocalCluster.attach(arguments.dir)
        print(f"# The cluster in {cluster.directory} runs already.")
    except NotRunning:
        # What a crash of the machine may have left behind.
        LocalCluster(Layout(arguments.dir)).stop()
        cluster = LocalCluster.start(arguments.dir, detached=True)
        print(f"# Kubernetes {kubernetes_version()} runs at {cluster.server}; `down` stops it.")
    _print_environment(cluster)
    return 0


def _down(arguments: argparse.Namespace) -> int:
    LocalCluster(Layout(arguments.dir)).stop()
    return 0


def _status(arguments: argparse.Namespace) -> int:
    cluster = LocalCluster.attach(arguments.dir)
    print(f"{cluster.server}  {cluster.directory}")
    for name, alive in cluster.components().items():
        print(f"  {name:<24} {'runs' if alive else 'has ended'}")
    return 0 if all(cluster.components().values()) else 1


def _env(arguments: argparse.Namespace) -> int:
    _print_environment(LocalCluster.attach(arguments.dir))
    return 0


def _kubectl(arguments: argparse.Namespace) -> int:
    cluster = LocalCluster.attach(arguments.dir)
    # A leading `--` parts our options from kubectl's.
    forwarded = arguments.arguments[1:] if arguments.arguments[:1] == ["--"] else arguments.arguments
    os.execve(cluster.kubectl_path, ["kubectl", *forwarded], cluster.environment())  # noqa: S606  no shell is wanted


def _supervise(arguments: argparse.Namespace) -> int:
    supervise(
        Layout(arguments.directory),
        binaries=arguments.binaries,
        options=Options(arguments.audit_policy, arguments.apiserver_arg, arguments.controller_manager_arg),
    )
    return 0


def _print_environment(cluster: LocalCluster) -> None:
    print(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")
    print(f"export PATH={shlex.quote(str(cluster.kubectl_path.parent))}:$PATH")


if __name__ == "__main__":
    sys.exit(main())
