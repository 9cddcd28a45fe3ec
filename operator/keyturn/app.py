"""Starts the process: opens its connections and endpoints, runs the operator until a signal comes, closes them again."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import socket
from contextlib import AsyncExitStack
from importlib.metadata import version

from keyturn.base.backoff import Backoff
from keyturn.base.call_id import current_call_id, process_call_id
from keyturn.base.errors import translated
from keyturn.base.log import StateLog, info, warning
from keyturn.base.time import Time
from keyturn.cluster import (
    ONEPASSWORD_ITEMS,
    Access,
    Cluster,
    ClusterError,
    Elector,
    EventPoster,
    LeaseName,
    TooManyRequests,
    Unavailable,
    crd_served,
    is_pruned,
)
from keyturn.control.context import Context
from keyturn.core.lease import LeaseTimings
from keyturn.observe import CannotListen, HealthServer, Heartbeat, Metrics, ServingPhase
from keyturn.operation import Operator
from keyturn.settings import Settings, SettingsError
from keyturn.starting import load_access, new_metrics, open_own_vaults

_log = logging.getLogger(__name__)

_API_SERVER_AWAY = warning("The API server {state}: {detail}")
_API_SERVER_BACK = info("The API server is back after {duration}")
_SERVING = info("Keyturn {version} serves {namespaces}")

_NO_CONNECTION = info(
    "The installation has no connection of its own, since no variable names one: only objects that a Connection serves get Secrets"
)

_LONGEST_PAUSE = 15.0
"""Longest pause in seconds between attempts to reach the API server at start-up."""


class StartError(Exception):
    """The operator cannot start; the message is one line that says why and what to do."""


async def run(settings: Settings) -> None:
    """Run the operator until a signal comes.

    Raises:
        SettingsError: a setting cannot be used.
        StartError: it cannot start for another reason.
        LeaseLost: another replica leads, or may lead from now on.
        CancelledError: the signal came before the work had begun.
    """
    # Every task that sends requests to vaults is started below.
    current_call_id.set(process_call_id("operator", settings.installation))
    # Until kopf handles the signals.
    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    time = Time()
    metrics = new_metrics(Metrics, settings, time=time)
    async with AsyncExitStack() as stack:
        vaults = open_own_vaults(settings, metrics=metrics, time=time)
        if vaults is not None:
            stack.push_async_callback(vaults.close)
        with translated(_as_start_error):
            access = await load_access(settings)
            elector, standby = await _candidate(settings, access=access, metrics=metrics, time=time, stack=stack)
            starting = ServingPhase(metrics.expose, readiness={"start": lambda: "the work has not begun"})
            server = HealthServer(
                health=settings.health_address, metrics=settings.metrics_address, phase=standby or starting
            )
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
            context = Context(
                settings=settings,
                cluster=cluster,
                events=EventPoster(cluster, instance=settings.pod_name, on_outcome=metrics.event, time=time),
                metrics=metrics,
                heartbeat=Heartbeat(time=time),
                time=time,
            )
            operator = Operator(context, vaults=vaults)
            server.enter_phase(
                ServingPhase(
                    operator.expose,
                    readiness={
                        **({settings.provider.name: operator.connections.not_ready} if settings.provider else {}),
                        "kubernetes": operator.kubernetes_not_ready,
                    },
                    notes=operator.connections.notes,
                    liveness={**(standby.liveness if standby else {}), "loops": context.heartbeat.check},
                )
            )
        await operator.run(*([elector.keep()] if elector else []), first=_prepare(settings, cluster, time=time))


def _as_start_error(error: Exception) -> StartError | None:
    return StartError(str(error)) if isinstance(error, ClusterError | CannotListen) else None


async def _prepare(settings: Settings, cluster: Cluster, *, time: Time) -> None:
    """Wait until the API server says that it serves our objects as the operator needs them.

    Raises:
        StartError: it does not, or refuses to say so.
    """
    state = StateLog(_log, failed=_API_SERVER_AWAY, recovered=_API_SERVER_BACK, time=time)
    pause = Backoff(first=1.0, longest=_LONGEST_PAUSE)
    failures = 0
    while True:
        try:
            with translated(_as_final):
                await _check_definition(cluster, time=time)
        except (TooManyRequests, Unavailable) as error:
            failures += 1
            state.bad("cannot be asked, so the work begins later", str(error))
            await time.sleep(pause.delay(failures, random=time.random(), retry_after=error.retry_after))
        else:
            break
    state.good()
    namespaces = ", ".join(settings.watch_namespaces) or "all namespaces"
    _SERVING(_log, version=version("keyturn"), namespaces=namespaces)
    if settings.provider is None:
        _NO_CONNECTION(_log)


def _as_final(error: Exception) -> StartError | None:
    if isinstance(error, TooManyRequests | Unavailable):
        return None
    return _as_start_error(error)


async def _check_definition(cluster: Cluster, *, time: Time) -> None:
    what = f"the CustomResourceDefinition {ONEPASSWORD_ITEMS.label}"
    if not await crd_served(cluster):
        raise StartError(f"{what} is not installed in this cluster: kubectl apply -f crds/")
    if await is_pruned(cluster, "observedGeneration", time=time):
        raise StartError(
            f"{what} is not Keyturn's and lacks fields of the status; "
            "Keyturn's replaces it and keeps every object: kubectl apply -f crds/"
        )


async def _candidate(
    settings: Settings, *, access: Access, metrics: Metrics, time: Time, stack: AsyncExitStack
) -> tuple[Elector, ServingPhase] | tuple[None, None]:
    """What takes the Lease and keeps it, and what a standby serves; None twice without leader election."""
    if not settings.leader_elect:
        return None, None
    namespace = settings.leader_election_namespace or (access.namespace if access.in_cluster else "")
    if not namespace:
        raise SettingsError(
            "--leader-elect needs to know where its Lease is: set --leader-election-namespace or POD_NAMESPACE"
        )
    timings = LeaseTimings(settings.lease_duration)
    store = Cluster.at(access, pool_size=1, deadline=timings.request_timeout, observer=metrics.api_request)
    heartbeat = Heartbeat(time=time)
    elector = Elector(
        await stack.enter_async_context(store),
        LeaseName(namespace, settings.lease_name),
        identity=f"{settings.pod_name or socket.gethostname()}_{secrets.token_hex(4)}",
        timings=timings,
        on_change=metrics.leads,
        on_beat=heartbeat.expect("lease", 60.0),
        time=time,
    )
    metrics.leads(leading=False)
    return elector, ServingPhase(
        metrics.expose,
        readiness={"lease": lambda: elector.error},
        liveness={"lease": heartbeat.check},
        detail="standby, ready to take over",
    )
