"""The executables we need from elsewhere: built from pinned Go modules once, then taken from the user's cache."""

import hashlib
import platform
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localcluster.errors import UnsupportedPlatform
from localcluster.gobuild import build, source_of
from localcluster.once import made_once
from localcluster.paths import FLUX_MODULE, GO_MODULE, HELM_MODULE, KUBERNETES_MODULES, cache_directory, pinned
from localcluster.toolchain import find_go

_KUBERNETES_STAMPS = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclass(frozen=True)
class Programs:
    """Executables that one Go module pins, and that are built together.

    Attributes:
        name: of their folder in the cache.
        title: what they are, for a person who waits for them.
        patience: how long a build takes, for the same person.
        module: the folder of `go.mod` and `go.sum`.
        version: the one that matters most of what is pinned.
        packages: the main package of each executable.
        stamps: values of Go variables, by which the executables know their own version.
        crds: the Go modules whose CustomResourceDefinitions belong to the executables; they are put beside them.
        lender: programs of which some are put beside them, too; None if they need no others.
        borrowed: the names of those.
    """

    name: str
    title: str
    patience: str
    module: Path
    version: str
    packages: Mapping[str, str]
    stamps: Mapping[str, str] = field(default_factory=dict)
    crds: Sequence[str] = ()
    lender: "Programs | None" = None
    borrowed: Sequence[str] = ()

    @property
    def folder(self) -> Path:
        """Where the executables lie once they are built.

        The folder is named by what decides about them: the pinned modules and the processor. The compiler is left out
        on purpose: a newer one builds the same programs, and no upgrade of Go shall cost minutes.
        """
        pins = b"".join((self.module / name).read_bytes() for name in ("go.mod", "go.sum"))
        lent = str(self.lender.folder).encode() if self.lender is not None else b""
        digest = hashlib.sha256(pins + platform.machine().encode() + lent).hexdigest()
        return cache_directory() / self.name / f"{self.version}-{digest[:12]}"


def kubernetes_version(module: Path = GO_MODULE) -> str:
    """Return the version of Kubernetes that a module pins, such as `v1.35.4`."""
    return pinned(module / "go.mod", r"^\s*(?:require )?k8s\.io/kubernetes (v\S+)")


def control_plane() -> Programs:
    """The programs of the local cluster."""
    version = kubernetes_version()
    return Programs(
        name="control-plane",
        title=f"etcd and Kubernetes {version}",
        patience="4 to 8 minutes",
        module=GO_MODULE,
        version=version,
        packages={
            "etcd": "go.etcd.io/etcd/server/v3",
            "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
            "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
            "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
            "kubectl": "k8s.io/kubernetes/cmd/kubectl",
        },
        stamps=_kubernetes_stamps(version),
    )


def control_planes() -> dict[str, Programs]:
    """The programs of a local cluster for each minor version of Kubernetes that is pinned, such as `1.35`, oldest first.

    All but the latest consist of what differs between versions and concerns an operator: the API server, and the controllers that
    delete what an object owned and roll out what a template says. Their etcd and kubectl are those of the latest.
    """
    latest = control_plane()
    found = {_minor(latest.version): latest}
    for module in KUBERNETES_MODULES.iterdir():
        version = kubernetes_version(module)
        found[module.name] = Programs(
            name="control-plane",
            title=f"Kubernetes {version}",
            patience="3 to 6 minutes",
            module=module,
            version=version,
            packages={name: latest.packages[name] for name in ("kube-apiserver", "kube-controller-manager")},
            stamps=_kubernetes_stamps(version),
            lender=latest,
            borrowed=("etcd", "kubectl"),
        )
    return dict(sorted(found.items(), key=lambda each: [int(part) for part in each[0].split(".")]))


def _minor(version: str) -> str:
    return ".".join(version.removeprefix("v").split(".")[:2])


def _kubernetes_stamps(version: str) -> dict[str, str]:
    major, minor = _minor(version).split(".")
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return {f"{where}.{name}": value for where in _KUBERNETES_STAMPS for name, value in values.items()}


def helm() -> Programs:
    """The program that installs charts. Its modules are its own: Kubernetes' programs must not be raised to them."""
    version = pinned(HELM_MODULE / "go.mod", r"^\s*helm\.sh/helm/v4 (v\S+)")
    return Programs(
        name="helm",
        title=f"Helm {version}",
        patience="1 to 4 minutes",
        module=HELM_MODULE,
        version=version,
        packages={"helm": "helm.sh/helm/v4/cmd/helm"},
        stamps={"helm.sh/helm/v4/internal/version.version": version},
    )


def flux() -> Programs:
    """Flux's controllers of sources and Kustomizations, and their CustomResourceDefinitions."""
    controllers = ("kustomize-controller", "source-controller")
    modules = [f"github.com/fluxcd/{name}" for name in controllers]
    version = pinned(FLUX_MODULE / "go.mod", rf"^\s*{modules[0]} (v\S+)")
    return Programs(
        name="flux",
        title=f"Flux's controllers {version}",
        patience="3 to 6 minutes",
        module=FLUX_MODULE,
        version=version,
        packages=dict(zip(controllers, modules, strict=True)),
        crds=modules,
    )


def ensure_binaries() -> Path:
    """Return the folder of the control plane's executables, building them first if it is not there yet.

    Raises:
        UnsupportedPlatform: this is not Linux.
        BuildFailed: something cannot be built; the message holds the end of the compiler's output.
    """
    return ensure(control_plane())


def ensure_helm() -> Path:
    """Return the `helm` executable, building it first if it is not there yet; raises as `ensure_binaries` does."""
    return ensure(helm()) / "helm"


def ensure_flux() -> Path:
    """Return the folder of Flux's controllers and `crds`, building it first; raises as `ensure_binaries` does."""
    return ensure(flux())


def ensure(programs: Programs) -> Path:
    """Return the folder of these executables, building them first if it is not there yet; raises as `ensure_binaries` does.

    Several processes may ask at once: one builds, the others wait for it. Progress goes to standard error.
    """
    if programs.lender is not None:
        ensure(programs.lender)
    if sys.platform != "linux":
        raise UnsupportedPlatform("the local cluster runs on Linux only: use a Linux machine or a container")
    return made_once(programs.folder, lambda folder: _build_all(programs, folder), title=programs.title)


def _build_all(programs: Programs, folder: Path) -> None:
    """Build every executable into a folder."""
    go = find_go()
    began = time.monotonic()
    print(
        f"Building {programs.title} from source, once: {programs.patience} on two cores",
        file=sys.stderr,
        flush=True,
    )
    for number, (name, package) in enumerate(programs.packages.items(), start=1):
        build(
            go,
            module=programs.module,
            package=package,
            output=folder / name,
            label=f"[{number}/{len(programs.packages)}] {name}",
            stamps=programs.stamps,
        )
    if programs.lender is not None:
        for name in programs.borrowed:
            (folder / name).symlink_to(programs.lender.folder / name)
    for module in programs.crds:
        described = source_of(go, programs.module, module) / "config" / "crd" / "bases"
        # File by file: the module cache's folders are not writable, and a copy of one would not be either.
        (folder / "crds").mkdir(exist_ok=True)
        for file in described.glob("*.yaml"):
            shutil.copyfile(file, folder / "crds" / file.name)
    print(f"Built in {time.monotonic() - began:.0f} s: {programs.folder}", file=sys.stderr, flush=True)
