"""What the node takes from the machine: root, and a few packages of Debian."""

import os
import re
import shutil
import sys
from pathlib import Path

from localnode.commands import run

CNI_PLUGINS = Path("/usr/lib/cni")
_CAP_SYS_ADMIN = 21
# The key is what shows that the package is installed.
_RUNTIME = {
    "containerd": "containerd",
    "runc": "runc",
    str(CNI_PLUGINS / "bridge"): "containernetworking-plugins",
    "busybox": "busybox-static",
    "iptables": "iptables",
    "ip": "iproute2",
}
_IMAGES = {"buildah": "buildah", "mmdebstrap": "mmdebstrap"}
PACKAGES = [*_RUNTIME.values(), *_IMAGES.values()]
"""All Debian packages that a node and its images need."""


def missing_packages() -> list[str]:
    """Return the Debian packages that must be installed before a node can run and images can be built."""
    return [package for sign, package in (_RUNTIME | _IMAGES).items() if shutil.which(sign) is None]


def obstacle() -> str | None:
    """Say in one line why no node can run here, and what helps; None if one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a real node needs Linux and root: containers, namespaces and cgroups are made"
    if not _may_make_namespaces():
        return "a real node needs CAP_SYS_ADMIN, which this container lacks: run it privileged, or use a machine"
    packages = missing_packages()
    return f"a real node needs more packages: apt-get install {' '.join(packages)}" if packages else None


def _may_make_namespaces() -> bool:
    [capabilities] = re.findall(
        r"^CapEff:\s*(\w+)$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE
    )
    return bool(int(capabilities, 16) >> _CAP_SYS_ADMIN & 1)


def install() -> None:
    """Install what is missing, as root on a Debian system.

    Raises:
        NodeFailed: apt-get did not do it; the message holds the end of its output.
    """
    packages = missing_packages()
    if not packages:
        return
    print(f"Installing for the real node: {' '.join(packages)}", file=sys.stderr, flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        run("apt-get", "--quiet", *command, environment=environment)
