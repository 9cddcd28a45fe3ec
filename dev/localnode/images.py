"""Container images without a registry: made of files of this machine, written as archives that containerd imports."""

import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TOOLS = "localhost/tools:1"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_tools_image(archive: Path) -> None:
    """Write an image that holds busybox alone, and sleeps if nothing is asked of it, as a pod's first container does."""
    busybox = Path(shutil.which("busybox") or "/bin/busybox")
    commands = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as files:
        for folder in ("bin", "tmp"):
            _add(files, folder, kind=tarfile.DIRTYPE, mode=0o1777 if folder == "tmp" else 0o755)
        _add(files, "bin/busybox", content=busybox.read_bytes())
        for command in commands:
            if command != "busybox":
                _add(files, f"bin/{command}", kind=tarfile.SYMTYPE, target="busybox")
    write_image(
        archive,
        name=TOOLS,
        layers=[layer.getvalue()],
        config={"Env": ["PATH=/bin"], "Entrypoint": ["/bin/sleep", "2147483647"]},
    )


def write_image(archive: Path, *, name: str, layers: Sequence[bytes], config: Mapping[str, Any]) -> None:
    """Write an archive in the format of `docker save`.

    Args:
        archive: the file to write.
        name: the image's name and tag.
        layers: tar files, from the lowest to the highest.
        config: environment, entry point and the like, by the names of the image specification.
    """
    digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
    description = json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": dict(config),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        }
    ).encode()
    description_name = f"{hashlib.sha256(description).hexdigest()}.json"
    manifest = [{"Config": description_name, "RepoTags": [name], "Layers": [f"{each}/layer.tar" for each in digests]}]
    with tarfile.open(archive, "w") as files:
        _add(files, "manifest.json", content=json.dumps(manifest).encode())
        _add(files, description_name, content=description)
        for digest, layer in zip(digests, layers, strict=True):
            _add(files, f"{digest}/layer.tar", content=layer)


def _add(
    files: tarfile.TarFile,
    name: str,
    *,
    content: bytes = b"",
    kind: bytes = tarfile.REGTYPE,
    mode: int = 0o755,
    target: str = "",
) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.type, entry.mode, entry.linkname = len(content), kind, mode, target
    files.addfile(entry, io.BytesIO(content))
