"""Commands of a page, typed as they stand there: with a home of their own, and with the `kubectl` and `helm` of a local cluster."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from support.patience import LONG_S

ROOT = Path(__file__).resolve().parents[2]


class TypedCommands:
    """A shell in the clone.

    Args:
        folder: the home, which it furnishes.
        programs: what a command's first word stands for.
        environment: further variables, such as those of a cluster.
    """

    def __init__(self, folder: Path, *, programs: Mapping[str, Path], environment: Mapping[str, str]) -> None:
        for name, program in programs.items():
            (folder / name).symlink_to(program)
        homes = {f"HELM_{name}_HOME": str(folder / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        self._environment = {
            **environment,
            **homes,
            "HOME": str(folder),
            "PATH": f"{folder}:{os.environ['PATH']}",
        }

    def __call__(self, lines: str) -> str:
        """Run a block of lines, each of which must succeed; returns what the last one printed."""
        printed = ""
        for line in lines.splitlines():
            ended = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", line],
                check=False,
                capture_output=True,
                text=True,
                cwd=ROOT,
                env=self._environment,
                timeout=LONG_S + 30,
            )
            assert ended.returncode == 0, f"{line}\n{ended.stdout}{ended.stderr}"
            printed = ended.stdout
        return printed
