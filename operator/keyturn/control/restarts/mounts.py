"""Has the kubelet write changed files into running pods at once, for applications that read them anew by themselves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from keyturn.cluster import PODS, Cluster, ClusterError, Conflict, Forbidden, NotFound
from keyturn.core.metadata import ObjectMeta
from keyturn.core.mounts import Touch, touch_of
from keyturn.core.names import RESTART_MANAGER
from keyturn.core.restarts import PendingRestart

_log = logging.getLogger(__name__)

_PAGE = 100
"""Pods in memory at once: whole ones are large, and a namespace may hold thousands."""


@dataclass(frozen=True, slots=True)
class Untouched:
    """Something that must be tried again.

    Attributes:
        secrets: names of those whose files have not turned everywhere.
        error: why.
    """

    secrets: frozenset[str]
    error: ClusterError


class Mounts:
    """Part of a pass over what the Secrets of one namespace owe.

    Args:
        cluster: the API server.
        writing: bounds the writes under way at once.
    """

    def __init__(self, cluster: Cluster, *, writing: asyncio.Semaphore) -> None:
        self._cluster = cluster
        self._writing = writing

    async def refresh(self, namespace: str, pending_restarts: Mapping[str, PendingRestart]) -> list[Untouched]:
        """Touch every pod that asks for it and shows files of a Secret that changed.

        Where that is forbidden, trying again would not help: the kubelet looks by itself within a minute or so.
        """
        touches: list[tuple[ObjectMeta, Touch]] = []
        try:
            async for page in self._cluster.pages(PODS, namespace, size=_PAGE):
                touches += [
                    (ObjectMeta.of(pod), touch)
                    for pod in page.get("items") or ()
                    if (touch := touch_of(pod, pending_restarts)) is not None
                ]
        except Forbidden as error:
            _log.warning("pods in the namespace %s cannot be listed, so their files turn later: %s", namespace, error)
            return []
        except ClusterError as error:
            return [Untouched(frozenset(pending_restarts), error)]
        untouched = await asyncio.gather(*(self._touch(pod, touch) for pod, touch in touches))
        return [each for each in untouched if each is not None]

    async def _touch(self, pod: ObjectMeta, touch: Touch) -> Untouched | None:
        try:
            async with self._writing:
                await self._cluster.merge_patch(PODS, *pod.key, touch.patch, field_manager=RESTART_MANAGER)
        except (Conflict, NotFound):
            # A pod that came in its place was made after the change.
            return None
        except Forbidden as error:
            _log.warning("Pod %s/%s cannot be touched, so its files turn later: %s", *pod.key, error)
            return None
        except ClusterError as error:
            return Untouched(touch.secrets, error)
        _log.debug("had the kubelet look at the files of Pod %s/%s", *pod.key)
        return None
