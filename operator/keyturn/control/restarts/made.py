"""The restarts that were made: none is made twice for one revision, and one that somebody undid is reported once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from keyturn.base.log import warning
from keyturn.base.text import listed
from keyturn.cluster import About, ClusterError
from keyturn.control.context import Context
from keyturn.control.restarts.kinds import WorkloadKind
from keyturn.core.events import Event, EventReason
from keyturn.core.metadata import ObjectMeta
from keyturn.core.restarts import PendingRestart
from keyturn.core.rollouts import last_writer, lost_stamps, template_fingerprint
from keyturn.core.stamps import read_stamps

_log = logging.getLogger(__name__)

_UNDONE = warning("the restart of {kind} {namespace}/{name} for {secrets} was undone by field manager {manager}")

_LOOK_AFTER = 30.0
"""Seconds after a restart until its workload is looked at once more. A tool that puts templates back does so within seconds."""


@dataclass(slots=True)
class _Made:
    """The restarts of one workload.

    Attributes:
        kind: of the workload.
        workload: its metadata at the latest restart.
        looks: how many looks at it are still to come.
        revisions: for which it was restarted, by the uid of the Secret.
        stamps: that were written, by the name of the Secret; without those whose loss was reported.
        fingerprint: of the pod template. If anything else in it changes, its pods are replaced anyway.
    """

    kind: WorkloadKind
    workload: ObjectMeta
    looks: int = 0
    revisions: dict[str, int] = field(default_factory=dict)
    stamps: dict[str, str] = field(default_factory=dict)
    fingerprint: int = 0


class MadeRestarts:
    """Remembers restarts for as long as they could be made again, and until each was looked at once more.

    Args:
        context: of the controller.
        writing: bounds the requests under way at once.
    """

    def __init__(self, context: Context, *, writing: asyncio.Semaphore) -> None:
        self._cluster = context.cluster
        self._events = context.events
        self._time = context.time
        self._writing = writing
        self._made: dict[str, _Made] = {}
        self._to_look: asyncio.Queue[str] = asyncio.Queue()

    def record(
        self,
        kind: WorkloadKind,
        workload: Mapping[str, Any],
        secrets: Mapping[str, PendingRestart],
        annotations: Mapping[str, str],
    ) -> None:
        """A workload was restarted.

        Args:
            kind: of the workload.
            workload: as it was right before.
            secrets: for which it was restarted, by name.
            annotations: that the restart wrote on its pod template.
        """
        metadata, template = ObjectMeta.of(workload), kind.template_of(workload) or {}
        made = self._made.setdefault(metadata.uid, _Made(kind, metadata))
        made.workload = metadata
        made.looks += 1
        made.fingerprint = template_fingerprint(template)
        made.revisions.update({each.secret.uid: each.revision for each in secrets.values()})
        written = read_stamps(annotations)
        made.stamps = {name: stamp for name, stamp in written.items() if name in made.stamps or name in secrets}
        self._time.call_later(_LOOK_AFTER, lambda: self._to_look.put_nowait(metadata.uid))

    def by(self, workload_uid: str) -> Mapping[str, int]:
        """The revisions for which a workload was restarted, by the uid of the Secret."""
        made = self._made.get(workload_uid)
        return made.revisions if made else {}

    def forget_all_but(self, secret_uids: Container[str]) -> None:
        """Forget the restarts for all Secrets but these, except those that are still to be looked at."""
        for workload, made in list(self._made.items()):
            if not made.looks:
                made.revisions = {uid: revision for uid, revision in made.revisions.items() if uid in secret_uids}
                if not made.revisions:
                    del self._made[workload]

    def check(self, workload: Mapping[str, Any]) -> None:
        """Report restarts of a workload that were undone since, each once."""
        metadata = ObjectMeta.of(workload)
        if (made := self._made.get(metadata.uid)) is None or (template := made.kind.template_of(workload)) is None:
            return
        if not (lost := lost_stamps(template, made.stamps)):
            return
        if made.fingerprint != template_fingerprint(template):
            made.stamps.clear()
            return
        made.stamps = {name: stamp for name, stamp in made.stamps.items() if name not in lost}
        secrets, manager = listed("Secret", lost), last_writer(metadata) or "unknown"
        about = {"kind": made.kind.resource.kind, "namespace": metadata.namespace, "name": metadata.name}
        _UNDONE(_log, secrets=secrets, manager=manager, **about)
        message = (
            f"the restart for {secrets} was undone by field manager {manager}, which put the pod template back; "
            "it is not made again for this revision"
        )
        event = Event(EventReason.RESTART_UNDONE, message, warning=True)
        self._events.post(About(made.kind.resource, *metadata.key, metadata.uid), event)

    async def run(self) -> None:
        """Look once more at each workload that was restarted, until cancelled."""
        while True:
            await self._look(await self._to_look.get())

    async def _look(self, uid: str) -> None:
        made = self._made[uid]
        made.looks -= 1
        if made.looks:
            # It was restarted again meanwhile; that one's look is still to come.
            return
        try:
            async with self._writing:
                workload = await self._cluster.get(made.kind.resource, *made.workload.key)
        except ClusterError:
            # The restart itself succeeded; only the report is lost.
            return
        self.check(workload)
