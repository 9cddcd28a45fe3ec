"""Copies into one folder what a virtual environment needs to run, and no more: the root of our container image.

Runs in the image's build stage, with the Python that the environment was made by and the standard library alone.
"""

from __future__ import annotations

import compileall
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

# What is never imported in a container: tests, editors, installers, and the archive for linking against Python.
_UNUSED_LIBRARY = (
    *("__phello__", "config-*", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tkinter", "turtledemo"),
    *("dist-packages", "site-packages", "__pycache__"),
)
_INSTALLERS = (
    "pip",
    "pip-*",
    "setuptools",
    "setuptools-*",
    "pkg_resources",
    "_distutils_hack",
    "distutils-precedence.pth",
)
# The Kubernetes client has a class for every kind and every call, and finds each by its name when it is used. We use none;
# kopf uses these.
_GENERATED = ("client/api", "client/models", "aio/client/api", "aio/client/models")
_NEEDED_MODELS = frozenset({"__init__", "v1_managed_fields_entry", "v1_object_meta", "v1_owner_reference"})
# Nothing in the image changes, so Python need not check whether a module is newer than its compiled form.
_UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_FILES = {
    "etc/passwd": "keyturn:x:65532:65532::/:\n",
    "etc/group": "keyturn:x:65532:\n",
    # Entries of /etc/hosts are used, and before the name service.
    "etc/nsswitch.conf": "hosts: files dns\n",
}


def main() -> None:
    """Assemble: `assemble.py ENVIRONMENT ROOT`."""
    environment, root = Path(sys.argv[1]), Path(sys.argv[2])
    copy_python(root)
    copy_environment(environment, root)
    copy_libraries(root)
    for name, content in _FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="ascii")
    copy(_CERTIFICATES, root)
    temporary = root / "tmp"
    temporary.mkdir()
    temporary.chmod(0o1777)
    size = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir())
    print(f"{root}: {size / 2**20:.0f} MiB")


def copy_python(root: Path) -> None:
    """Copy the interpreter and its standard library, compiled: the image's files are read-only."""
    copy(Path(sys.executable).resolve(), root)
    for name in ("stdlib", "platstdlib"):
        library = Path(sysconfig.get_path(name))
        target = root / library.relative_to("/")
        # Debian keeps some files of the library below /etc.
        shutil.copytree(
            library,
            target,
            ignore=shutil.ignore_patterns(*_UNUSED_LIBRARY),
            ignore_dangling_symlinks=True,
            dirs_exist_ok=True,
        )
        compile_below(target, library)


def copy_environment(environment: Path, root: Path) -> None:
    """Copy the virtual environment without what installed it and without generated code that is never imported."""
    target = root / environment.relative_to("/")
    shutil.copytree(environment, target, symlinks=True, ignore=shutil.ignore_patterns(*_INSTALLERS, "__pycache__"))
    for program in (target / "bin").iterdir():
        if program.name.startswith(("activate", "Activate", "pip")):
            program.unlink()
    # Links to links, by way of some that are not copied.
    for interpreter in (target / "bin").glob("python*"):
        interpreter.unlink()
        interpreter.symlink_to(Path(sys.executable).resolve())
    [packages] = target.glob("lib/python3*/site-packages")
    for folder in _GENERATED:
        for module in (packages / "kubernetes" / folder).glob("*.py"):
            if module.stem not in _NEEDED_MODELS:
                module.unlink()
    compile_below(packages, Path("/") / packages.relative_to(root))


def copy_libraries(root: Path) -> None:
    """Copy every shared library that something copied so far is linked to, and the loader, to the path at which it is searched."""
    linked = {path for path in root.rglob("*") if path.suffix == ".so" or ".so." in path.name}
    linked.add(root / Path(sys.executable).resolve().relative_to("/"))
    found: set[Path] = set()
    for path in linked:
        result = subprocess.run(["ldd", str(path)], check=False, capture_output=True, text=True)
        found.update(Path(match) for match in re.findall(r"(/\S+) \(0x", result.stdout))
    own = {library for library in found if library.is_relative_to(root)}
    for library in found - own:
        copy(library, root)


def compile_below(folder: Path, runs_as: Path) -> None:
    """Compile all modules of a folder that will be found as `runs_as`."""
    compileall.compile_dir(folder, quiet=2, stripdir=str(folder), prependdir=str(runs_as), invalidation_mode=_UNCHECKED)


def copy(path: Path, root: Path) -> None:
    """Copy a file's content to the same path below `root`."""
    target = root / path.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target, follow_symlinks=True)


if __name__ == "__main__":
    main()
