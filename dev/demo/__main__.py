"""The command line: `python -m demo [--keep | --stop | --record]`."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from types import FrameType

from connect_emulator.admin.client import AdminError
from demo.programs import ProgramFailed
from demo.readme import NoPlace
from demo.recording import record
from demo.stage import ROOT, Stage, StageError, stop_kept
from demo.story import ITEM, VAULT, Story, StoryBroken
from demo.words import Terminal, milliseconds
from localcluster import ClusterSetupError
from localcluster.binaries import ensure_binaries

_EXPECTED = (
    *(AdminError, ClusterSetupError, NoPlace, ProgramFailed, StageError, StoryBroken),
    *(OSError, subprocess.TimeoutExpired),
)


def main() -> int:
    """Run the demo; return the exit status."""
    arguments = _parser().parse_args()
    # Ctrl-C, too: a shell starts what it puts into the background with that ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    try:
        if arguments.stop:
            stop_kept()
            print("The demo has ended.")
        else:
            _play(keep=arguments.keep, to_readme=arguments.record)
    except BrokenPipeError:
        # The reader of our output has closed it. Python must not flush standard output into a closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except _EXPECTED as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m demo", description="Keyturn's whole story, on a real control plane."
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--keep", action="store_true", help="leave everything running for you to play with")
    choice.add_argument("--stop", action="store_true", help="stop what --keep left running")
    choice.add_argument("--record", action="store_true", help="put what the demo prints into README.md")
    return parser


def _play(*, keep: bool, to_readme: bool) -> None:
    terminal = Terminal(sys.stdout)
    terminal.close("Keyturn: Secrets that follow 1Password, told on a real Kubernetes control plane.")
    ensure_binaries()
    began = time.monotonic()
    stage = Stage.open(kept=keep)
    try:
        Story(terminal, stage).tell()
    except BaseException as error:
        if not isinstance(error, (KeyboardInterrupt, BrokenPipeError)) and (tail := stage.tail()):
            print(f"\nThe operator's log ends with:\n{tail}", file=sys.stderr)
        _undisturbed(stage)
        raise
    if keep:
        _print_playground(stage)
        return
    _undisturbed(stage)
    terminal.close(
        f"Told in {milliseconds(time.monotonic() - began)}. Every process, port and file of it is gone again."
    )
    if to_readme:
        record(terminal.scenes)


def _undisturbed(stage: Stage) -> None:
    """Take the stage down, whatever signals come meanwhile."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    stage.close()


def _interrupted(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _print_playground(stage: Stage) -> None:
    admin = stage.emulator.admin.url
    kubectl = shlex.quote(str(stage.cluster.kubectl_path.parent))
    print(f"""
Everything still runs. To play with it:

  export KUBECONFIG={shlex.quote(str(stage.cluster.kubeconfig))}
  export PATH={kubectl}:$PATH
  cd {shlex.quote(str(ROOT))}
  kubectl apply -f examples/database.yaml
  kubectl get opi,secrets,deployments

  # rotate a password in the vault; make Connect fail, and bring it back
  curl -X POST {admin}/vaults/{VAULT}/items/{ITEM}/rotate
  curl -X PUT {admin}/outage -d '{{"on": true}}'
  curl -X PUT {admin}/outage -d '{{"on": false}}'

  curl {stage.operator.address}/readyz?verbose
  curl {stage.operator.address}/metrics
  tail -f {shlex.quote(str(stage.operator.log))}

To stop it and remove every trace:

  make demo STOP=1""")


if __name__ == "__main__":
    sys.exit(main())
