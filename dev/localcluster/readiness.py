"""Waiting until a cluster is usable, or saying readably why it is not going to be."""

import http.client
import signal
import ssl
import time
from urllib.parse import urlsplit

from localcluster.certificates import Authority
from localcluster.errors import ComponentDied, NotReadyInTime
from localcluster.layout import Layout, State
from localcluster.processes import Process

_INTERVAL = 0.05
_TAIL = 15
# These end by themselves when the API server is not healthy within ten seconds, as on a machine that is very busy.
_IMPATIENT = frozenset({"kube-controller-manager", "kube-scheduler"})
_MOST_RESTARTS = 3
# In this order: the API server itself, then what the controller manager publishes first.
_SIGNS = (
    "/readyz",
    "/api/v1/namespaces/default/serviceaccounts/default",
    "/api/v1/namespaces/default/configmaps/kube-root-ca.crt",
)


def wait_until_ready(layout: Layout, *, deadline: float) -> None:
    """Wait until pods could be created in the namespace `default`.

    Args:
        layout: the cluster's directory, with a state file.
        deadline: the moment to give up, on the monotonic clock.

    Raises:
        ComponentDied: a component ended; one that only waits for the API server is started again a few times before that.
        NotReadyInTime: the deadline passed.
    """
    state = State.read(layout)
    get = _Getter(layout, state.server)
    restarted: list[Process] = []
    for sign in _SIGNS:
        # Nothing announces these, so ask until they are there.
        while (answer := get(sign)) != "200":
            state = State.read(layout)
            for name, process in state.components.items():
                if process in restarted or process.alive():
                    continue
                if name not in _IMPATIENT or len(restarted) == _MOST_RESTARTS:
                    raise ComponentDied(f"{name} ended by itself; its log ends with:\n{tail(layout, name)}")
                restarted.append(process)
                state.supervisor.send(signal.SIGUSR1)
            if time.monotonic() > deadline:
                raise NotReadyInTime(
                    f"{state.server}{sign} is not ready in time (last answer: {answer}); "
                    f"the log of kube-apiserver ends with:\n{tail(layout, 'kube-apiserver')}"
                )
            time.sleep(_INTERVAL)


def tail(layout: Layout, component: str) -> str:
    """Return the last lines of a component's log, indented."""
    try:
        lines = layout.log(component).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    return "\n".join(f"    {line}" for line in lines[-_TAIL:]) or "    (the log is empty)"


class _Getter:
    """GET requests as the administrator, each answered by a status or the reason why there is none."""

    def __init__(self, layout: Layout, server: str) -> None:
        authority = Authority(layout.certificates)
        self._tls = ssl.create_default_context(cafile=str(authority.files.certificate))
        self._tls.load_cert_chain(layout.certificates / "admin.crt", layout.certificates / "admin.key")
        self._address = urlsplit(server).netloc

    def __call__(self, path: str) -> str:
        connection = http.client.HTTPSConnection(self._address, context=self._tls, timeout=5)
        try:
            connection.request("GET", path)
            return str(connection.getresponse().status)
        except (OSError, http.client.HTTPException) as error:
            return str(error)
        finally:
            connection.close()
