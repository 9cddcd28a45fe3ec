"""One pass over one namespace: restarts who is owed that by any of its Secrets, once, and clears the marks that are paid."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from keyturn.base.text import shorten
from keyturn.cluster import (
    NAMESPACES,
    SECRETS,
    About,
    Cluster,
    ClusterError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
)
from keyturn.control.restarts.kinds import KINDS, ChosenKind, WorkloadKind
from keyturn.control.restarts.mounts import Mounts
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import AUTO_RESTART, RESTART_DECLINED, RESTART_MANAGER, RESTART_OWED
from keyturn.core.request import Key
from keyturn.core.restart_status import counted
from keyturn.core.restarts import (
    PendingRestart,
    Verdict,
    described,
    judge,
    restart_annotations,
    unreadable_switch,
)
from keyturn.core.stamps import written_stamps

_log = logging.getLogger(__name__)

_PATCHES_AT_ONCE = 10
"""Writes under way at once over all namespaces: more would only wait for a connection, with their deadline running."""

_ATTEMPTS = 5
"""How often to look at a workload again at once if it changes under our hands, as it does while it is rolled out."""


@dataclass(slots=True)
class Outcome:
    """How a pass over one namespace went.

    Attributes:
        progress: somebody was restarted, or a mark is gone.
        failed: something is still owed, or nobody knows.
        retry_after: seconds for which the API server asks to be left alone.
    """

    progress: bool = False
    failed: bool = False
    retry_after: float = 0.0

    def fail(self, what: str, error: ClusterError) -> None:
        """Something must be tried again."""
        _log.warning("%s: %s", what, error)
        self.failed = True
        self.retry_after = max(self.retry_after, error.retry_after or 0.0)


@dataclass(slots=True)
class _Namespace:
    """What one pass over one namespace knows.

    Attributes:
        name: of the namespace.
        pending_restarts: its Secrets that owe restarts, by name.
        policy: annotations of the namespace.
        outcome: how it goes.
        complete: every workload there is was looked at.
        left: how many workloads are still owed a restart, by the name of the Secret.
        unturned: names of the Secrets whose files may be old in pods that want them at once.
        done: how many have got it.
    """

    name: str
    pending_restarts: Mapping[str, PendingRestart]
    policy: Mapping[str, str]
    outcome: Outcome
    complete: bool = True
    left: Counter[str] = field(default_factory=Counter)
    unturned: set[str] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)


class RestartPass:
    """Pays what the Secrets of a namespace owe.

    Args:
        cluster: the API server.
        chosen: kinds of workloads to look at beside those of Kubernetes itself.
        default: whether to restart where neither Secret, workload nor Namespace say anything.
        now: the time, with its zone.
        restarted: told of each workload's kind and outcome.
        tell: posts an Event about a workload.
        tell_status: writes what the status of a Secret's OnePasswordItem says of restarts.
        refresh_mounts: whether pods are looked at, too, that want changed files at once.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        chosen: Sequence[ChosenKind],
        default: bool,
        now: Callable[[], datetime],
        restarted: Callable[[str, str], None],
        tell: Callable[[About, str], None],
        tell_status: Callable[[Key, Mapping[str, Any]], Awaitable[None]],
        refresh_mounts: bool = False,
    ) -> None:
        self._cluster = cluster
        self._chosen = chosen
        self._default = default
        self._now = now
        self._restarted = restarted
        self._tell = tell
        self._tell_status = tell_status
        self._writing = asyncio.Semaphore(_PATCHES_AT_ONCE)
        self._mounts = Mounts(cluster, writing=self._writing) if refresh_mounts else None
        # Revisions that a workload's switch declined, by the uids of workload and Secret, until the mark is gone.
        self._declined: dict[str, dict[str, int]] = {}
        # Resource versions that our picture still shows with a mark that is gone, by the uid of the Secret.
        self._cleared: dict[str, str] = {}

    def is_done(self, secret: ObjectMeta) -> bool:
        """Whether the mark of a Secret as it was last seen is gone already: the watch lags behind our own write."""
        return self._cleared.get(secret.uid) == secret.resource_version

    def forget_all_but(self, owing: Iterable[ObjectMeta]) -> None:
        """Forget what was remembered of Secrets that owe nothing any more."""
        uids = {secret.uid for secret in owing}
        self._cleared = {uid: version for uid, version in self._cleared.items() if uid in uids}
        remembered = (
            (workload, {uid: revision for uid, revision in declined.items() if uid in uids})
            for workload, declined in self._declined.items()
        )
        self._declined = {workload: declined for workload, declined in remembered if declined}

    async def run(self, namespace: str, pending_restarts: Iterable[PendingRestart]) -> Outcome:
        """Make one pass. What it cannot finish, the next one finds again; it never raises but for cancellation."""
        outcome = Outcome()
        try:
            policy = await self._policy(namespace)
        except ClusterError as error:
            outcome.fail(f"restarts in the namespace {namespace}", error)
            return outcome
        here = _Namespace(namespace, {pending.secret.name: pending for pending in pending_restarts}, policy, outcome)
        for pending in here.pending_restarts.values():
            for workload, revision in pending.declined().items():
                self._declined.setdefault(workload, {}).setdefault(pending.secret.uid, revision)
        await asyncio.gather(
            self._refresh_mounts(here),
            *(self._run_kind(kind, here) for kind in KINDS),
            *(self._run_chosen(kind, here) for kind in self._chosen),
        )
        await asyncio.gather(*(self._finish(pending, here) for pending in here.pending_restarts.values()))
        return outcome

    async def _policy(self, namespace: str) -> Mapping[str, str]:
        """The Namespace's annotations; none where we may not read it, so that the operator's own setting holds."""
        try:
            answer = await self._cluster.get_metadata(NAMESPACES, None, namespace)
        except (Forbidden, NotFound):
            return {}
        return ObjectMeta.of(answer).annotations

    async def _run_chosen(self, chosen: ChosenKind, here: _Namespace) -> None:
        try:
            kind = await chosen.find()
        except ClusterError as error:
            here.complete = False
            here.outcome.fail(f"whether the kind {chosen} is served", error)
            return
        if kind is not None:
            await self._run_kind(kind, here)

    async def _run_kind(self, kind: WorkloadKind, here: _Namespace) -> None:
        due: list[tuple[Mapping[str, Any], Iterable[str]]] = []
        try:
            # Of each page only those stay in memory that are due.
            async for page in self._cluster.pages(kind.resource, here.name):
                for workload in page.get("items") or ():
                    verdict = self._judge(kind, workload, here)
                    here.done.update(verdict.done)
                    if verdict.due:
                        due.append((workload, verdict.due.keys()))
        except ClusterError as error:
            here.complete = False
            here.outcome.fail(f"{kind.resource.label} in the namespace {here.name} cannot be listed", error)
            return
        await asyncio.gather(*(self._restart_one(kind, workload, secrets, here) for workload, secrets in due))

    async def _refresh_mounts(self, here: _Namespace) -> None:
        for each in await self._mounts.refresh(here.name, here.pending_restarts) if self._mounts is not None else ():
            here.unturned |= each.secrets
            here.outcome.fail(f"files of pods in the namespace {here.name} cannot be refreshed", each.error)

    async def _restart_one(
        self, kind: WorkloadKind, workload: Mapping[str, Any], secrets: Iterable[str], here: _Namespace
    ) -> None:
        """Restart a workload that is owed it by these Secrets."""
        try:
            async with self._writing:
                await self._restart(kind, workload, here)
        except NotFound:
            # What is gone is owed nothing.
            return
        except ClusterError as error:
            # One workload that cannot be patched must not keep the others from their restart.
            here.left.update(secrets)
            here.outcome.fail(f"restarting {kind.resource.kind} {'/'.join(ObjectMeta.of(workload).key)}", error)
            self._restarted(kind.resource.kind, "failed")
        else:
            here.done.update(secrets)

    async def _restart(self, kind: WorkloadKind, workload: Mapping[str, Any], here: _Namespace) -> None:
        """Restart a workload, looking at it again as often as it changes meanwhile."""
        key = ObjectMeta.of(workload).key
        for _ in range(_ATTEMPTS):
            try:
                await self._patch(kind, workload, here)
            except Conflict:
                workload = await self._cluster.get(kind.resource, *key)
            else:
                return
        await self._patch(kind, workload, here)

    async def _patch(self, kind: WorkloadKind, workload: Mapping[str, Any], here: _Namespace) -> None:
        """Restart a workload once for all that it is owed, and touch nothing but two annotations of its template."""
        due, template = self._judge(kind, workload, here).due, kind.template_of(workload)
        if not due or template is None:
            return
        metadata = ObjectMeta.of(workload)
        marks = {name: here.pending_restarts[name].stamp for name in due}
        annotations = restart_annotations(metadata, template, marks, now=self._now())
        patch = kind.patch(annotations, resource_version=metadata.resource_version)
        await self._cluster.merge_patch(kind.resource, *metadata.key, patch, field_manager=RESTART_MANAGER)
        here.outcome.progress = True
        self._restarted(kind.resource.kind, "done")
        causes = described((here.pending_restarts[name], keys) for name, keys in sorted(due.items()))
        _log.info("restarted %s %s/%s for %s", kind.resource.kind, *metadata.key, causes)
        self._tell(About(kind.resource, *metadata.key, metadata.uid), f"restarted for {causes}")

    def _judge(self, kind: WorkloadKind, workload: Mapping[str, Any], here: _Namespace) -> Verdict:
        metadata, template = ObjectMeta.of(workload), kind.template_of(workload)
        if template is None or metadata.deletion_timestamp is not None:
            return Verdict()
        declined = self._declined.get(metadata.uid, {})
        verdict = judge(
            metadata, template, here.pending_restarts, policy=here.policy, default=self._default, declined=declined
        )
        for pending in (here.pending_restarts[name] for name in verdict.declined):
            self._declined.setdefault(metadata.uid, {})[pending.secret.uid] = pending.revision
            if said := unreadable_switch(pending.secret.annotations, metadata.annotations, here.policy):
                what = f"{kind.resource.kind} {'/'.join(metadata.key)}"
                _log.warning("%s is not restarted: %s is %r, neither true nor false", what, AUTO_RESTART, shorten(said))
        return verdict

    async def _finish(self, pending: PendingRestart, here: _Namespace) -> None:
        """Say how many were restarted, and then remove the mark if nobody is left: a crash in between loses neither."""
        secret, left = pending.secret, here.left[pending.secret.name]
        try:
            async with self._writing:
                if here.complete and pending.changes.changes:
                    await self._say(pending, left=left, done=here.done[secret.name])
                if here.complete and not left and secret.name not in here.unturned:
                    await self._clear(pending)
                    here.outcome.progress = True
                else:
                    await self._note_declined(pending)
        except ClusterError as error:
            here.outcome.fail(f"restarts owed by the Secret {'/'.join(secret.key)}", error)

    async def _note_declined(self, pending: PendingRestart) -> None:
        """Write down beside a mark that stays who declined, so that another operator after us knows it, too."""
        secret = pending.secret
        declined = {
            workload: str(revisions[secret.uid])
            for workload, revisions in self._declined.items()
            if secret.uid in revisions
        }
        if (text := written_stamps(declined)) == secret.annotations.get(RESTART_DECLINED, ""):
            return
        patch = {"metadata": {"uid": secret.uid, "annotations": {RESTART_DECLINED: text}}}
        # A Secret that is gone, or was made anew, tells of itself.
        with contextlib.suppress(Conflict, NotFound):
            await self._cluster.merge_patch(SECRETS, *secret.key, patch, field_manager=RESTART_MANAGER)

    async def _say(self, pending: PendingRestart, *, left: int, done: int) -> None:
        try:
            await self._tell_status(
                Key(*pending.secret.key), counted(pending.revision, pending.changes, left=left, done=done)
            )
        except (Forbidden, Invalid) as error:
            # Trying again would not help, and the mark must not stay for it.
            _log.warning("the status of %s cannot tell of restarts: %s", "/".join(pending.secret.key), error)

    async def _clear(self, pending: PendingRestart) -> None:
        """Remove the very mark that was paid, whatever else has changed on the Secret meanwhile."""
        secret = pending.secret
        mark, declined = (
            f"/metadata/annotations/{name.replace('/', '~1')}" for name in (RESTART_OWED, RESTART_DECLINED)
        )
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": secret.uid},
            {"op": "test", "path": mark, "value": secret.annotations[RESTART_OWED]},
            {"op": "remove", "path": mark},
            # Our picture may lag, and to remove what is not there would be refused.
            {"op": "add", "path": declined, "value": ""},
            {"op": "remove", "path": declined},
        ]
        try:
            await self._cluster.json_patch(SECRETS, *secret.key, operations, field_manager=RESTART_MANAGER)
        except (Invalid, NotFound):
            # Another mark stands there now, or none: the watch tells, and another pass looks at it.
            return
        self._cleared[secret.uid] = secret.resource_version
