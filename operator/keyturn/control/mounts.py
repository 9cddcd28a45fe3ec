"""Has the kubelet write changed files into running pods at once, for applications that read them anew by themselves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from keyturn.cluster import PODS, Cluster, ClusterError, Conflict, NotFound
from keyturn.core.metadata import ObjectMeta
from keyturn.core.mounts import refresh_patch
from keyturn.core.names import RESTART_MANAGER
from keyturn.core.restarts import Debt

_log = logging.getLogger(__name__)


class Mounts:
    """Part of a pass over what the Secrets of one namespace owe.

    Args:
        cluster: the API server.
        writing: bounds the writes under way at once.
    """

    def __init__(self, cluster: Cluster, *, writing: asyncio.Semaphore) -> None:
        self._cluster = cluster
        self._writing = writing

    async def refresh(self, namespace: str, debts: Mapping[str, Debt]) -> list[ClusterError]:
        """Touch every pod that asks for it and shows files of a Secret that changed. Returns what went wrong."""
        try:
            pods = await self._cluster.list(PODS, namespace)
        except ClusterError as error:
            return [error]
        patches = [(ObjectMeta.of(pod), patch) for pod in pods if (patch := refresh_patch(pod, debts)) is not None]
        troubles = await asyncio.gather(*(self._touch(pod, patch) for pod, patch in patches))
        return [trouble for trouble in troubles if trouble is not None]

    async def _touch(self, pod: ObjectMeta, patch: Mapping[str, object]) -> ClusterError | None:
        try:
            async with self._writing:
                await self._cluster.merge_patch(PODS, *pod.key, patch, field_manager=RESTART_MANAGER)
        except (Conflict, NotFound):
            # A pod that came in its place was made after the change.
            return None
        except ClusterError as error:
            return error
        _log.debug("had the kubelet look at the files of Pod %s/%s", *pod.key)
        return None
