"""The contract: what each fault means, and what may be asked of every answer and of every error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contract_world import SLOW, Fault, NewItem, Step, World

from keyturn.core.vault import (
    AccessDenied,
    CredentialRefused,
    Field,
    FieldKind,
    FileTooLarge,
    Item,
    ItemRef,
    ItemUnreadable,
    NotInVault,
    RateLimited,
    Scope,
    Url,
    VaultError,
    Vaults,
    VaultUnavailable,
)

FILE = b"canary-file \x00\xff\n"

Meaning = frozenset[type[VaultError]]


def _one_of(*kinds: type[VaultError]) -> Meaning:
    return frozenset(kinds)


_UNAVAILABLE = _one_of(VaultUnavailable)
_OF_ACCOUNT: Mapping[Fault, Meaning] = {
    Fault.UNAUTHORIZED: _one_of(CredentialRefused),
    Fault.FORBIDDEN: _one_of(AccessDenied),
    Fault.LIMITED: _one_of(RateLimited),
    Fault.LIMITED_7_S: _one_of(RateLimited),
    Fault.LIMITED_UNTIL: _one_of(RateLimited),
}
"""What a fault means for whatever is asked. Anything else says nothing: `VaultUnavailable`."""

_OF_THING: Mapping[Fault, Meaning] = {
    Fault.ABSENT: _one_of(NotInVault),
    # Some servers answer so themselves; others have a proxy before them.
    Fault.ABSENT_PAGE: _one_of(VaultUnavailable, NotInVault),
}
"""What it means for a vault, an item or a file that may be missing. There is always an account: it is never missing."""

_OF_ITEM: Mapping[Fault, Meaning] = {
    **dict.fromkeys(
        (Fault.EMPTY, Fault.PAGE, Fault.INVALID_JSON, Fault.INVALID_UTF8, Fault.OTHER_SHAPE, Fault.NULL, Fault.SHORT),
        _one_of(ItemUnreadable, VaultUnavailable),
    ),
    Fault.BOMB: _one_of(ItemUnreadable, VaultUnavailable, FileTooLarge),
    Fault.OTHER_BYTES: _one_of(ItemUnreadable),
}
"""What it may mean for one item or file."""


def meaning(step: Step, fault: Fault) -> Meaning:
    """The errors that a fault may be."""
    found = _OF_ACCOUNT.get(fault)
    if step is not Step.ACCOUNT:
        found = _OF_THING.get(fault, found)
    if step in {Step.ITEM, Step.FILE}:
        found = _OF_ITEM.get(fault, found)
    return found or _UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Place:
    """Where the item of the checks is."""

    scope: Scope
    ref: ItemRef
    file: Field


async def settle(world: World) -> Place:
    """Fill an account with one item, and find it."""
    vault = world.add_vault("Production")
    world.add(vault, NewItem("database", files={"tls.crt": FILE}))
    vaults = world.open()
    try:
        await vaults.refresh()
        scope = next(scope for scope in await vaults.scopes() if scope.id == vault)
        [ref] = await vaults.items(scope, wanted=None)
        item = await vaults.item(scope.id, ref.id)
    finally:
        await vaults.close()
    return Place(scope, ref, next(each for each in item.fields if each.kind is FieldKind.FILE))


async def _account(vaults: Vaults, place: Place) -> bool:
    await vaults.refresh()
    return place.scope.id in {scope.id for scope in await vaults.scopes()}


async def _listing(vaults: Vaults, place: Place) -> bool:
    return place.ref.id in {ref.id for ref in await vaults.items(place.scope, wanted=None)}


async def _item(vaults: Vaults, place: Place) -> bool:
    return values_of(await vaults.item(place.scope.id, place.ref.id))["password"] == "canary-password"


async def _file(vaults: Vaults, place: Place) -> bool:
    return await vaults.file(place.ref, place.file, limit=1000) == FILE


ASK: Mapping[Step, Callable[[Vaults, Place], Awaitable[bool]]] = {
    Step.ACCOUNT: _account,
    Step.LISTING: _listing,
    Step.ITEM: _item,
    Step.FILE: _file,
}
"""Each asks for one thing, and gives whether the answer is right."""


def values_of(item: Item) -> dict[str, str | None]:
    """The values of an item by label."""
    return {field.label: field.value for field in item.fields if field.kind is not FieldKind.FILE}


async def failure_of(attempt: Awaitable[Any]) -> VaultError | None:
    """The error of the seam that an attempt ends with; None if it succeeds. Any other error passes."""
    try:
        await attempt
    except VaultError as error:
        return error
    return None


def check_error(error: VaultError, world: World) -> None:
    """It is one line that is safe to publish, and nothing that is not hangs on it."""
    text = str(error)
    assert text.strip(), "an error without a text"
    assert len(text) < 1000, "an error longer than a status should be"
    assert text.isprintable(), f"{text!r} is not one line"
    assert "canary" not in text, f"{text!r} repeats what the server sent"
    assert world.credential not in text, "the credential is in an error"
    assert error.__cause__ is None, "another error hangs on it"
    assert error.__context__ is None, "another error hangs on it"


async def check_fault(world: World, place: Place, step: Step, fault: Fault) -> None:
    """The fault is the error that it means, costs few requests, and is forgotten once it is over."""
    vaults = world.open(hasty=fault in SLOW)
    try:
        world.fail(step, fault)
        before = world.requests
        error = await failure_of(ASK[step](vaults, place))
        expected = ", ".join(sorted(kind.__name__ for kind in meaning(step, fault)))
        assert type(error) in meaning(step, fault), f"{fault} at {step} is {error!r}, not {expected}"
        assert error is not None
        check_error(error, world)
        sent = world.requests - before
        assert sent <= world.most_requests[step], f"{sent} requests for one thing that fails"
        if isinstance(error, RateLimited):
            named = fault is not Fault.LIMITED and world.names_seconds
            assert not named or 6 <= (error.retry_after or 0) <= 7, f"{error.retry_after} s instead of 7"
            assert error.retry_after is None or error.retry_after > 0
            world.time.advance(error.retry_after or 60.0)
        world.heal()
        assert await ASK[step](vaults, place), "the same client gets a wrong answer afterwards"
    finally:
        world.heal()
        await vaults.close()


async def check_limit(world: World, place: Place) -> None:
    """A file is never longer than its reader can use."""
    vaults = world.open()
    try:
        error = await failure_of(vaults.file(place.ref, place.file, limit=len(FILE) - 1))
        assert type(error) is FileTooLarge, f"{error!r} for a file that is too large"
        check_error(error, world)
    finally:
        await vaults.close()


def check_result(result: Any) -> None:
    """Whatever an answer held, only what the seam promises comes out of it, and each text of it can be written."""
    if isinstance(result, bool | bytes):
        return
    if isinstance(result, Item):
        check_result(result.ref)
        for field in result.fields:
            assert isinstance(field.kind, FieldKind)
            _check_texts(field.id, field.label, field.section_id, field.section or "", field.value or "")
            assert field.size is None or _is_number(field.size)
    elif isinstance(result, ItemRef):
        _check_texts(result.id, result.scope, result.title, result.revision, result.category, result.state)
        _check_texts(*result.tags)
        assert result.id
        assert result.revision
        assert result.created_at is None or isinstance(result.created_at, datetime)
        for url in result.urls:
            assert isinstance(url, Url)
            _check_texts(url.href, url.label)
    elif isinstance(result, Scope):
        _check_texts(result.id, result.title)
        assert result.id
        assert all(number is None or _is_number(number) for number in (result.version, result.size))
        assert result.created_at is None or isinstance(result.created_at, datetime)
    else:
        assert not isinstance(result, str)
        for each in result:
            check_result(each)


def _check_texts(*texts: str) -> None:
    for text in texts:
        assert isinstance(text, str)
        text.encode()


def _is_number(found: object) -> bool:
    return isinstance(found, int) and not isinstance(found, bool)


def pairs(rows: Iterable[Any]) -> Iterable[tuple[Any, Any]]:
    """All pairs of a few rows; of many, each with the next one."""
    listed = list(rows)
    if len(listed) > 8:
        return list(zip(listed, [*listed[1:], listed[0]], strict=True))
    return [(one, other) for number, one in enumerate(listed) for other in listed[number + 1 :]]
