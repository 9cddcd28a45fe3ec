"""The one-file client in processes of its own, on a Python that has no packages."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.patience import PATIENCE_S
from support.stub_broker import TOKEN


def found_python(version: str) -> str | None:
    """A Python of that version, from the path or from pyenv; None if this machine has none."""
    installed = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))
    named = shutil.which(f"python{version}")
    # A shim of pyenv is found, too, and runs nothing.
    return str(installed[-1]) if installed else None if named and "/shims/" in named else named


# -S: no package is found, not even ours. -I: no variable and no folder of the user changes what is imported.
THIS_PYTHON = [sys.executable, "-I", "-S"]
OLDEST_PYTHON = [found_python("3.9") or sys.executable, "-I", "-S"]


class ClientCommands:
    """Runs the client's commands."""

    def __init__(self, pyz: Path, folder: Path, url: str) -> None:
        self.pyz = pyz
        self.token = folder / "token"
        self.token.write_text(TOKEN + "\n")
        self.environment = {
            "PATH": os.environ["PATH"],
            "KEYTURN_BROKER_URL": url,
            "KEYTURN_TOKEN_FILE": str(self.token),
        }
        self.python = THIS_PYTHON

    def words(self, *arguments: object) -> list[str]:
        """The words that the operating system gets."""
        return [*self.python, str(self.pyz), *map(str, arguments)]

    def __call__(self, *arguments: object, given: bytes = b"", **variables: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end."""
        return subprocess.run(
            self.words(*arguments),
            input=given,
            env={**self.environment, **variables},
            capture_output=True,
            check=False,
            # As in a pipeline: a terminal would send its keys to the command by itself.
            start_new_session=True,
            timeout=PATIENCE_S,
        )

    def start(self, *arguments: object, **variables: str) -> subprocess.Popen[bytes]:
        """Start a command that the test ends."""
        return subprocess.Popen(
            self.words(*arguments),
            env={**self.environment, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
