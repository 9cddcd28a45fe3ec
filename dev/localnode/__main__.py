"""The command line of the local node: `python -m localnode prepare|up|down`."""

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from localcluster import ClusterSetupError
from localcluster.paths import default_node_directory
from localnode.building import IMAGES, ensure_image
from localnode.layout import Layout
from localnode.packages import install, obstacle
from localnode.playing import down, up
from localnode.programs import ensure_node_programs
from localnode.supervisor import supervise


def main() -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m localnode", description="A real node for tests.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    prepare = commands.add_parser("prepare", help="build what is not in the cache; in CI, install packages as well")
    prepare.set_defaults(run=_prepare)
    for name, run, summary in (
        ("up", up, "start a node that stays up, with the chart's trial on it"),
        ("down", down, "stop it and remove every trace"),
    ):
        added = commands.add_parser(name, help=summary, description=summary)
        added.set_defaults(run=partial(_play, run))
        added.add_argument(
            "--dir", type=Path, default=default_node_directory(), help="its directory (default: %(default)s)"
        )
    internal = commands.add_parser("supervise")
    internal.set_defaults(run=_supervise)
    internal.add_argument("directory", type=Path)
    internal.add_argument("programs", type=Path)
    arguments = parser.parse_args()
    try:
        return int(arguments.run(arguments))
    except (ClusterSetupError, OSError) as error:
        print(f"localnode: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _prepare(_: argparse.Namespace) -> int:
    """Only a machine that is thrown away afterwards, as those of CI are, gets packages without being asked."""
    if os.environ.get("CI") and os.geteuid() == 0:
        install()
    if (why := obstacle()) is not None:
        print(f"Node tests are left out: {why}")
        return 0
    print(ensure_node_programs())
    for image in IMAGES:
        print(ensure_image(image))
    return 0


def _play(run: Callable[[Path], None], arguments: argparse.Namespace) -> int:
    run(arguments.dir)
    return 0


def _supervise(arguments: argparse.Namespace) -> int:
    supervise(Layout(arguments.directory), programs=arguments.programs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
