"""Where the API server is and how to log in: kubeconfig or service account, found once, read by client and kopf alike."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_kube_config
from kubernetes.aio.config.incluster_config import InClusterConfigLoader

from keyturn.cluster.backoff import full_jitter
from keyturn.cluster.errors import Misconfigured, one_line

_T = TypeVar("_T")

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

# The kubelet replaces a projected token when 80 % of its life is over; the shortest life Kubernetes issues is ten minutes.
_TOKEN_TRUST = timedelta(minutes=2)

# Less than that, so that who asks because the trust is over is not taken for one who was refused.
_REFUSED_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """What another client needs to log in as we do. Secret parts stay out of the repr.

    Attributes:
        server: URL of the API server.
        default_namespace: The service account's, or the kubeconfig context's.
        ca_path: File with the CA certificates, None for the system's.
        certificate_path: File with the client certificate.
        private_key_path: File with its key.
        scheme: Of the Authorization header, `Bearer` or `Basic`; empty without a token.
        token: What follows the scheme.
        insecure: Whether the server's certificate goes unchecked.
        proxy: URL of the proxy to use.
        trust_env: Whether `HTTPS_PROXY` and its like apply.
        expires: When to ask for credentials again (aware, UTC), None for never.
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
    """The way to one API server. Make it with `load`.

    Attributes:
        in_cluster: Whether it is our pod's own service account.
        namespace: The namespace we run in, or that the kubeconfig's context names; `default` when neither does.
        trust_env: Whether proxy variables of the environment apply, to us and to kopf alike.
        configuration: The Kubernetes client's, for `ApiTransport`.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        in_cluster: bool,
        namespace: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.configuration = configuration
        self.trust_env = False
        self.in_cluster = in_cluster
        self.namespace = namespace
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._logged_in = float("-inf")
        self._refusals = 0

    @classmethod
    async def load(
        cls,
        *,
        kubeconfig: str | Path | None = None,
        context: str | None = None,
        trust_env: bool = False,
        environ: Mapping[str, str] | None = None,
        service_account: Path = _SERVICE_ACCOUNT,
    ) -> Self:
        """Find access in the order every controller does.

        An explicit kubeconfig, else `$KUBECONFIG`, else the pod's service account, else `~/.kube/config`.

        Args:
            kubeconfig: Path, or several joined by colons.
            context: Name of a context in it, None for its current one.
            trust_env: Whether to reach the API server through the proxy that `HTTPS_PROXY` names.
            environ: The environment, None for the process's own.
            service_account: Where the service account is mounted.

        Raises:
            Misconfigured: There is none, or it cannot be used.
        """
        environ = os.environ if environ is None else environ
        paths = str(kubeconfig) if kubeconfig else environ.get("KUBECONFIG")
        if not paths and environ.get("KUBERNETES_SERVICE_HOST") and (service_account / "token").exists():
            found = await cls._explained("the service account", cls._from_pod(service_account, environ))
        else:
            paths = paths or f"{environ.get('HOME', '~')}/.kube/config"
            found = await cls._explained(f"kubeconfig {paths}", cls._from_kubeconfig(paths, context))
        found.trust_env = trust_env
        return found

    async def credentials(self, *, now: datetime | None = None) -> Credentials:
        """The credentials as they are at this moment; ask again when they expire.

        Args:
            now: The time (aware), None for the clock's.

        Raises:
            Misconfigured: The token cannot be read any more.
        """
        return await self._explained("credentials", self._credentials(now or datetime.now(UTC)))

    async def log_in(self) -> Credentials:
        """Credentials for a client that asks again when they expire or were refused, as kopf does.

        Whoever asks again within a minute was refused. To answer at once would let such a client ask the API server without a
        pause, since a service account's credentials differ each time by when they expire; so this answer waits, longer each time.

        Raises:
            Misconfigured: The token cannot be read any more.
        """
        now = self._clock()
        self._refusals = self._refusals + 1 if now - self._logged_in < _REFUSED_WITHIN else 0
        if self._refusals:
            await self._sleep(full_jitter(self._refusals, self._chance(), cap=30.0))
        self._logged_in = self._clock()
        return await self.credentials()

    async def _credentials(self, now: datetime) -> Credentials:
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
            expires=now + _TOKEN_TRUST if rotates else None,
        )

    @classmethod
    async def _from_pod(cls, mount: Path, environ: Mapping[str, str]) -> Self:
        configuration = Configuration()
        loader = InClusterConfigLoader(str(mount / "token"), str(mount / "ca.crt"), environ=environ)
        loader.load_and_set(configuration)
        namespace = mount / "namespace"
        name = namespace.read_text(encoding="utf-8").strip() if namespace.exists() else "default"
        return cls(configuration, in_cluster=True, namespace=name)

    @classmethod
    async def _from_kubeconfig(cls, paths: str, context: str | None) -> Self:
        if not _any_file(paths):
            raise ConfigException("there is no such file")
        configuration = Configuration()
        # Not persisted: a refreshed token is ours for this run, and the file somebody else's.
        loader = await load_kube_config(
            config_file=paths, context=context, client_configuration=configuration, persist_config=False
        )
        if hasattr(loader, "exec_plugin_expiry"):
            configuration.refresh_api_key_hook = _rerun_plugin(loader)
        namespace = loader.current_context["context"].get("namespace") or "default"
        return cls(configuration, in_cluster=False, namespace=namespace)

    @staticmethod
    async def _explained(what: str, loading: Awaitable[_T]) -> _T:
        """Turn whatever a loader may raise into one readable line; YAML and JSON errors quote the file, tokens and all."""
        try:
            return await loading
        except ConfigException as error:
            text = one_line(str(error))
        except OSError as error:
            text = one_line(f"{error.strerror or type(error).__name__}: {error.filename or ''}")
        except Exception as error:  # noqa: BLE001 - see above
            text = f"not readable ({type(error).__name__})"
        raise Misconfigured(f"{what} cannot be used: {text}", reason="Misconfigured")


def _any_file(paths: str) -> bool:
    """Whether one of several files, joined as in `$KUBECONFIG`, is there: the client library only warns, and then misses a key."""
    return any(Path(path).expanduser().is_file() for path in paths.split(os.pathsep) if path)


def _rerun_plugin(loader: Any) -> Callable[[Configuration], Awaitable[None]]:
    """Ask an exec plugin (EKS, GKE) for the next token when its last one is nearly over; the loader knows the time."""

    async def refresh(configuration: Configuration) -> None:
        await loader.load_from_exec_plugin()
        configuration.api_key["BearerToken"] = loader.token

    return refresh
