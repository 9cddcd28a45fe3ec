"""What the operator and the broker start with: metrics, access to the API server, and the vaults of the installation's own connection."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import TypeVar

from keyturn.base.time import Time
from keyturn.cluster import Access
from keyturn.core.vault import Vaults
from keyturn.observe import ProcessMetrics
from keyturn.settings import Settings

_Metrics = TypeVar("_Metrics", bound=ProcessMetrics)


def new_metrics(kind: type[_Metrics], settings: Settings, *, time: Time) -> _Metrics:
    """What a process counts, with the series of the providers that it may meet."""
    return kind(
        version=version("keyturn"),
        time=time,
        providers={provider.metrics_prefix: provider.label for provider in settings.providers},
        installed=[settings.provider.metrics_prefix] if settings.provider else [],
    )


async def load_access(settings: Settings) -> Access:
    """How the API server is reached.

    Raises:
        ClusterError: nothing says how, or what does cannot be read.
    """
    return await Access.load(kubeconfig=str(settings.kubeconfig) if settings.kubeconfig else None)


def open_own_vaults(settings: Settings, *, metrics: ProcessMetrics, time: Time) -> Vaults | None:
    """The vaults of the installation's own connection; None if it has none."""
    provider = settings.provider
    if provider is None:
        return None
    observer = partial(metrics.vault_request, provider.metrics_prefix)
    return provider.open(settings.provider_settings, time=time, observer=observer)
