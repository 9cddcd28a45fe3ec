"""Starts the process: opens what it listens on and speaks to, runs the operator until a signal comes, closes it again."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import signal
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from importlib.metadata import version

from keyturn.base.backoff import Backoff
from keyturn.base.time import Time
from keyturn.cluster import (
    ONEPASSWORD_ITEMS,
    Access,
    Cluster,
    ClusterError,
    Elector,
    LeaseName,
    TooManyRequests,
    Unavailable,
    crd_served,
    is_pruned,
)
from keyturn.core.lease import LeaseTimings
from keyturn.observe import CannotListen, HealthServer, Heartbeat, Metrics, OncePerState
from keyturn.operation import Operator
from keyturn.providers.connect import (
    BadAddress,
    ConfigError,
    ConnectClient,
    ConnectSettings,
    ConnectVaults,
    Exchange,
    StaticToken,
    TokenFile,
)
from keyturn.settings import Settings, SettingsError

_log = logging.getLogger(__name__)

_LONGEST_PAUSE = 15.0
"""Seconds at most until an API server is asked again that cannot answer at the start."""


class StartError(Exception):
    """The operator cannot start; the message is one line that says why and what to do."""


async def run(settings: Settings) -> None:
    """Run the operator until a signal comes.

    Raises:
        SettingsError: a setting cannot be used.
        StartError: it cannot start all the same.
        LeaseLost: another replica leads, or may lead from now on.
        CancelledError: the signal came before the work had begun.
    """
    # Until kopf takes the signals over.
    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    metrics = Metrics(version=version("keyturn"))
    async with AsyncExitStack() as stack:
        vaults = ConnectVaults(_connect_client(settings, metrics))
        stack.push_async_callback(vaults.close)
        try:
            access = await Access.load(kubeconfig=str(settings.kubeconfig) if settings.kubeconfig else None)
            server = HealthServer(
                health=settings.health_address, metrics=settings.metrics_address, expose=metrics.expose
            )
            server.readiness["start"] = lambda: "the work has not begun"
            elector = await _candidate(settings, access=access, metrics=metrics, server=server, stack=stack)
            await stack.enter_async_context(server)
            if elector is not None:
                await elector.acquire()
                stack.push_async_callback(elector.release)
            cluster = await stack.enter_async_context(
                Cluster.at(
                    access,
                    pool_size=2 * settings.workers,
                    observer=metrics.api_request,
                    write_fence=elector.write_fence if elector else lambda: None,
                )
            )
            operator = Operator(settings, cluster=cluster, access=access, vaults=vaults, metrics=metrics)
            server.expose = operator.expose
            server.remark = ""
            server.readiness = {"connect": operator.source.not_ready, "kubernetes": operator.informer_trouble}
            server.liveness["loops"] = operator.heartbeat.check
        except (ClusterError, CannotListen) as error:
            raise StartError(str(error)) from None
        await operator.run(*([elector.keep()] if elector else []), first=_prepare(settings, cluster))


async def _prepare(settings: Settings, cluster: Cluster, *, chance: Callable[[], float] = random.random) -> None:
    """Ask the API server whether it serves our objects as we need them, however often that must be tried.

    Raises:
        StartError: it does not, or will not tell.
    """
    state = OncePerState(_log, "The API server")
    pause = Backoff(first=1.0, longest=_LONGEST_PAUSE)
    failures = 0
    while True:
        try:
            await _check_definition(cluster)
        except (TooManyRequests, Unavailable) as error:
            failures += 1
            state.bad("cannot be asked, so the work begins later", str(error))
            await asyncio.sleep(max(error.retry_after or 0.0, pause.delay(failures, random=chance())))
        except ClusterError as error:
            raise StartError(str(error)) from None
        else:
            break
    state.good()
    _log.info("Keyturn %s serves %s", version("keyturn"), ", ".join(settings.watch_namespaces) or "all namespaces")


async def _check_definition(cluster: Cluster) -> None:
    what = f"the CustomResourceDefinition {ONEPASSWORD_ITEMS.label}"
    if not await crd_served(cluster):
        raise StartError(f"{what} is not installed in this cluster: kubectl apply -f crds/")
    if await is_pruned(cluster, "observedGeneration", time=Time()):
        raise StartError(
            f"{what} is not Keyturn's, which knows more of a status; "
            "it takes its place and keeps every object: kubectl apply -f crds/"
        )


async def _candidate(
    settings: Settings, *, access: Access, metrics: Metrics, server: HealthServer, stack: AsyncExitStack
) -> Elector | None:
    """Who takes the Lease and keeps it for us; None where nobody asked for that. Makes `server` that of a standby."""
    if not settings.leader_elect:
        return None
    namespace = settings.leader_election_namespace or (access.namespace if access.in_cluster else "")
    if not namespace:
        raise SettingsError(
            "--leader-elect needs to know where its Lease is: set --leader-election-namespace or POD_NAMESPACE"
        )
    timings = LeaseTimings(settings.lease_duration)
    store = Cluster.at(access, pool_size=1, deadline=timings.request_timeout, observer=metrics.api_request)
    heartbeat = Heartbeat()
    elector = Elector(
        await stack.enter_async_context(store),
        LeaseName(namespace, settings.lease_name),
        identity=f"{settings.pod_name or socket.gethostname()}_{secrets.token_hex(4)}",
        timings=timings,
        on_change=metrics.leads,
        on_beat=heartbeat.expect("lease", 60.0),
        time=Time(),
    )
    metrics.leads(leading=False)
    server.remark = "standby, ready to take over"
    server.readiness = {"lease": lambda: elector.error}
    server.liveness["lease"] = heartbeat.check
    return elector


def _connect_client(settings: Settings, metrics: Metrics) -> ConnectClient:
    def observe(exchange: Exchange) -> None:
        metrics.connect_request(f"{exchange.method} {exchange.route}", exchange.outcome.lower(), exchange.seconds)

    file = settings.connect_token_file
    try:
        token = TokenFile(file) if file else StaticToken(settings.connect_token, origin="OP_CONNECT_TOKEN")
        return ConnectClient(
            ConnectSettings(
                host=settings.connect_host,
                token=token,
                ca_file=settings.connect_ca_file,
                proxy=settings.connect_proxy,
            ),
            observer=observe,
        )
    except BadAddress as error:
        names_it = "OP_CONNECT_HOST, HTTP_PROXY or HTTPS_PROXY" if settings.connect_proxy else "OP_CONNECT_HOST"
        raise SettingsError(f"{names_it}: {error}") from None
    except ConfigError as error:
        raise SettingsError(str(error)) from None
