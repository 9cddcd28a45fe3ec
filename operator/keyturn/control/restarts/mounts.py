"""Has the kubelet refresh changed files in running pods at once, for applications that reload them by themselves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from keyturn.base.log import debug, warning
from keyturn.cluster import PODS, ClusterError, Conflict, Forbidden, NotFound
from keyturn.control.context import Context
from keyturn.core.metadata import ObjectMeta
from keyturn.core.mounts import Touch, touch_of
from keyturn.core.names import RESTART_MANAGER
from keyturn.core.restarts import PendingRestart

_log = logging.getLogger(__name__)

_LIST_FORBIDDEN = warning("pods in namespace {namespace} cannot be listed, so their files are refreshed later: {error}")
_PATCH_FORBIDDEN = warning("Pod {namespace}/{name} cannot be patched, so its files are refreshed later: {error}")
_TOUCHED = debug("Pod {namespace}/{name} was annotated, so that the kubelet refreshes its files")

_PAGE = 100
"""Pods in memory at once: whole ones are large, and a namespace may hold thousands."""


@dataclass(frozen=True, slots=True)
class RefreshFailure:
    """A refresh that must be tried again.

    Attributes:
        secrets: names of the Secrets whose files are not refreshed everywhere.
        error: why.
    """

    secrets: frozenset[str]
    error: ClusterError


class MountRefresher:
    """Part of a pass over the pending changes of one namespace.

    Args:
        context: of the controller.
        writing: bounds the writes under way at once.
    """

    def __init__(self, context: Context, *, writing: asyncio.Semaphore) -> None:
        self._cluster = context.cluster
        self._writing = writing

    async def refresh(self, namespace: str, pending_restarts: Mapping[str, PendingRestart]) -> list[RefreshFailure]:
        """Touch every pod that requests it and mounts a Secret that changed.

        What is forbidden is not tried again: the kubelet refreshes the files by itself within a minute or so.

        Args:
            namespace: of the pods.
            pending_restarts: its Secrets with pending changes, by name.
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
            _LIST_FORBIDDEN(_log, namespace=namespace, error=error)
            return []
        except ClusterError as error:
            return [RefreshFailure(frozenset(pending_restarts), error)]
        failures = await asyncio.gather(*(self._touch(pod, touch) for pod, touch in touches))
        return [each for each in failures if each is not None]

    async def _touch(self, pod: ObjectMeta, touch: Touch) -> RefreshFailure | None:
        about = {"kind": PODS.kind, "namespace": pod.namespace, "name": pod.name}
        try:
            async with self._writing:
                await self._cluster.merge_patch(PODS, *pod.key, touch.patch, field_manager=RESTART_MANAGER)
        except (Conflict, NotFound):
            # A pod that took its place was created after the change.
            return None
        except Forbidden as error:
            _PATCH_FORBIDDEN(_log, error=error, **about)
            return None
        except ClusterError as error:
            return RefreshFailure(touch.secrets, error)
        _TOUCHED(_log, **about)
        return None
