"""Starts the broker's process: opens its connections, endpoints and addresses, serves until a signal comes, and ends gracefully."""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import signal
from contextlib import AsyncExitStack, suppress
from importlib.metadata import version
from typing import Final

from keyturn.base.call_id import current_call_id, process_call_id
from keyturn.base.errors import translated
from keyturn.base.log import info
from keyturn.base.time import Time
from keyturn.broker.audit_log import AuditLog
from keyturn.broker.certificate import Certificate, CertificateUnusable
from keyturn.broker.doors.routes import create_app
from keyturn.broker.errors import AuditUnavailable
from keyturn.broker.operation import Broker
from keyturn.broker.server import BrokerServer
from keyturn.broker.settings import BrokerSettings
from keyturn.cluster import Cluster, ClusterError
from keyturn.control.context import ConnectionContext
from keyturn.observe import Bind, CannotListen, HealthServer, Heartbeat, ServingPhase
from keyturn.observe.broker_metrics import BrokerMetrics
from keyturn.observe.chained_lines import instance_name
from keyturn.starting import load_access, new_metrics, open_own_vaults

_log = logging.getLogger(__name__)

LIBRARY_LOG_LEVELS: Final = {
    # Whatever a client sends is worth a line to it, and its tracebacks may hold values.
    "uvicorn": logging.CRITICAL + 1,
    "uvicorn.error": logging.CRITICAL + 1,
    "uvicorn.access": logging.CRITICAL + 1,
}
"""The least level of the libraries that only the broker uses."""

_CALLS_AT_ONCE: Final = 40
"""Requests to the API server at the same time."""

_LEAVING: Final = 3.0
"""Seconds after the signal in which new clients are still accepted: it takes so long until nobody is sent here any more."""

_DRAIN: Final = 22.0
"""Seconds after that in which what is under way may be answered. Kubernetes waits for 30 in all."""

_SERVES = info("the broker {version} serves {scheme} on {address}")


class BrokerStartError(Exception):
    """The broker cannot start; the message is one line that says why and what to do."""


async def run_broker(settings: BrokerSettings) -> None:
    """Run the broker until a signal comes.

    Raises:
        BrokerStartError: it cannot start.
    """
    signalled = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signalled.set)
    time, shared = Time(), settings.shared
    # What the process sends to vaults by itself; a read has the id of its record.
    current_call_id.set(process_call_id("broker", shared.installation))
    metrics = new_metrics(BrokerMetrics, shared, time=time)
    async with AsyncExitStack() as stack:
        vaults = open_own_vaults(shared, metrics=metrics, time=time)
        if vaults is not None:
            stack.push_async_callback(vaults.close)
        with translated(_as_start_error):
            access = await load_access(shared)
            cluster = Cluster.at(access, pool_size=_CALLS_AT_ONCE, observer=metrics.api_request)
            context = ConnectionContext(
                settings=shared,
                cluster=await stack.enter_async_context(cluster),
                metrics=metrics,
                heartbeat=Heartbeat(time=time),
                time=time,
            )
            audit = _open_audit(settings, metrics=metrics, time=time)
            stack.callback(audit.close)
            broker = Broker(settings, context, metrics=metrics, vaults=vaults, audit=audit)
            server = BrokerServer(create_app(broker.services), metrics=metrics, time=time)
            for bind, certificate in _addresses(settings, time=time):
                host, port = server.listen(bind, certificate)
                scheme = "HTTP without TLS" if certificate is None else "HTTPS"
                _SERVES(_log, version=version("keyturn"), scheme=scheme, address=Bind(host, port))
            phase = ServingPhase(
                broker.expose,
                readiness={
                    "signal": lambda: "the process is ending" if signalled.is_set() else None,
                    "kubernetes": broker.kubernetes_not_ready,
                    "vaults": broker.vaults_not_ready,
                },
                liveness={"loops": context.heartbeat.check},
                notes=broker.notes,
            )
            health = HealthServer(health=shared.health_address, metrics=shared.metrics_address, phase=phase)
            await stack.enter_async_context(health)
        await _serve(broker, server, signalled=signalled)


async def _serve(broker: Broker, server: BrokerServer, *, signalled: asyncio.Event) -> None:
    """Serve until the signal, and then for as long as clients may still come or wait for an answer."""
    loop = asyncio.get_running_loop()
    # What there is now stays. Left out of account, all that requests leave behind is found soon, and at little cost.
    gc.collect()
    gc.freeze()
    # What is under way needs rights and vaults to its end, so the broker ends last.
    working = loop.create_task(broker.run(), name="broker")
    accepting = loop.create_task(server.run(), name="server")
    ending = loop.create_task(signalled.wait(), name="signal")
    try:
        await asyncio.wait({working, accepting, ending}, return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            server.leave()
            await asyncio.wait({working, accepting}, timeout=_LEAVING, return_when=asyncio.FIRST_COMPLETED)
        accepting.cancel()
        await asyncio.gather(accepting, return_exceptions=True)
        await server.drain(within=_DRAIN if not working.done() else 0.0)
    finally:
        for task in (ending, accepting, working):
            task.cancel()
        await asyncio.gather(ending, accepting, working, return_exceptions=True)
    for task in (working, accepting):
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


def _addresses(settings: BrokerSettings, *, time: Time) -> list[tuple[Bind, Certificate | None]]:
    """What is served where."""
    found: list[tuple[Bind, Certificate | None]] = []
    cert_file, key_file = settings.tls_cert_file, settings.tls_key_file
    if settings.bind_address is not None and cert_file is not None and key_file is not None:
        found.append((settings.bind_address, Certificate(cert_file, key_file, time=time)))
    if settings.insecure_bind_address is not None:
        found.append((settings.insecure_bind_address, None))
    return found


def _open_audit(settings: BrokerSettings, *, metrics: BrokerMetrics, time: Time) -> AuditLog:
    """The audit. If it cannot be written now, the log says so, and nothing is answered until it can."""
    instance = instance_name(settings.instance, secrets.token_bytes(4))
    audit = AuditLog(settings.shared.audit_file, instance=instance, time=time, count=metrics.recorded)
    with suppress(AuditUnavailable):
        audit.check()
    return audit


def _as_start_error(error: Exception) -> BrokerStartError | None:
    known = isinstance(error, ClusterError | CannotListen | CertificateUnusable)
    return BrokerStartError(str(error)) if known else None
