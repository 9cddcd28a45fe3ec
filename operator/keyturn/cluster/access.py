"""The address of the API server and the login to it: a kubeconfig or service account, found once, used by every client of ours."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_kube_config
from kubernetes.aio.config.incluster_config import InClusterConfigLoader

from keyturn.base.errors import translated
from keyturn.cluster.errors import Misconfigured, clean_text

_Found = tuple[Configuration, str, bool]
"""The client's configuration, the namespace, and whether it is the pod's own service account."""

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Access:
    """The way to one API server. Create it with `load`.

    Args:
        configuration: the Kubernetes client's.
        in_cluster: whether it is our pod's own service account.
        namespace: of our pod or of the kubeconfig's context.
        trust_env: whether proxy variables of the environment apply.

    Attributes:
        in_cluster: whether it is our pod's own service account.
        namespace: the pod's namespace, or that of the kubeconfig's context; `default` if neither has one.
        trust_env: whether proxy variables of the environment apply.
        configuration: the Kubernetes client's, for `ApiTransport`.
    """

    def __init__(
        self, configuration: Configuration, *, in_cluster: bool, namespace: str, trust_env: bool = False
    ) -> None:
        self.configuration = configuration
        self.trust_env = trust_env
        self.in_cluster = in_cluster
        self.namespace = namespace

    @classmethod
    async def load(
        cls,
        *,
        kubeconfig: str | Path | None = None,
        trust_env: bool = False,
        environ: Mapping[str, str] | None = None,
        service_account: Path = _SERVICE_ACCOUNT,
    ) -> Self:
        """Find the API server in the order that every controller uses.

        An explicit kubeconfig, else `$KUBECONFIG`, else the pod's service account, else `~/.kube/config`.

        Args:
            kubeconfig: path, or several joined by colons.
            trust_env: whether to reach the API server through the proxy that `HTTPS_PROXY` names.
            environ: the environment; None for the process's own.
            service_account: the mount of the service account.

        Raises:
            Misconfigured: there is no kubeconfig or service account, or it cannot be used.
        """
        environ = os.environ if environ is None else environ
        paths = str(kubeconfig) if kubeconfig else environ.get("KUBECONFIG")
        if not paths and environ.get("KUBERNETES_SERVICE_HOST") and (service_account / "token").exists():
            what, loading = "the service account", _from_pod(service_account, environ)
        else:
            paths = paths or f"{environ.get('HOME', '~')}/.kube/config"
            what, loading = f"kubeconfig {paths}", _from_kubeconfig(paths)
        with translated(partial(_misconfigured, what)):
            configuration, namespace, in_cluster = await loading
        return cls(configuration, in_cluster=in_cluster, namespace=namespace, trust_env=trust_env)


async def _from_pod(mount: Path, environ: Mapping[str, str]) -> _Found:
    configuration = Configuration()
    loader = InClusterConfigLoader(str(mount / "token"), str(mount / "ca.crt"), environ=environ)
    loader.load_and_set(configuration)
    namespace = mount / "namespace"
    name = namespace.read_text(encoding="utf-8").strip() if namespace.exists() else "default"
    return configuration, name, True


async def _from_kubeconfig(paths: str) -> _Found:
    if not _any_file(paths):
        raise ConfigException("there is no such file")
    configuration = Configuration()
    # Not persisted: the file is not ours, and a refreshed token is for this process only.
    loader = await load_kube_config(config_file=paths, client_configuration=configuration, persist_config=False)
    if hasattr(loader, "exec_plugin_expiry"):
        configuration.refresh_api_key_hook = _rerun_plugin(loader)
    namespace = loader.current_context["context"].get("namespace") or "default"
    return configuration, namespace, False


def _misconfigured(what: str, error: Exception) -> Misconfigured:
    """One readable line for any exception of a loader; YAML and JSON errors quote the file, with its tokens."""
    if isinstance(error, ConfigException):
        text = clean_text(str(error))
    elif isinstance(error, OSError):
        text = clean_text(f"{error.strerror or type(error).__name__}: {error.filename or ''}")
    else:
        text = f"not readable ({type(error).__name__})"
    return Misconfigured(f"{what} cannot be used: {text}", reason="Misconfigured")


def _any_file(paths: str) -> bool:
    """Whether one of several files, joined as in `$KUBECONFIG`, exists; the client library only warns, and then misses a key."""
    return any(Path(path).expanduser().is_file() for path in paths.split(os.pathsep) if path)


def _rerun_plugin(loader: Any) -> Callable[[Configuration], Awaitable[None]]:
    """Run an exec plugin (EKS, GKE) again when its last token is about to expire; the loader decides when."""

    async def refresh(configuration: Configuration) -> None:
        await loader.load_from_exec_plugin()
        configuration.api_key["BearerToken"] = loader.token

    return refresh
