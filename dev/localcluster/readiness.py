"""Waiting until a cluster is usable, or saying readably why it is not going to be."""

import http.client
import ssl
import time
from urllib.parse import urlsplit

from localcluster.certificates import Authority
from localcluster.errors import ComponentDied, NotReadyInTime
from localcluster.layout import Layout, State

_INTERVAL = 0.05
_TAIL = 15
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
        ComponentDied: a component ended.
        NotReadyInTime: the deadline passed.
    """
    state = State.read(layout)
    get = _Getter(layout, state.server)
    for sign in _SIGNS:
        # Nothing announces these, so ask until they are there.
        while (answer := get(sign)) != "200":
            for name, process in state.components.items():
                if not process.alive():
                    raise ComponentDied(f"{name} ended by itself; its log ends with:\n{tail(layout, name)}")
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
