"""The address of the API server and the login to it: a kubeconfig or service account, found once, used by our client and by kopf."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_kube_config
from kubernetes.aio.config.incluster_config import InClusterConfigLoader

from keyturn.base.backoff import Backoff
from keyturn.base.errors import translated
from keyturn.base.time import Time
from keyturn.cluster.errors import Misconfigured, clean_text

_Found = tuple[Configuration, str, bool]
"""The client's configuration, the namespace, and whether it is the pod's own service account."""

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

# The kubelet replaces a projected token when 80 % of its life is over; the shortest life Kubernetes issues is ten minutes.
_TOKEN_TRUST = timedelta(minutes=2)

# Shorter than the token's trust period, so a routine renewal is not mistaken for a retry after 401.
_REFUSED_WITHIN = 60.0

# Full jitter: all replicas, and all watches of kopf, may have lost their logins at the same moment.
_BACKOFF = Backoff(first=1.0, longest=30.0, spread=1.0)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials that another client needs to log in as we do. Secret parts stay out of the repr.

    Attributes:
        server: URL of the API server.
        default_namespace: the service account's, or the kubeconfig context's.
        ca_path: file with the CA certificates; None for the system's.
        certificate_path: file with the client certificate.
        private_key_path: file with its key.
        scheme: of the Authorization header, `Bearer` or `Basic`; empty without a token.
        token: follows the scheme.
        insecure: whether the server's certificate goes unchecked.
        proxy: URL of the proxy to use.
        trust_env: whether `HTTPS_PROXY` and similar variables apply.
        expires: when to request credentials again (aware, UTC); None for never.
    """

    server: str
    default_namespace: str
    ca_path: str | None = None
    certificate_path: str | None = None
    private_key_path: str | None = None
    scheme: str = ""
    token: str = field(default="", repr=False)
    insecure: bool = False
    proxy: str | None = field(default=None, repr=False)
    trust_env: bool = False
    expires: datetime | None = None


class Access:
    """The way to one API server. Create it with `load`.

    Args:
        configuration: the Kubernetes client's.
        in_cluster: whether it is our pod's own service account.
        namespace: of our pod or of the kubeconfig's context.
        trust_env: whether proxy variables of the environment apply.
        time: for expiry and for pauses between refused logins.

    Attributes:
        in_cluster: whether it is our pod's own service account.
        namespace: the pod's namespace, or that of the kubeconfig's context; `default` if neither has one.
        trust_env: whether proxy variables of the environment apply, to our client and to kopf.
        configuration: the Kubernetes client's, for `ApiTransport`.
    """

    def __init__(
        self, configuration: Configuration, *, in_cluster: bool, namespace: str, trust_env: bool = False, time: Time
    ) -> None:
        self.configuration = configuration
        self.trust_env = trust_env
        self.in_cluster = in_cluster
        self.namespace = namespace
        self._time = time
        self._logged_in = float("-inf")
        self._refusals = 0

    @classmethod
    async def load(
        cls,
        *,
        kubeconfig: str | Path | None = None,
        trust_env: bool = False,
        environ: Mapping[str, str] | None = None,
        service_account: Path = _SERVICE_ACCOUNT,
        time: Time | None = None,
    ) -> Self:
        """Find the API server in the order that every controller uses.

        An explicit kubeconfig, else `$KUBECONFIG`, else the pod's service account, else `~/.kube/config`.

        Args:
            kubeconfig: path, or several joined by colons.
            trust_env: whether to reach the API server through the proxy that `HTTPS_PROXY` names.
            environ: the environment; None for the process's own.
            service_account: the mount of the service account.
            time: None for the real one.

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
        return cls(configuration, in_cluster=in_cluster, namespace=namespace, trust_env=trust_env, time=time or Time())

    async def credentials(self) -> Credentials:
        """The credentials as they are at this moment; request them again when they expire.

        Raises:
            Misconfigured: the token cannot be read any more.
        """
        with translated(partial(_misconfigured, "credentials")):
            return await self._credentials()

    async def log_in(self) -> Credentials:
        """Credentials for a client that requests them again when they expire or were refused, as kopf does.

        A client that requests them again within a minute was refused. Without a delay it would send one request after another to
        the API server, because a service account's credentials have another expiry each time. So each delay is longer than the
        one before.

        Raises:
            Misconfigured: the token cannot be read any more.
        """
        now = self._time.monotonic()
        self._refusals = self._refusals + 1 if now - self._logged_in < _REFUSED_WITHIN else 0
        if self._refusals:
            await self._time.sleep(_BACKOFF.delay(self._refusals, random=self._time.random()))
        self._logged_in = self._time.monotonic()
        return await self.credentials()

    async def _credentials(self) -> Credentials:
        known = self.configuration
        scheme, _, token = (await known.get_api_key_with_prefix("BearerToken") or "").partition(" ")
        rotates = known.refresh_api_key_hook is not None
        return Credentials(
            server=known.host,
            default_namespace=self.namespace,
            ca_path=known.ssl_ca_cert,
            certificate_path=known.cert_file,
            private_key_path=known.key_file,
            scheme=scheme.capitalize(),
            token=token.strip(),
            insecure=not known.verify_ssl,
            proxy=known.proxy,
            trust_env=self.trust_env,
            expires=self._time.now() + _TOKEN_TRUST if rotates else None,
        )


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
