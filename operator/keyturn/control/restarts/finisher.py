"""Finishes the pending restarts of one Secret after a pass: its status, and then its annotation."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Container, Mapping
from typing import Any

from keyturn.base.log import warning
from keyturn.cluster import SECRETS, ClusterError, Conflict, Forbidden, Invalid, NotFound
from keyturn.control.context import Context
from keyturn.control.restarts.declined import DeclinedMemory
from keyturn.control.restarts.results import KindResult, PassResult
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import RESTART_DECLINED, RESTART_MANAGER, RESTART_OWED
from keyturn.core.request import Key
from keyturn.core.restart_status import counted
from keyturn.core.restarts import PendingRestart
from keyturn.core.stamps import written_stamps

_log = logging.getLogger(__name__)

_FINISH_FAILED = warning("pending restarts of Secret {namespace}/{name} cannot be finished, retrying: {error}")
_STATUS_REFUSED = warning("restarts cannot be written to the status of {namespace}/{name}: {error}")

OnCounted = Callable[[Key, Mapping[str, Any]], Awaitable[None]]
"""Writes the restarts of a Secret's status, as `core.restart_status` makes them; may raise a `ClusterError`."""


class Finisher:
    """Reports how many workloads have restarted, and removes the pending-restart annotation once none is left.

    Args:
        context: of the controller.
        writing: bounds the writes under way at once.
        declined: which restarts are switched off.
        on_counted: writes how many workloads have restarted and how many are left.
    """

    def __init__(
        self, context: Context, *, writing: asyncio.Semaphore, declined: DeclinedMemory, on_counted: OnCounted
    ) -> None:
        self._cluster = context.cluster
        self._writing = writing
        self._declined = declined
        self._on_counted = on_counted
        # The last resourceVersion with an annotation that we have removed since, by the uid of the Secret.
        self._done: dict[str, str] = {}

    def is_done(self, secret: ObjectMeta) -> bool:
        """Whether the annotation of a Secret, as it was last seen, is removed already: the watch lags behind our own write."""
        return self._done.get(secret.uid) == secret.resource_version

    def forget_all_but(self, secret_uids: Container[str]) -> None:
        """Forget all Secrets but these."""
        self._done = {uid: version for uid, version in self._done.items() if uid in secret_uids}

    async def finish(self, pending: PendingRestart, found: KindResult, *, stale: bool) -> PassResult:
        """Write the status, and then remove the annotation if no workload is left: a crash in between loses neither.

        Args:
            pending: the Secret.
            found: what the pass found in the whole namespace.
            stale: some pod that requests it still has old files.
        """
        secret = pending.secret
        left = found.left.get(secret.name, 0)
        try:
            async with self._writing:
                if found.complete and pending.changes.changes:
                    await self._write_status(pending, found)
                if found.complete and not left and not stale:
                    await self._remove_annotation(pending)
                    return PassResult(progress=True)
                await self._record_declined(pending)
        except ClusterError as error:
            _FINISH_FAILED(_log, kind=SECRETS.kind, namespace=secret.namespace, name=secret.name, error=error)
            return PassResult.failure(error)
        return PassResult()

    async def _record_declined(self, pending: PendingRestart) -> None:
        """Record declined restarts beside an annotation that stays, so that the next leader knows them, too."""
        secret = pending.secret
        declined = {workload: str(revision) for workload, revision in self._declined.of(secret.uid).items()}
        if (text := written_stamps(declined)) == secret.annotations.get(RESTART_DECLINED, ""):
            return
        patch = {"metadata": {"uid": secret.uid, "annotations": {RESTART_DECLINED: text}}}
        # The watch reports a Secret that is gone or was recreated.
        with contextlib.suppress(Conflict, NotFound):
            await self._cluster.merge_patch(SECRETS, *secret.key, patch, field_manager=RESTART_MANAGER)

    async def _write_status(self, pending: PendingRestart, found: KindResult) -> None:
        key = Key(*pending.secret.key)
        left, done, waiting = (each.get(key.name, 0) for each in (found.left, found.done, found.waiting))
        restarts = counted(pending.revision, pending.changes, left=left, done=done, waiting=waiting)
        try:
            await self._on_counted(key, restarts)
        except (Forbidden, Invalid) as error:
            # A retry would not help, and the annotation must not stay because of it.
            _STATUS_REFUSED(_log, namespace=key.namespace, name=key.name, error=error)

    async def _remove_annotation(self, pending: PendingRestart) -> None:
        """Remove the very annotation that is done, whatever else has changed on the Secret meanwhile."""
        secret = pending.secret
        annotation, declined = (
            f"/metadata/annotations/{name.replace('/', '~1')}" for name in (RESTART_OWED, RESTART_DECLINED)
        )
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": secret.uid},
            {"op": "test", "path": annotation, "value": secret.annotations[RESTART_OWED]},
            {"op": "remove", "path": annotation},
            # JSON Patch refuses to remove what is not there, and our picture of `declined` may be older than our own write. A
            # merge patch with null could not test the annotation's value, only a resourceVersion that any foreign edit moves.
            {"op": "add", "path": declined, "value": ""},
            {"op": "remove", "path": declined},
        ]
        try:
            await self._cluster.json_patch(SECRETS, *secret.key, operations, field_manager=RESTART_MANAGER)
        except NotFound:
            return
        except Invalid:
            # Either a test failed, since there is another annotation now or none: the watch reports that, and another pass
            # handles it. Or the cluster refuses the write, for example by a policy: then it must be tried again.
            if await self._still_has(pending):
                raise
            return
        self._done[secret.uid] = secret.resource_version

    async def _still_has(self, pending: PendingRestart) -> bool:
        """Whether the Secret has the very annotation that is done."""
        secret = pending.secret
        try:
            present = ObjectMeta.of(await self._cluster.get_metadata(SECRETS, *secret.key))
        except NotFound:
            return False
        annotation = present.annotations.get(RESTART_OWED)
        return present.uid == secret.uid and annotation == secret.annotations[RESTART_OWED]
