"""Starting a supervisor, and the two pipes that tie it to its starter."""

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import IO, cast

from localcluster.components import Options
from localcluster.errors import ClusterSetupError
from localcluster.layout import Layout
from localcluster.readiness import tail


class Lifeline:
    """A running supervisor as its starter holds it: when the starter ends or cuts the line, the supervisor ends."""

    def __init__(self, hold: IO[bytes], words: IO[bytes]) -> None:
        # The supervisor's standard input and output. Each side sees the other's end as the end of the file.
        self._hold = hold
        self._words = words

    def await_start(self, layout: Layout, *, timeout: float) -> None:
        """Wait for the line that says that all components were started and the state file is there.

        Raises:
            ClusterSetupError: it did not come within `timeout` seconds, or the supervisor failed.
        """
        readable, _, _ = select.select([self._words], [], [], timeout)
        if not readable or not self._words.readline():
            raise ClusterSetupError(f"the local cluster could not be started:\n{tail(layout, 'supervisor')}")

    def release(self) -> None:
        """Let the supervisor go on without a starter."""
        self._hold.write(b"go on\n")
        self._hold.close()
        self._words.close()

    def cut(self, *, timeout: float) -> None:
        """End the supervisor, and wait at most `timeout` seconds until it has ended."""
        self._hold.close()
        with self._words:
            select.select([self._words], [], [], timeout)


def launch(layout: Layout, *, binaries: Path, options: Options) -> Lifeline:
    """Start a supervisor, which this process's terminal, threads and signals do not reach."""
    arguments = [f"--binaries={binaries}"]
    if options.audit_policy is not None:
        arguments.append(f"--audit-policy={options.audit_policy.resolve()}")
    arguments += [f"--apiserver-arg={argument}" for argument in options.apiserver_args]
    arguments += [f"--controller-manager-arg={argument}" for argument in options.controller_manager_args]
    process = supervising("localcluster", layout.directory, *arguments, log=layout.log("supervisor"))
    # The supervisor makes itself a child of the machine's first process, so nothing is left for us to reap.
    process.wait()
    return Lifeline(cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout))


def supervising(package: str, *arguments: str | Path, log: Path) -> subprocess.Popen[bytes]:
    """Start the supervisor of a package of ours, with pipes to its standard input and output, out of a terminal's reach."""
    with log.open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", package, "supervise", *arguments],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd="/",
            env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
            start_new_session=True,
        )
