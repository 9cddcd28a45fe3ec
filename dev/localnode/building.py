"""Keyturn's image, built here from its Dockerfile: by buildah, on a base of Debian packages instead of a registry's.

The base lacks nothing that the Dockerfile uses; it differs from the real one in Python's version and in where Python lies.
"""

import hashlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from localcluster.once import only_one
from localcluster.paths import cache_directory
from localnode.commands import run
from localnode.errors import NodeFailed
from localnode.images import write_image

IMAGE = "localhost/keyturn:test"
_ROOT = Path(__file__).resolve().parents[2]
_BASE = "localhost/base:1"
_BASE_PACKAGES = ("python3-venv", "dash", "bash", "coreutils", "libc-bin")
# As in .dockerignore.
CONTEXT = (
    *("Dockerfile", ".dockerignore", "LICENSE", "README.md", "pyproject.toml", "dev/image/assemble.py"),
    *("requirements/build.lock", "requirements/image.lock"),
)
_KEPT = 3


def ensure_image() -> Path:
    """Return an archive that holds the image of this checkout under the name `IMAGE`, building it if need be.

    Raises:
        NodeFailed: it cannot be built; the message holds the last words of whoever failed.
        CacheUnusable: the cache cannot be written.
    """
    folder = cache_directory() / "image"
    with only_one(folder / "lock", title="Keyturn's image"):
        archive = folder / f"keyturn-{_digest()}.tar"
        if not archive.exists():
            began = time.monotonic()
            print("Building Keyturn's image: 1 to 2 minutes the first time on two cores", file=sys.stderr, flush=True)
            _build(_ensure_base(folder), archive)
            print(f"Built in {time.monotonic() - began:.0f} s: {archive}", file=sys.stderr, flush=True)
        archive.touch()
        for old in sorted(folder.glob("keyturn-*.tar"), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
            old.unlink()
    return archive


def _digest() -> str:
    """Name the image by all that it is made of."""
    digest = hashlib.sha256(repr(_BASE_PACKAGES).encode())
    sources = sorted(path for path in (_ROOT / "operator").rglob("*") if path.is_file() and path.suffix != ".pyc")
    for path in (*(_ROOT / name for name in CONTEXT), *sources):
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


def _build(base: Path, archive: Path) -> None:
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
            *("--build-arg", f"BASE={_BASE}", "--tag", IMAGE),
            # What this machine trusts, pip must trust to reach PyPI, and the base brings no certificates.
            *("--volume", "/etc/ssl/certs:/etc/ssl/certs:ro"),
            str(_ROOT),
            environment=environment,
        )
        run(*buildah, "push", "--quiet", *policy, IMAGE, f"docker-archive:{partial}:{IMAGE}", environment=environment)
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
