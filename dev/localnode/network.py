"""The network namespace of a node: made, furnished, and entered by one thread at a time."""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcluster.components import SERVICE_RANGE

BRIDGE = "cni0"
# Where pods find the node, and the API server on it.
ADDRESS = "10.244.0.1"
POD_RANGE = "10.244.0.0/24"

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def unshare() -> None:
    """Move this thread, and what it starts from now on, into a new network namespace, and furnish that.

    The namespace ends with the last process in it, and with it every interface, route and rule.
    """
    _check(_LIBC.unshare(_CLONE_NEWNET))
    for command in (
        "link set lo up",
        # Made before the first pod: the node's address must be there when kubelet starts.
        f"link add {BRIDGE} type bridge",
        f"addr add {ADDRESS}/24 dev {BRIDGE}",
        f"link set {BRIDGE} up",
        # Packets to a Service need some way out before kube-proxy's rules turn them.
        f"route add {SERVICE_RANGE} dev {BRIDGE}",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    # Of this namespace alone; pods reach each other through the addresses of Services.
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")


@contextmanager
def inside(pid: int) -> Iterator[None]:
    """Within the block, this thread and what it starts are in the network namespace of a process."""
    with _namespace("thread-self") as home, _namespace(str(pid)) as there:
        _check(_LIBC.setns(there, _CLONE_NEWNET))
        try:
            yield
        finally:
            _check(_LIBC.setns(home, _CLONE_NEWNET))


@contextmanager
def _namespace(process: str) -> Iterator[int]:
    handle = os.open(f"/proc/{process}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
