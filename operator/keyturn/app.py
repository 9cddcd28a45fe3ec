"""Starts the process: opens what it listens on and speaks to, runs the operator until a signal comes, closes it again."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from importlib.metadata import version

from keyturn.cluster import ONEPASSWORD_ITEMS, Access, Cluster, ClusterError, crd_served
from keyturn.connect import (
    BadAddress,
    ConfigError,
    ConnectClient,
    ConnectSettings,
    ConnectVaults,
    Exchange,
    StaticToken,
    TokenFile,
)
from keyturn.observe import CannotListen, HealthServer, Metrics
from keyturn.operation import Operator
from keyturn.settings import Settings, SettingsError

_log = logging.getLogger(__name__)


class StartError(Exception):
    """The operator cannot start; the message is one line that says why and what to do."""


async def run(settings: Settings) -> None:
    """Run the operator until a signal comes.

    Raises:
        SettingsError: a setting cannot be used.
        StartError: it cannot start all the same.
    """
    metrics = Metrics(version=version("keyturn"))
    async with AsyncExitStack() as stack:
        vaults = ConnectVaults(_connect_client(settings, metrics))
        stack.push_async_callback(vaults.close)
        try:
            access = await Access.load(kubeconfig=str(settings.kubeconfig) if settings.kubeconfig else None)
            cluster = await stack.enter_async_context(
                Cluster.at(access, pool_size=2 * settings.workers, observer=metrics.api_request)
            )
            operator = Operator(settings, cluster=cluster, access=access, vaults=vaults, metrics=metrics)
            server = HealthServer(
                health=settings.health_address, metrics=settings.metrics_address, expose=operator.expose
            )
            server.readiness |= {"connect": operator.source.not_ready, "kubernetes": operator.informer_trouble}
            server.liveness["loops"] = operator.heartbeat.check
            await stack.enter_async_context(server)
            if not await crd_served(cluster):
                raise StartError(
                    f"the CustomResourceDefinition {ONEPASSWORD_ITEMS.label} is not installed in this cluster: "
                    "kubectl apply -f crds/"
                )
        except (ClusterError, CannotListen) as error:
            raise StartError(str(error)) from None
        _log.info("Keyturn %s serves %s", version("keyturn"), ", ".join(settings.watch_namespaces) or "all namespaces")
        await operator.run()


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
