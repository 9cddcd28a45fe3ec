"""Where the `keyturn` command begins: it handles the signal to end from the first moment."""

from __future__ import annotations

import signal
import sys
from importlib.metadata import version

from keyturn.client import CLIENT_COMMANDS


def main() -> int:
    """Run the command line; returns the exit code."""
    is_client = sys.argv[1:2] != [] and sys.argv[1] in CLIENT_COMMANDS
    # The kernel does not deliver a signal to the first process of a container unless the process has a handler for it. The
    # imports take a second or more; without this handler a pod that is deleted meanwhile would run until the kubelet kills it
    # after half a minute. A client that is ended has not done what it was asked for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM if is_client else 0))
    if is_client:
        # A step of a pipeline does not wait for the libraries of the operator.
        from keyturn.client.command import run_client  # noqa: PLC0415  the handler comes first

        return run_client(sys.argv[1:], version=version("keyturn"))
    if sys.argv[1:2] == ["broker"]:
        # Without the libraries of the operator.
        from keyturn.broker.command import broker_command  # noqa: PLC0415  the handler comes first

        return broker_command(sys.argv[2:])
    from keyturn.cli import run_command  # noqa: PLC0415  the handler comes first

    return run_command()


if __name__ == "__main__":
    sys.exit(main())
