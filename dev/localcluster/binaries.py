"""The executables of the control plane: built from the pinned modules once, then taken from the user's cache."""

import fcntl
import hashlib
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcluster.errors import UnsupportedPlatform
from localcluster.gobuild import build
from localcluster.paths import GO_MODULE, cache_directory, pinned
from localcluster.toolchain import find_go

PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}


def ensure_binaries() -> Path:
    """Return the folder of the executables, building them first if it is not there yet.

    Several processes may ask at once: one builds, the others wait for it. Progress goes to standard error.

    Raises:
        UnsupportedPlatform: this is not Linux.
        BuildFailed: something cannot be built; the message holds the compiler's last words.
    """
    if sys.platform != "linux":
        raise UnsupportedPlatform("the local cluster runs on Linux only: use a Linux machine or a container")
    folder = binaries_directory()
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(folder.with_name(f"{folder.name}.lock")):
        if not folder.is_dir():
            _build_all(folder)
    return folder


def binaries_directory() -> Path:
    """Return where the executables lie once they are built.

    The folder is named by what decides about them: the pinned modules and the processor. The compiler is left out on
    purpose: a newer one builds the same Kubernetes, and no upgrade of Go shall cost minutes.
    """
    pins = b"".join((GO_MODULE / name).read_bytes() for name in ("go.mod", "go.sum"))
    digest = hashlib.sha256(pins + platform.machine().encode()).hexdigest()
    return cache_directory() / "control-plane" / f"{kubernetes_version()}-{digest[:12]}"


def kubernetes_version() -> str:
    """Return the pinned version of Kubernetes, such as `v1.35.4`."""
    return pinned("go.mod", r"^\s*k8s\.io/kubernetes (v\S+)")


def _build_all(folder: Path) -> None:
    """Build every executable into a folder aside, and move that into place as a whole."""
    go = find_go()
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    began = time.monotonic()
    print(
        f"Building etcd and Kubernetes {kubernetes_version()} from source, once: 4 to 8 minutes on two cores",
        file=sys.stderr,
        flush=True,
    )
    for number, (name, package) in enumerate(PACKAGES.items(), start=1):
        build(
            go,
            package=package,
            output=partial / name,
            label=f"[{number}/{len(PACKAGES)}] {name}",
            version=kubernetes_version(),
        )
    partial.rename(folder)
    print(f"Built in {time.monotonic() - began:.0f} s: {folder}", file=sys.stderr, flush=True)


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Let one process at a time pass; the kernel lets the next one in when the first ends, however it does."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(
                "Another process is building the local cluster's binaries: waiting for it", file=sys.stderr, flush=True
            )
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
