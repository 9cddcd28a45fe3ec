"""Keyturn's two images, built here from its Dockerfile: by buildah, on a base of Debian packages instead of a registry's.

The base lacks nothing that the Dockerfile uses; it differs from the real one in Python's version and in where Python lies.
"""

import hashlib
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from localcluster.once import only_one
from localcluster.paths import cache_directory
from localnode.commands import run
from localnode.errors import NodeFailed
from localnode.images import write_image


@dataclass(frozen=True, kw_only=True)
class Image:
    """One target of the Dockerfile.

    Attributes:
        target: the name of the target.
        name: the image's name and tag.
        files: what of this checkout the image is made of, beside the folder `package`.
        package: the folder of its Python package.
    """

    target: str
    name: str
    files: tuple[str, ...]
    package: str


_FILES = ("Dockerfile", ".dockerignore", "dev/image/assemble.py", "requirements/build.lock")
OPERATOR = Image(
    target="operator",
    name="localhost/keyturn:test",
    files=(*_FILES, "LICENSE", "README.md", "pyproject.toml", "requirements/image.lock"),
    package="operator/keyturn",
)
EMULATOR = Image(
    target="emulator",
    name="localhost/keyturn-emulator:test",
    files=(*_FILES, "requirements/emulator.lock"),
    package="operator/connect_emulator",
)
IMAGES = (OPERATOR, EMULATOR)
_ROOT = Path(__file__).resolve().parents[2]
_BASE = "localhost/base:1"
_BASE_PACKAGES = ("python3-venv", "dash", "bash", "coreutils", "libc-bin")
_KEPT = 3


def ensure_image(image: Image) -> Path:
    """Return an archive that holds an image of this checkout under its name, building it if need be.

    Raises:
        NodeFailed: it cannot be built; the message holds the last output of the tool that failed.
        CacheUnusable: the cache cannot be written.
    """
    folder = cache_directory() / "image"
    with only_one(folder / "lock", title="Keyturn's images"):
        archive = folder / f"{image.target}-{_digest(image)}.tar"
        if not archive.exists():
            began = time.monotonic()
            print(f"Building the image {image.name}: 1 to 2 minutes on two cores", file=sys.stderr, flush=True)
            _build(image, _ensure_base(folder), archive)
            print(f"Built in {time.monotonic() - began:.0f} s: {archive}", file=sys.stderr, flush=True)
        archive.touch()
        for old in sorted(folder.glob(f"{image.target}-*.tar"), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
            old.unlink()
    return archive


def _digest(image: Image) -> str:
    """Name an image by all that it is made of."""
    digest = hashlib.sha256(repr(_BASE_PACKAGES).encode())
    sources = sorted(path for path in (_ROOT / image.package).rglob("*") if path.is_file() and path.suffix != ".pyc")
    for path in (*(_ROOT / name for name in image.files), *sources):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(_ROOT)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _ensure_base(folder: Path) -> Path:
    """Return an archive of the base: Python and the little that building takes, from packages, unpacked but not set up."""
    digest = hashlib.sha256(repr(_BASE_PACKAGES).encode()).hexdigest()[:16]
    archive = folder / f"base-{digest}.tar"
    if not archive.exists():
        with tempfile.TemporaryDirectory(prefix="keyturn-base-") as scratch:
            layer = Path(scratch, "layer.tar")
            run(
                *("mmdebstrap", "--quiet", "--variant=extract", f"--include={','.join(_BASE_PACKAGES)}"),
                # The release of this machine, whose keys and mirrors are at hand.
                *(_release(), str(layer)),
            )
            partial = archive.with_suffix(".partial")
            write_image(partial, name=_BASE, layers=[layer.read_bytes()], config={"Env": ["PATH=/usr/bin:/bin"]})
            partial.rename(archive)
    return archive


def _release() -> str:
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise NodeFailed("/etc/os-release names no VERSION_CODENAME: the image's base is made on Debian")


def _build(image: Image, base: Path, archive: Path) -> None:
    """Build in a storage of its own, which is gone afterwards, in a mount namespace that no mount survives."""
    partial = archive.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="keyturn-image-") as scratch:
        environment = _buildah_environment(Path(scratch))
        buildah = ("unshare", "--mount", "--propagation", "private", "buildah")
        policy = ("--signature-policy", str(Path(scratch, "policy.json")))
        run(*buildah, "pull", "--quiet", *policy, f"docker-archive:{base}", environment=environment)
        run(
            *(*buildah, "build", "--isolation", "chroot", "--pull-never", *policy),
            *("--build-arg", f"BASE={_BASE}", "--target", image.target, "--tag", image.name),
            # pip must trust what this machine trusts, to reach PyPI, and the base brings no certificates.
            *("--volume", "/etc/ssl/certs:/etc/ssl/certs:ro"),
            str(_ROOT),
            environment=environment,
        )
        destination = f"docker-archive:{partial}:{image.name}"
        run(*buildah, "push", "--quiet", *policy, image.name, destination, environment=environment)
    partial.rename(archive)


def _buildah_environment(scratch: Path) -> dict[str, str]:
    """Keep buildah to a folder: its storage, and the configuration that a machine may lack."""
    storage = scratch / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{scratch / "storage"}"\nrunroot = "{scratch / "run"}"\n',
        encoding="utf-8",
    )
    registries = scratch / "registries.conf"
    registries.write_text("", encoding="utf-8")
    policy = json.dumps({"default": [{"type": "insecureAcceptAnything"}]})
    (scratch / "policy.json").write_text(policy, encoding="utf-8")
    return os.environ | {
        "CONTAINERS_STORAGE_CONF": str(storage),
        "CONTAINERS_REGISTRIES_CONF": str(registries),
        "TMPDIR": str(scratch),
    }
