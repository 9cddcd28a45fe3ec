"""Runs passes: one over each request of a batch, all of which share the items that they fetch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from keyturn.base.time import Time
from keyturn.control.connections.connection import Connections
from keyturn.control.requests.registry import RequestRegistry
from keyturn.control.sync.conclude import Conclusion
from keyturn.control.sync.fetching import Batch
from keyturn.control.sync.phases import Phases
from keyturn.control.sync.situations import Situations
from keyturn.control.sync.sync_requests import SyncRequests
from keyturn.core.events import Event
from keyturn.core.outcomes import GONE, Ended, Outcome
from keyturn.core.request import Key, SecretRequest


class Reconciler:
    """Reconciles keys. One instance serves all workers. The queue ensures that a key is never reconciled twice at once.

    Args:
        registry: of requests.
        connections: where items come from.
        phases: of each pass.
        conclusion: of each pass.
        situations: say what an error means.
        sync_requests: which of them a pass answers.
        time: for durations.
    """

    def __init__(
        self,
        *,
        registry: RequestRegistry,
        connections: Connections,
        phases: Phases,
        conclusion: Conclusion,
        situations: Situations,
        sync_requests: SyncRequests,
        time: Time,
    ) -> None:
        self._registry = registry
        self._connections = connections
        self._phases = phases
        self._conclusion = conclusion
        self._situations = situations
        self._sync_requests = sync_requests
        self._time = time

    async def reconcile(self, keys: Sequence[Key]) -> None:
        """Run a pass for each key, and fetch each item once for all of them.

        It raises nothing but cancellation and, once all passes have ended, a defect.
        """
        batch = Batch(self._connections, time=self._time)
        passes = (self._reconcile(key, batch, share=1 / len(keys)) for key in keys)
        ended = await asyncio.gather(*passes, return_exceptions=True)
        for defect in ended:
            if isinstance(defect, BaseException):
                raise defect

    async def _reconcile(self, key: Key, batch: Batch, *, share: float) -> None:
        started = self._time.monotonic()
        request = self._registry.get(key)
        outcome = GONE if request is None else await self._pass(request, batch)
        # The passes of a batch run side by side, so each took its share of the time.
        await self._conclusion.conclude(key, request, outcome, seconds=(self._time.monotonic() - started) * share)

    async def _pass(self, request: SecretRequest, batch: Batch) -> Outcome:
        # Before anything is read: a look that ends meanwhile may have found more than this pass sees.
        looked_for = self._sync_requests.looked_for(request)
        outcome = await self._phases_of(request, batch)
        return replace(outcome, sync_requested=looked_for) if looked_for and outcome.is_answer else outcome

    async def _phases_of(self, request: SecretRequest, batch: Batch) -> Outcome:
        events: list[Event] = []
        try:
            return await self._phases.run(request, batch, events)
        except Ended as ended:
            return ended.outcome
        except Exception as error:  # noqa: BLE001 - also a defect of ours on one request; the others must go on
            return self._situations.after(error, request)
        finally:
            # However the pass ends, and whether or not its status can be written.
            self._conclusion.post(request, events)
