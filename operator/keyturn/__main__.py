"""Where the `keyturn` command begins: it handles the signal to end from the first moment."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run the command line; returns the exit code."""
    # The kernel does not deliver a signal to the first process of a container unless the process has a handler for it. The
    # imports take a second or more; without this handler a pod that is deleted meanwhile would run until the kubelet kills it
    # after half a minute.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if sys.argv[1:2] == ["broker"]:
        # Without the libraries of the operator.
        from keyturn.broker.command import broker_command  # noqa: PLC0415  the handler comes first

        return broker_command(sys.argv[2:])
    from keyturn.cli import run_command  # noqa: PLC0415  the handler comes first

    return run_command()


if __name__ == "__main__":
    sys.exit(main())
