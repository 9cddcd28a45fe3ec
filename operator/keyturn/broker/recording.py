"""The one place where the broker concludes: it writes the record of the audit, and counts, before anything is answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from keyturn.base.ulid import RANDOM_BYTES, ulid
from keyturn.broker.answer_room import AnswerMemory, AnswerRoom
from keyturn.broker.errors import AuditUnavailable, BrokerError
from keyturn.broker.services import Services
from keyturn.core.access import Identity
from keyturn.core.access_grant import AccessGrant, Action
from keyturn.core.audit import AuditCaller, AuditRecord, Door, RecordedGrant, RecordKind, RecordOutcome

_REMEMBERED: Final = 1000
"""Records that callers can see again, of all callers together."""

LISTING: Final = "list"
"""What records call a look at names: of vaults, items, files, or the caller's grants."""

_GRANTED: Final = "Granted"


@dataclass(frozen=True, slots=True)
class BrokerCall:
    """One request of a known caller.

    Attributes:
        caller: as records name it.
        door: that it came to.
        began: monotonic time.
        room: for the answer.
        review: says once more who the caller is, or raises a `BrokerError`; None if nobody knew it.
    """

    identity: Identity
    caller: AuditCaller
    door: Door
    began: float
    room: AnswerRoom = field(repr=False, compare=False)
    review: Callable[[], Awaitable[Identity]] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Subject:
    """What was asked of which vault.

    Attributes:
        connection: its name; empty if none was asked.
        vault: its id; empty if nothing was found.
        item: its id.
        version: of the item that is answered; 0 if none is.
        fields: names of the fields and files that are answered.
        upstream: id of the record whose request to the vault answered this one, too; empty if it had one of its own.
    """

    connection: str = ""
    vault: str = ""
    item: str = ""
    version: int = 0
    fields: tuple[str, ...] = ()
    upstream: str = ""


NOTHING: Final = Subject()


class Recorder:
    """Writes what was decided.

    Args:
        services: of the process.
    """

    def __init__(self, services: Services) -> None:
        self._audit = services.audit
        self._metrics = services.metrics
        self._time = services.time
        self._random = services.random
        self._recent: deque[AuditRecord] = deque(maxlen=_REMEMBERED)

    def new_id(self) -> str:
        """The id of a record that is to be written, which a request to a vault carries before that."""
        return ulid(self._time.now(), self._random(RANDOM_BYTES))

    async def allowed(
        self, call: BrokerCall, grant: AccessGrant, subject: Subject, *, record_id: str, action: str = Action.READ
    ) -> None:
        """A caller gets what it asks for, once this has returned.

        Raises:
            AuditUnavailable: it gets nothing.
        """
        given = RecordedGrant.of(grant)
        await self._write(call, action, RecordOutcome.ALLOWED, _GRANTED, subject, record_id=record_id, grant=given)
        self._metrics.grant_used(str(grant.key))

    async def listed(self, call: BrokerCall, action: str = LISTING) -> None:
        """A caller gets names of what it may find, and no value, once this has returned.

        Raises:
            AuditUnavailable: it gets nothing.
        """
        await self._write(call, action, RecordOutcome.ALLOWED, _GRANTED, NOTHING, record_id=self.new_id())

    async def refused(
        self,
        call: BrokerCall,
        error: BrokerError,
        subject: Subject = NOTHING,
        *,
        record_id: str = "",
        action: str = Action.READ,
    ) -> None:
        """A caller does not get what it asks for.

        Raises:
            AuditUnavailable: it must be told this instead.
        """
        outcome = RecordOutcome.DENIED if error.is_denial else RecordOutcome.FAILED
        await self._write(call, action, outcome, error.reason, subject, record_id=record_id or self.new_id())

    async def unknown(self, caller: AuditCaller, door: Door, error: BrokerError) -> None:
        """Somebody came whom nobody knows. Of many such requests, a sample is written.

        Raises:
            AuditUnavailable: the caller must be told this instead.
        """
        nothing = AnswerRoom(AnswerMemory())
        call = BrokerCall(Identity("", ""), caller, door, self._time.monotonic(), nothing)
        outcome = RecordOutcome.DENIED if error.status == 401 else RecordOutcome.FAILED
        await self._write(call, "authenticate", outcome, error.reason, NOTHING, record_id=self.new_id())

    def recent(self, identity: Identity) -> Sequence[AuditRecord]:
        """The last records about an identity that this process wrote, the newest first."""
        who = (identity.namespace, identity.name)
        return [each for each in self._recent if (each.caller.namespace, each.caller.name) == who]

    async def _write(
        self,
        call: BrokerCall,
        action: str,
        outcome: RecordOutcome,
        reason: str,
        subject: Subject,
        *,
        record_id: str,
        grant: RecordedGrant | None = None,
    ) -> None:
        record = AuditRecord(
            time=self._time.now(),
            id=record_id,
            kind=RecordKind.ACCESS,
            caller=call.caller,
            action=action,
            outcome=outcome,
            reason=reason,
            door=call.door,
            grant=grant,
            connection=subject.connection,
            vault=subject.vault,
            item=subject.item,
            item_version=subject.version,
            fields=subject.fields,
            duration_ms=round((self._time.monotonic() - call.began) * 1000),
            upstream=subject.upstream,
        )
        try:
            await self._audit.write(record)
        except AuditUnavailable as error:
            self._metrics.decided(action, RecordOutcome.FAILED, error.reason)
            raise
        if record.caller.is_known:
            self._recent.appendleft(record)
        self._metrics.decided(action, outcome, reason)
