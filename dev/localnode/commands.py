"""Running the tools of the machine that make packages and images: quiet while all is well, quoted when they fail."""

import subprocess
from collections.abc import Mapping

from localnode.errors import NodeFailed

_LAST_WORDS = 3000


def run(*command: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a tool to its end.

    Raises:
        NodeFailed: it failed; the message holds the end of its output.
    """
    result = subprocess.run(
        command,
        check=False,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if result.returncode:
        raise NodeFailed(f"`{' '.join(command)}` failed:\n{result.stdout[-_LAST_WORDS:]}")
