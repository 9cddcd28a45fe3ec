"""Commands that end with the test process that starts them, however that ends."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

# Asks the kernel for a SIGKILL when the parent is gone, looks whether it is gone already, and becomes the command. A process in
# between, because code that runs between fork and exec is unsafe in a parent with threads.
_LAUNCHER = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


def bound_to_us(command: Sequence[str | Path]) -> list[str]:
    """The command, which is to be started by this process and dies with it."""
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *map(str, command)]
