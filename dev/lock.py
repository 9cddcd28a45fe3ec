"""Resolves the dependencies into lock files that hold names, versions and hashes, and no download addresses."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OPERATOR = "pyproject.toml"
EMULATOR = "operator/connect_emulator/pyproject.toml"
# The images hold the very versions that were tested.
AS_TESTED = ["--constraints", "requirements/dev.lock"]
# Every filter, every provider and the broker work in the image, and are tested.
ALL_EXTRAS = ["--extra", "crypto", "--extra", "onepassword", "--extra", "bitwarden", "--extra", "broker"]
# Each file's arguments, in the order of writing.
LOCKS = {
    # what users install
    "runtime.lock": [OPERATOR],
    # what `make install` installs
    "dev.lock": [OPERATOR, EMULATOR, "--group", "dev", *ALL_EXTRAS],
    # what the operator's image holds
    "image.lock": [OPERATOR, *ALL_EXTRAS, *AS_TESTED],
    # what the emulator's image holds
    "emulator.lock": [EMULATOR, *AS_TESTED],
}
UV = ["uv==0.13.8"]


def compile_lock(name: str, arguments: list[str]) -> None:
    """Write one lock file, for every Python version and platform we support."""
    target = f"requirements/{name}"
    command = [".venv/bin/uv", "pip", "compile", *arguments, "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--no-emit-index-url", "--no-header", "--quiet", "--output-file", target]
    subprocess.run(command, cwd=ROOT, check=True)
    print(f"wrote {target}")


def main() -> None:
    """Lock everything; `--upgrade` takes newer versions if the ranges allow them."""
    subprocess.run([".venv/bin/python", "-m", "pip", "install", "--quiet", *UV], cwd=ROOT, check=True)
    upgrade = sys.argv[1:]
    for name, arguments in LOCKS.items():
        compile_lock(name, [*arguments, *upgrade])
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    source = ROOT / "requirements" / "build.in"
    source.write_text("\n".join([*build, "editables"]) + "\n")
    compile_lock("build.lock", ["requirements/build.in", *upgrade])
    source.unlink()


if __name__ == "__main__":
    main()
