"""Reports workloads that are not restarted because a key that they require is gone."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from keyturn.base.log import warning
from keyturn.base.text import listed
from keyturn.cluster import About, Resource
from keyturn.control.context import Context
from keyturn.core.events import Event
from keyturn.core.metadata import ObjectMeta
from keyturn.core.restarts import PendingRestart, Verdict, described
from keyturn.core.status import Reason

_log = logging.getLogger(__name__)

_NOT_RESTARTED = warning("{kind} {namespace}/{name} is not restarted for {causes}: {why}")


class GoneKeys:
    """Posts an Event at each pass, which repeats it no more often than any Event, and logs each case once.

    Args:
        context: of the controller.
    """

    def __init__(self, context: Context) -> None:
        self._events = context.events
        # By namespace: what the pass under way found, and what was logged before.
        self._found: dict[str, set[tuple[str, str]]] = {}
        self._logged: dict[str, set[tuple[str, str]]] = {}

    def report(
        self, resource: Resource, workload: ObjectMeta, verdict: Verdict, pending: Mapping[str, PendingRestart]
    ) -> None:
        """Report one workload.

        Args:
            resource: its kind.
            workload: its metadata.
            verdict: about it.
            pending: the Secrets of its namespace with pending changes, by name.
        """
        causes = described((pending[name], keys) for name, keys in sorted(verdict.due.items()))
        gone = "; ".join(f"{listed('key', keys)} of the Secret {name}" for name, keys in sorted(verdict.gone.items()))
        why = f"it requires what is gone: {gone}"
        about = {"kind": resource.kind, "namespace": workload.namespace, "name": workload.name}
        case = (workload.uid, f"{causes}: {why}")
        if case not in self._logged.get(workload.namespace, ()):
            _NOT_RESTARTED(_log, causes=causes, why=why, reason=Reason.KEY_GONE, **about)
        self._found.setdefault(workload.namespace, set()).add(case)
        message = f"not restarted for {causes}: {why}. Its pods keep running. It restarts once the key is back"
        event = Event(Reason.KEY_GONE, message, warning=True)
        self._events.post(About(resource, *workload.key, workload.uid), event)

    def forget_all_but_latest(self, namespace: str) -> None:
        """A pass over a namespace is complete: forget what it did not find again."""
        self._logged.pop(namespace, None)
        if found := self._found.pop(namespace, None):
            self._logged[namespace] = found
