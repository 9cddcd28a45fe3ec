"""What the `keyturn` command begins with, so that a signal to end is heard from the first moment on."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run the command line; returns the exit code."""
    # The kernel keeps from a container's first process every signal that it has no handler for. Loading the rest takes a second
    # or more, and a pod that is deleted meanwhile would run on until the kubelet kills it after half a minute.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from keyturn.cli import main as run  # noqa: PLC0415  the handler comes first

    return run()


if __name__ == "__main__":
    sys.exit(main())
