"""One pass over one namespace: restarts each workload once for all pending changes, and removes the annotations that are done."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from keyturn.base.log import info, warning
from keyturn.base.text import shorten
from keyturn.cluster import (
    NAMESPACES,
    About,
    ClusterError,
    Conflict,
    Forbidden,
    NotFound,
)
from keyturn.control.context import Context
from keyturn.control.restarts.declined import DeclinedMemory, DeclinedRestart
from keyturn.control.restarts.finisher import Finisher, OnCounted
from keyturn.control.restarts.gone import GoneKeys
from keyturn.control.restarts.kinds import BUILT_IN_KINDS, ChosenKind, WorkloadKind
from keyturn.control.restarts.made import MadeRestarts
from keyturn.control.restarts.mounts import MountRefresher
from keyturn.control.restarts.results import KindResult, PassResult
from keyturn.core.events import Event, EventReason
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import AUTO_RESTART, RESTART_MANAGER
from keyturn.core.restarts import (
    PendingRestart,
    Verdict,
    described,
    judge,
    restart_annotations,
    unreadable_switch,
)
from keyturn.core.rollouts import misplaced_switch, why_waiting

_log = logging.getLogger(__name__)

_RESTARTED = info("restarted {kind} {namespace}/{name} for {causes}")
_ROLLOUT_WAITS = info("marked {kind} {namespace}/{name} for a restart for {causes}: {why}")
_SWITCH_UNREADABLE = warning(
    "{kind} {namespace}/{name} is not restarted: {annotation} is {value!r}, neither true nor false"
)
_NAMESPACE_FAILED = warning("restarts in namespace {namespace} cannot begin, retrying: {error}")
_KIND_FAILED = warning("cannot find out whether kind {kind} is served, retrying: {error}")
_LIST_FAILED = warning("{resource} in namespace {namespace} cannot be listed, retrying: {error}")
_RESTART_FAILED = warning("{kind} {namespace}/{name} cannot be restarted, retrying: {error}")
_REFRESH_FAILED = warning("files of pods in namespace {namespace} cannot be refreshed, retrying: {error}")

_PATCHES_AT_ONCE = 10
"""Writes under way at once over all namespaces: more would only wait for a connection, while their deadline runs."""

_ATTEMPTS = 5
"""How often to read a workload again at once if it changes under our hands, as it does while it is rolled out."""


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a pass knows at its start.

    Attributes:
        namespace: its name.
        pending: its Secrets with pending changes, by name.
        policy: annotations of the namespace.
    """

    namespace: str
    pending: Mapping[str, PendingRestart]
    policy: Mapping[str, str]


class RestartPass:
    """Restarts the workloads of a namespace for the pending changes of its Secrets.

    Args:
        context: of the controller.
        on_counted: writes how many workloads have restarted and how many are left.
    """

    def __init__(self, context: Context, *, on_counted: OnCounted) -> None:
        self._cluster = context.cluster
        self._events = context.events
        self._metrics = context.metrics
        self._time = context.time
        self._default = context.settings.auto_restart
        self._chosen = [ChosenKind(context, reference) for reference in context.settings.restart_kinds]
        self._writing = asyncio.Semaphore(_PATCHES_AT_ONCE)
        self._mounts = MountRefresher(context, writing=self._writing) if context.settings.refresh_mounts else None
        self._declined = DeclinedMemory()
        self._made = MadeRestarts(context, writing=self._writing)
        self._gone = GoneKeys(context)
        self._finisher = Finisher(context, writing=self._writing, declined=self._declined, on_counted=on_counted)

    def is_done(self, secret: ObjectMeta) -> bool:
        """Whether the annotation of a Secret, as it was last seen, is removed already: the watch lags behind our own write."""
        return self._finisher.is_done(secret)

    def forget_all_but(self, pending: Iterable[ObjectMeta]) -> None:
        """Forget what was remembered of Secrets other than these, which have the annotation."""
        uids = {secret.uid for secret in pending}
        self._finisher.forget_all_but(uids)
        self._declined.forget_all_but(uids)
        self._made.forget_all_but(uids)

    async def look_back(self) -> None:
        """Look once more at each workload some time after its restart, until cancelled."""
        await self._made.run()

    async def run(self, namespace: str, pending_restarts: Iterable[PendingRestart]) -> PassResult:
        """Make one pass. The next one finds again what this one cannot finish. No failed request raises.

        Args:
            namespace: its name.
            pending_restarts: its Secrets with the annotation.
        """
        try:
            policy = await self._policy(namespace)
        except ClusterError as error:
            _NAMESPACE_FAILED(_log, namespace=namespace, error=error)
            return PassResult.failure(error)
        scope = _Scope(namespace, {pending.secret.name: pending for pending in pending_restarts}, policy)
        self._declined.read(scope.pending.values())
        (refresh, stale), kinds = await asyncio.gather(
            self._refresh_mounts(scope),
            asyncio.gather(
                *(self._run_kind(kind, scope) for kind in BUILT_IN_KINDS),
                *(self._run_chosen(kind, scope) for kind in self._chosen),
            ),
        )
        found = KindResult.merged(kinds)
        self._remember(found.declined, scope)
        if found.complete:
            self._gone.forget_all_but_latest(namespace)
        finished = await asyncio.gather(
            *(self._finisher.finish(each, found, stale=name in stale) for name, each in scope.pending.items())
        )
        return PassResult.merged((refresh, found.result, *finished))

    async def _policy(self, namespace: str) -> Mapping[str, str]:
        """The Namespace's annotations; none if we may not read it: then the operator's own setting decides."""
        try:
            answer = await self._cluster.get_metadata(NAMESPACES, None, namespace)
        except (Forbidden, NotFound):
            return {}
        return ObjectMeta.of(answer).annotations

    async def _refresh_mounts(self, scope: _Scope) -> tuple[PassResult, frozenset[str]]:
        """Refresh files in pods. Returns also the names of the Secrets whose files are still old in some pod."""
        if self._mounts is None:
            return PassResult(), frozenset()
        failures = await self._mounts.refresh(scope.namespace, scope.pending)
        for failure in failures:
            _REFRESH_FAILED(_log, namespace=scope.namespace, error=failure.error)
        result = PassResult.merged(PassResult.failure(failure.error) for failure in failures)
        return result, frozenset().union(*(failure.secrets for failure in failures))

    async def _run_chosen(self, chosen: ChosenKind, scope: _Scope) -> KindResult:
        try:
            kind = await chosen.find()
        except ClusterError as error:
            _KIND_FAILED(_log, kind=str(chosen), error=error)
            return KindResult(PassResult.failure(error), complete=False)
        return await self._run_kind(kind, scope) if kind is not None else KindResult()

    async def _run_kind(self, kind: WorkloadKind, scope: _Scope) -> KindResult:
        done: Counter[str] = Counter()
        waiting: Counter[str] = Counter()
        left: Counter[str] = Counter()
        declined: list[DeclinedRestart] = []
        due: list[tuple[Mapping[str, Any], Verdict]] = []
        try:
            # Of each page, only the workloads that must restart stay in memory.
            async for page in self._cluster.pages(kind.resource, scope.namespace):
                for workload in page.get("items") or ():
                    self._made.check(workload)
                    verdict = self._judge(kind, workload, scope)
                    done.update(verdict.done)
                    if why_waiting(workload):
                        waiting.update(verdict.done)
                    declined += _declined(kind, workload, verdict, scope)
                    self._report_misplaced_switch(kind, workload, verdict)
                    if verdict.gone:
                        self._gone.report(kind.resource, ObjectMeta.of(workload), verdict, scope.pending)
                        left.update(verdict.due.keys())
                    elif verdict.due:
                        due.append((workload, verdict))
        except ClusterError as error:
            _LIST_FAILED(_log, resource=kind.resource.label, namespace=scope.namespace, error=error)
            return KindResult(PassResult.failure(error), done=done, declined=tuple(declined), complete=False)
        held = PassResult(held=bool(left))
        judged = KindResult(held, left=left, done=done, waiting=waiting, declined=tuple(declined))
        restarts = await asyncio.gather(*(self._restart(kind, *each, scope) for each in due))
        return KindResult.merged((judged, *restarts))

    def _judge(
        self,
        kind: WorkloadKind,
        workload: Mapping[str, Any],
        scope: _Scope,
        *,
        declined: Iterable[DeclinedRestart] = (),
    ) -> Verdict:
        """Judge one state of a workload, by what was declined before this pass and, as `declined`, in it."""
        metadata, template = ObjectMeta.of(workload), kind.template_of(workload)
        if template is None or metadata.deletion_timestamp is not None:
            return Verdict()
        now = {each.pending.secret.uid: each.pending.revision for each in declined if each.workload.uid == metadata.uid}
        return judge(
            metadata,
            template,
            scope.pending,
            policy=scope.policy,
            default=self._default,
            declined=_highest(self._declined.by(metadata.uid), self._made.by(metadata.uid), now),
        )

    async def _restart(
        self, kind: WorkloadKind, workload: Mapping[str, Any], verdict: Verdict, scope: _Scope
    ) -> KindResult:
        """Restart a workload that must. If it changes meanwhile, its new state is judged again."""
        metadata, secrets = ObjectMeta.of(workload), Counter(verdict.due.keys())
        declined = _declined(kind, workload, verdict, scope)
        known, progress = len(declined), False
        try:
            async with self._writing:
                for attempts_left in reversed(range(_ATTEMPTS + 1)):
                    try:
                        progress = await self._patch(kind, workload, verdict, scope)
                        break
                    except Conflict:
                        if not attempts_left:
                            raise
                    workload = await self._cluster.get(kind.resource, *metadata.key)
                    verdict = self._judge(kind, workload, scope, declined=declined)
                    declined += _declined(kind, workload, verdict, scope)
        except NotFound:
            # A workload that is gone needs no restart.
            return KindResult()
        except ClusterError as error:
            # One workload that cannot be patched must not keep the others from their restart.
            about = {"kind": kind.resource.kind, "namespace": metadata.namespace, "name": metadata.name}
            _RESTART_FAILED(_log, error=error, **about)
            self._metrics.restarted(kind.resource.kind, "failed")
            return KindResult(PassResult.failure(error), left=secrets, declined=tuple(declined[known:]))
        more = tuple(declined[known:])
        if verdict.gone:
            return KindResult(PassResult(held=True), left=secrets, declined=more)
        waiting = secrets if why_waiting(workload) else {}
        return KindResult(PassResult(progress=progress), done=secrets, waiting=waiting, declined=more)

    async def _patch(self, kind: WorkloadKind, workload: Mapping[str, Any], verdict: Verdict, scope: _Scope) -> bool:
        """Restart a workload once for all that is due, and touch nothing but two annotations of its template.

        Returns whether anything was due.
        """
        due, template = verdict.due, kind.template_of(workload)
        if not due or template is None or verdict.gone:
            return False
        metadata = ObjectMeta.of(workload)
        stamps = {name: scope.pending[name].stamp for name in due}
        annotations = restart_annotations(metadata, template, stamps, now=self._time.now())
        patch = kind.patch(annotations, resource_version=metadata.resource_version)
        await self._cluster.merge_patch(kind.resource, *metadata.key, patch, field_manager=RESTART_MANAGER)
        self._metrics.restarted(kind.resource.kind, "done")
        causes = described((scope.pending[name], keys) for name, keys in sorted(due.items()))
        about = {"kind": kind.resource.kind, "namespace": metadata.namespace, "name": metadata.name}
        self._made.record(kind, workload, {name: scope.pending[name] for name in due}, annotations)
        if why := why_waiting(workload):
            _ROLLOUT_WAITS(_log, causes=causes, why=why, **about)
            event = Event(EventReason.RESTART_WAITING, f"marked for a restart for {causes}: {why}")
        else:
            _RESTARTED(_log, causes=causes, **about)
            event = Event(EventReason.RESTARTED, f"restarted for {causes}")
        self._events.post(About(kind.resource, *metadata.key, metadata.uid), event)
        return True

    def _report_misplaced_switch(self, kind: WorkloadKind, workload: Mapping[str, Any], verdict: Verdict) -> None:
        """Report a switch without effect when it matters: a key that the workload uses changed."""
        metadata, template = ObjectMeta.of(workload), kind.template_of(workload)
        if template is None or not (verdict.due or verdict.declined):
            return
        if place := misplaced_switch(metadata, template):
            message = f"{AUTO_RESTART} has no effect in {place}; set it in the workload's annotations"
            event = Event(EventReason.AUTO_RESTART_MISPLACED, message, warning=True)
            self._events.post(About(kind.resource, *metadata.key, metadata.uid), event)

    def _remember(self, declined: Iterable[DeclinedRestart], scope: _Scope) -> None:
        for each in declined:
            if value := unreadable_switch(each.pending.secret.annotations, each.workload.annotations, scope.policy):
                about = {"kind": each.kind, "namespace": each.workload.namespace, "name": each.workload.name}
                _SWITCH_UNREADABLE(_log, annotation=AUTO_RESTART, value=shorten(value), **about)
        self._declined.remember(declined)


def _declined(
    kind: WorkloadKind, workload: Mapping[str, Any], verdict: Verdict, scope: _Scope
) -> list[DeclinedRestart]:
    metadata = ObjectMeta.of(workload)
    return [DeclinedRestart(kind.resource.kind, metadata, scope.pending[name]) for name in sorted(verdict.declined)]


def _highest(*revisions: Mapping[str, int]) -> dict[str, int]:
    """The highest revision of each Secret."""
    highest: dict[str, int] = {}
    for each in revisions:
        highest.update({uid: max(revision, highest.get(uid, 0)) for uid, revision in each.items()})
    return highest
