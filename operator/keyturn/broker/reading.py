"""The one path of a read, whichever door it came by: rights, decision, health, budget, one request to the vault, record, answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from keyturn.base.errors import translated
from keyturn.broker.answer_room import AnswerRoom
from keyturn.broker.catalog import Catalog, Catalogs, FoundItem
from keyturn.broker.errors import (
    ActionNotGranted,
    Ambiguous,
    BrokerError,
    NotThere,
    StaleRights,
    of_vault,
)
from keyturn.broker.identity import VERDICTS_LAST
from keyturn.broker.meanings import ReferenceValue, means_bytes, meant_by, value_text
from keyturn.broker.opened_item import OpenedItem
from keyturn.broker.recording import LISTING, BrokerCall, Recorder, Subject
from keyturn.broker.services import Services
from keyturn.broker.upstream import Errand, Upstream
from keyturn.core.access import Allowed, Denied, DeniedReason, decide, readable, visible
from keyturn.core.access_grant import Action
from keyturn.core.references import Fields
from keyturn.core.secret_references import SecretReference
from keyturn.core.vault import Field, FieldKind, VaultError

_T = TypeVar("_T")

_AT_ONCE: Final = 8
"""Items that one request has fetched at the same time."""


@dataclass(frozen=True, slots=True)
class _Taken(Generic[_T]):
    """What a caller takes of an item.

    Attributes:
        answer: for the door.
        fields: whose values, or names, are in it.
        missed: why not everything is in it that was asked for; None if it is.
    """

    answer: _T = field(repr=False)
    fields: Sequence[Field] = field(repr=False)
    missed: BrokerError | None = None


class FieldReader:
    """Reads for callers. What is not granted to one is not there for it, as far as it can see.

    Args:
        services: of the process.
        catalogs: of identities.
        recorder: concludes.
    """

    def __init__(self, services: Services, catalogs: Catalogs, recorder: Recorder) -> None:
        self._time = services.time
        self._catalogs = catalogs
        self._recorder = recorder
        self._upstream = Upstream(services)

    # What doors ask.

    async def read(self, call: BrokerCall, references: Sequence[SecretReference]) -> list[ReferenceValue | BrokerError]:
        """What references mean, in their order. An item that several of them name is fetched once.

        Raises:
            BrokerError: nothing can be answered at all.
        """
        catalog = await self._catalog(call, lambda known: all(map(known.named, references)))
        answers: list[ReferenceValue | BrokerError] = [NotThere()] * len(references)
        wanted: dict[FoundItem, list[int]] = {}
        refusals: dict[str, BrokerError] = {}
        for number, reference in enumerate(references):
            match _only(catalog, catalog.named(reference)):
                case FoundItem() as found:
                    wanted.setdefault(found, []).append(number)
                case error:
                    answers[number] = refusals.setdefault(error.reason, error)
        for error in refusals.values():
            await self._recorder.refused(call, error)
        places = asyncio.Semaphore(_AT_ONCE)

        async def read_item(found: FoundItem, numbers: Sequence[int]) -> None:
            asked = [references[number] for number in numbers]
            async with places:
                read = await self._read_item(call, catalog, found, asked)
            for number, answer in zip(numbers, read, strict=True):
                answers[number] = answer

        with translated(lambda error: error.exceptions[0] if isinstance(error, ExceptionGroup) else None):
            async with asyncio.TaskGroup() as group:
                for found, numbers in wanted.items():
                    group.create_task(read_item(found, numbers))
        if len(wanted) > 1:
            await self._check_all(call, catalog)
        return answers

    async def item(self, call: BrokerCall, vault: str, item: str) -> OpenedItem:
        """An item by its ids, with all that is granted of it.

        Raises:
            BrokerError: it cannot be read.
        """

        async def take(opened: OpenedItem) -> _Taken[OpenedItem]:
            return _Taken(opened, [each for each in opened.item.fields if each.kind is not FieldKind.FILE])

        return await self._open(call, *await self._by_ids(call, vault, item), take)

    async def files(
        self, call: BrokerCall, vault: str, item: str, *, file: str | None = None
    ) -> tuple[OpenedItem, Sequence[Field]]:
        """The files of an item that are granted, or the one of this id, without their bytes.

        Raises:
            BrokerError: it cannot be read.
        """

        async def take(opened: OpenedItem) -> _Taken[tuple[OpenedItem, Sequence[Field]]]:
            files = opened.files(file)
            if file is not None and not files:
                raise NotThere
            return _Taken((opened, files), files)

        return await self._open(call, *await self._by_ids(call, vault, item), take, action=LISTING)

    async def file(self, call: BrokerCall, vault: str, item: str, file: str) -> bytes:
        """The bytes of a file of an item by its ids.

        Raises:
            BrokerError: it cannot be read.
        """

        async def take(opened: OpenedItem) -> _Taken[bytes]:
            for each in opened.files(file):
                return _Taken(await self._bytes(opened, each, call.room), [each])
            raise NotThere

        return await self._open(call, *await self._by_ids(call, vault, item), take)

    # How it is done.

    async def _catalog(self, call: BrokerCall, is_enough: Callable[[Catalog], bool]) -> Catalog:
        """The catalog of a caller: what is listed, if that is enough to answer."""
        try:
            catalog = await self._catalogs.known(call.identity)
            return catalog if is_enough(catalog) else await self._catalogs.completed(catalog)
        except BrokerError as error:
            await self._recorder.refused(call, error)
            raise

    async def _by_ids(self, call: BrokerCall, vault: str, item: str) -> tuple[Catalog, FoundItem]:
        catalog = await self._catalog(call, lambda known: bool(known.with_id(vault, item)))
        match _only(catalog, catalog.with_id(vault, item)):
            case FoundItem() as found:
                return catalog, found
            case error:
                await self._recorder.refused(call, error)
                raise error

    async def _read_item(
        self, call: BrokerCall, catalog: Catalog, found: FoundItem, references: Sequence[SecretReference]
    ) -> Sequence[ReferenceValue | BrokerError]:
        """What several references to one item mean.

        Raises:
            AuditUnavailable: that cannot be recorded.
        """

        async def take(opened: OpenedItem) -> _Taken[list[ReferenceValue | BrokerError]]:
            fields, answers = (
                Fields(readable(opened.whole, opened.allowed.fields), ""),
                list[ReferenceValue | BrokerError](),
            )
            taken, missed = list[Field](), None
            for reference in references:
                try:
                    meant = self._meant(call, catalog, opened, fields, reference)
                    answers.append(await self._value(opened, meant, reference, call.room))
                except BrokerError as error:
                    missed = missed or error
                    answers.append(error)
                else:
                    taken.append(meant)
            return _Taken(answers, list({id(each): each for each in taken}.values()), missed)

        refusals: list[BrokerError] = []
        try:
            return await self._open(call, catalog, found, take)
        except BrokerError as error:
            if error.concerns_all:
                raise
            refusals = [error] * len(references)
        return refusals

    def _meant(
        self, call: BrokerCall, catalog: Catalog, opened: OpenedItem, fields: Fields, reference: SecretReference
    ) -> Field:
        """The field or file that a reference means.

        Raises:
            NotThere: there is none for this caller.
            ActionNotGranted: it is granted, but not to be read.
            Ambiguous: there are several.
        """
        if (found := meant_by(reference, fields)) is not None:
            return found
        for action in Action:
            decision = self._decision(call, catalog, opened.found, action)
            if isinstance(decision, Allowed):
                others = Fields(readable(opened.whole, decision.fields), "")
                if meant_by(reference, others) is not None:
                    raise ActionNotGranted
        raise NotThere

    async def _value(
        self, opened: OpenedItem, meant: Field, reference: SecretReference, room: AnswerRoom
    ) -> ReferenceValue:
        revision = opened.item.ref.revision
        if means_bytes(reference, meant):
            return ReferenceValue(await self._bytes(opened, meant, room), revision, is_file=True)
        data = value_text(reference, meant, now=self._time.now())
        room.take(len(data))
        return ReferenceValue(data, revision)

    async def _open(
        self,
        call: BrokerCall,
        catalog: Catalog,
        found: FoundItem,
        take: Callable[[OpenedItem], Awaitable[_Taken[_T]]],
        *,
        action: str = Action.READ,
    ) -> _T:
        """Have a caller take something of an item. What it takes is recorded before this returns it.

        Raises:
            BrokerError: it gets nothing.
        """
        errand = Errand(call.identity, call.began, self._recorder.new_id())
        try:
            with translated(lambda error: of_vault(error) if isinstance(error, VaultError) else None):
                opened = await self._fetch(call, catalog, found, errand)
                taken = await take(opened)
                await self._check_still(call, catalog)
        except BrokerError as error:
            subject = Subject(*found.key)
            await self._recorder.refused(call, error, subject, record_id=errand.record_id, action=action)
            raise
        await self._conclude(call, opened, taken, action)
        return taken.answer

    async def _check_all(self, call: BrokerCall, catalog: Catalog) -> None:
        """Call before several items are given: the first of them may have waited long for the last."""
        try:
            await self._check_still(call, catalog)
        except BrokerError as error:
            await self._recorder.refused(call, error)
            raise

    async def _check_still(self, call: BrokerCall, catalog: Catalog) -> None:
        """Call once a vault has answered: that may have taken long, and what a caller gets must be granted when it gets it.

        Raises:
            StaleRights: a right that the caller had before has ended or changed. Asked again, it gets what it may have now.
            BrokerError: its token is not accepted any more, or nobody knows now whether it is.
        """
        if call.review is not None and self._time.monotonic() - call.began > VERDICTS_LAST:
            await call.review()
        now = await self._catalogs.known(call.identity)
        if now.served != catalog.served and not all(each in now.served for each in catalog.served):
            raise StaleRights(
                "rights of the caller changed meanwhile; ask again", retry_after=1, reason="RightsChanged"
            )

    async def _fetch(self, call: BrokerCall, catalog: Catalog, found: FoundItem, errand: Errand) -> OpenedItem:
        decision = self._decision(call, catalog, found, Action.READ)
        if isinstance(decision, Denied):
            raise NotThere if decision.reason is DeniedReason.NOT_GRANTED else ActionNotGranted
        whole, upstream = await self._upstream.item(errand, found)
        return OpenedItem(found, whole, visible(whole, decision.fields), decision, errand, upstream)

    async def _bytes(self, opened: OpenedItem, file: Field, room: AnswerRoom) -> bytes:
        """The bytes of a file that is granted, if they fit into the answer."""
        room.take(file.size or 0)
        limit = room.left if file.size is None else file.size
        data = await self._upstream.file(opened.errand, opened.found.connection, opened.whole.ref, file, limit=limit)
        if file.size is None:
            room.take(len(data))
        return data

    async def _conclude(self, call: BrokerCall, opened: OpenedItem, taken: _Taken[_T], action: str) -> None:
        record_id, upstream = opened.errand.record_id, opened.upstream
        for grant, names in opened.by_grant(taken.fields, or_none=taken.missed is None):
            subject = Subject(*opened.found.key, version=opened.version, fields=names, upstream=upstream)
            await self._recorder.allowed(call, grant, subject, record_id=record_id, action=action)
            # A further record is about the same request to the vault.
            record_id, upstream = self._recorder.new_id(), upstream or opened.errand.record_id
        if taken.missed is not None:
            missed = Subject(*opened.found.key, upstream=upstream)
            await self._recorder.refused(call, taken.missed, missed, record_id=record_id, action=action)

    def _decision(self, call: BrokerCall, catalog: Catalog, found: FoundItem, action: Action) -> Allowed | Denied:
        return decide(call.identity, catalog.grants, found.key, action, now=self._time.now())


def _only(catalog: Catalog, candidates: Sequence[FoundItem]) -> FoundItem | BrokerError:
    """The one item that is meant, or why there is none. It is the same for an item that is not granted and one that is not there."""
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        return Ambiguous()
    return of_vault(catalog.error) if catalog.error is not None else catalog.not_found()
