"""One `go build`, with progress that is readable on a terminal and in a log."""

import os
import selectors
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, cast

from localcluster.errors import BuildFailed
from localcluster.toolchain import go_environment

_LAST_WORDS = 30
# Seconds between two signs of life: a terminal's line is overwritten, a log's line stays.
_TERMINAL_INTERVAL = 1.0
_LOG_INTERVAL = 30.0


def build(
    go: Path, *, module: Path, package: str, output: Path, label: str, stamps: Mapping[str, str] | None = None
) -> None:
    """Build one executable.

    Args:
        go: the compiler.
        module: the folder whose `go.mod` pins the package.
        package: the main package.
        output: the executable to write.
        label: what to call it in the progress lines.
        stamps: values of Go string variables by their full names, such as the version that a program reports.

    Raises:
        BuildFailed: with the end of the compiler's output.
    """
    linker_flags = " ".join(("-s -w", *(f"-X {name}={value}" for name, value in (stamps or {}).items())))
    flags = ("-v", "-trimpath", "-buildvcs=false", f"-ldflags={linker_flags}")
    with subprocess.Popen(
        [go, "build", *flags, "-o", output, package],
        cwd=module,
        env=go_environment(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            last_words = _report(cast("IO[bytes]", process.stderr), _Progress(label))
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise BuildFailed(f"could not build {package}; the end of its output:\n{last_words}")


def source_of(go: Path, main_module: Path, module: str) -> Path:
    """Return the folder that holds the source of a module, from which something was built.

    Raises:
        BuildFailed: Go does not know it; the message is its own.
    """
    command: list[str | Path] = [go, "list", "-m", "-f", "{{.Dir}}", module]
    result = subprocess.run(command, cwd=main_module, env=go_environment(), check=False, capture_output=True, text=True)
    if result.returncode:
        raise BuildFailed(f"the source of {module} is not there; the output of go:\n{result.stderr.strip()}")
    return Path(result.stdout.strip())


def _report(stderr: IO[bytes], progress: "_Progress") -> str:
    """Read Go's one line per downloaded module or compiled package; return the last ones."""
    last_words: deque[str] = deque(maxlen=_LAST_WORDS)
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stderr, selectors.EVENT_READ)
        while True:
            progress.tick()
            if not selector.select(progress.interval):
                continue
            chunk = os.read(stderr.fileno(), 65536)
            if not chunk:
                break
            *lines, pending = (pending + chunk).split(b"\n")
            last_words.extend(line.decode(errors="replace") for line in lines)
            progress.add(lines)
    progress.finish()
    return "\n".join((*last_words, pending.decode(errors="replace"))).strip()


class _Progress:
    """The progress line of one build."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._terminal = sys.stderr.isatty()
        self.interval = _TERMINAL_INTERVAL if self._terminal else _LOG_INTERVAL
        self._began = self._shown = time.monotonic()
        self._downloaded = self._compiled = 0
        self._show("starting", final=False)

    def add(self, lines: list[bytes]) -> None:
        """Count what Go reported."""
        downloads = sum(line.startswith(b"go: downloading") for line in lines)
        self._downloaded += downloads
        self._compiled += len(lines) - downloads

    def tick(self) -> None:
        """Show the counts if the interval has passed."""
        if time.monotonic() - self._shown >= self.interval:
            self._show(self._counts(), final=False)

    def finish(self) -> None:
        """Show the counts a last time."""
        self._show(self._counts(), final=True)

    def _counts(self) -> str:
        downloads = f"{self._downloaded} modules downloaded, " if self._downloaded else ""
        return f"{downloads}{self._compiled} packages compiled"

    def _show(self, what: str, *, final: bool) -> None:
        self._shown = time.monotonic()
        minutes, seconds = divmod(int(self._shown - self._began), 60)
        line = f"  {self._label:<30} {minutes}:{seconds:02}  {what}"
        ending = "\n" if final or not self._terminal else ""
        print(f"\r\x1b[K{line}" if self._terminal else line, end=ending, file=sys.stderr, flush=True)
