"""The vaults of a 1Password service account behind the seam of `core.vault`, asked as rarely as possible."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from keyturn.base.errors import translated
from keyturn.base.time import Time
from keyturn.core import vault
from keyturn.core.paths import normalized
from keyturn.providers.onepassword.allowance import Allowance
from keyturn.providers.onepassword.from_sdk import item_from, refs_from, scope_from
from keyturn.providers.onepassword.sdk_answers import (
    ITEM,
    LONGEST_ITEM,
    LONGEST_LIST,
    OVERVIEWS,
    VAULTS,
    read_answer,
    read_bytes,
)
from keyturn.providers.onepassword.sdk_errors import SdkFailure, vault_error_from
from keyturn.providers.onepassword.session import Session

_SAME_POLL = 1.0
"""Seconds for which `scopes` answers from what `refresh` was answered: a poll calls both, and needs only one request."""

_REPEATS, _REPEATS_EVERY = 12, 600.0
"""How often a vault that did not move is listed once more, and seconds until that may be done one more time."""


class _Listed(NamedTuple):
    """What a vault listed, and at which version."""

    version: int
    refs: tuple[vault.ItemRef, ...]


class OnepasswordVaults:
    """The `Vaults` of one service account.

    1Password counts each request: some accounts have 1,000 per day, for all their service accounts together. So a poll is one
    request, a vault that has not moved is hardly ever listed again, and nobody who looks for a name that does not exist can
    spend the quota of all others.

    Args:
        session: sends the calls.
        time: for the age of what is known.
        deadline: seconds for a call; the SDK itself never gives up.
        file_deadline: the same for the content of a file.
    """

    def __init__(self, session: Session, *, time: Time, deadline: float = 30.0, file_deadline: float = 120.0) -> None:
        self._session = session
        self._time = time
        self._deadline = deadline
        self._file_deadline = file_deadline
        self._polled: tuple[float, Sequence[vault.Scope]] | None = None
        self._lists: dict[str, _Listed] = {}
        self._repeats = Allowance(most=_REPEATS, every=_REPEATS_EVERY, time=time)

    @property
    def address(self) -> str:
        """The host that the token names."""
        return self._session.server or "the server that its token names"

    async def refresh(self) -> None:
        """List the vaults; `scopes` gives the answer to whoever asks for it next."""
        self._polled = None
        scopes = await self._list_vaults()
        self._polled = (self._time.monotonic(), scopes)

    async def scopes(self) -> Sequence[vault.Scope]:
        """The vaults: as `refresh` listed them a moment ago, else with one call."""
        polled, self._polled = self._polled, None
        if polled is not None and self._time.monotonic() - polled[0] < _SAME_POLL:
            return polled[1]
        return await self._list_vaults()

    async def items(self, scope: vault.Scope, *, wanted: Collection[str] | None) -> Sequence[vault.ItemRef]:
        """All items of the vault with one call, or without any if it has not moved and enough is known."""
        known = self._lists.get(scope.id)
        if known is not None and known.version == scope.version and self._is_enough(known, wanted):
            return known.refs
        what = f"the items of vault {scope.id}"
        text = await self._call("ItemsList", {"vault_id": scope.id, "filters": []}, what)
        found = await read_answer(OVERVIEWS, text, longest=LONGEST_LIST, otherwise=vault.VaultUnavailable, what=what)
        if any(each.vault_id not in {"", scope.id} for each in found):
            raise vault.VaultUnavailable(f"{what}: an item of another vault is among them")
        if not found and scope.size:
            raise vault.VaultUnavailable(f"{what}: none came, although the vault has {scope.size}")
        refs = refs_from({each.id: each for each in found}.values(), scope, now=self._time.now())
        if scope.version is not None:
            self._lists[scope.id] = _Listed(scope.version, refs)
        return refs

    async def item(self, scope: str, item_id: str) -> vault.Item:
        """One call, and none if the vault does not list the item: whether the SDK gives what is archived, nobody promises."""
        what = f"item {item_id} of vault {scope}"
        known = self._lists.get(scope)
        if known is not None and all(ref.id != item_id for ref in known.refs):
            raise vault.NotInVault(f"{what}: the vault does not list it")
        text = await self._call("ItemsGet", {"vault_id": scope, "item_id": item_id}, what)
        found = await read_answer(ITEM, text, longest=LONGEST_ITEM, otherwise=vault.ItemUnreadable, what=what)
        if (found.vault_id, found.id) != (scope, item_id):
            raise vault.ItemUnreadable(f"{what}: another item came")
        return item_from(found)

    async def file(self, item: vault.ItemRef, field: vault.Field, *, limit: int) -> bytes:
        """One call, and none if the file is larger than the limit."""
        what = f"file {field.id} of item {item.id} in vault {item.scope}"
        size = field.size or 0
        if size > limit:
            raise vault.FileTooLarge(f"{what}: {size} bytes, more than {limit}")
        attributes = {"name": field.label, "id": field.id, "size": size}
        parameters = {"vault_id": item.scope, "item_id": item.id, "attr": attributes}
        text = await self._call("ItemsFilesRead", parameters, what, seconds=self._file_deadline)
        return await read_bytes(text, size=size, otherwise=vault.ItemUnreadable, what=what)

    def credential_stamp(self) -> object:
        """That of the token's file; no request."""
        return self._session.credential_stamp()

    async def close(self) -> None:
        """Release the session, and forget the token and every title."""
        self._session.close()
        self._lists.clear()
        self._polled = None

    def _is_enough(self, known: _Listed, wanted: Collection[str] | None) -> bool:
        """Whether to answer from what the vault listed at this version."""
        if wanted is not None:
            names = {ref.id for ref in known.refs} | {normalized(ref.title).casefold() for ref in known.refs}
            if all(text in names or normalized(text).casefold() in names for text in wanted):
                return True
        return not self._repeats.take()

    async def _list_vaults(self) -> Sequence[vault.Scope]:
        what = "the vaults"
        text = await self._call("VaultsList", {"params": None}, what, may_be_absent=False)
        found = await read_answer(VAULTS, text, longest=LONGEST_LIST, otherwise=vault.VaultUnavailable, what=what)
        scopes = [scope_from(each) for each in found]
        there = {scope.id for scope in scopes}
        self._lists = {scope: listed for scope, listed in self._lists.items() if scope in there}
        return scopes

    async def _call(
        self,
        name: str,
        parameters: Mapping[str, Any],
        what: str,
        *,
        may_be_absent: bool = True,
        seconds: float | None = None,
    ) -> str:
        """Send a call; errors of the SDK leave it as errors of `core.vault`."""

        def translate(error: Exception) -> Exception | None:
            if not isinstance(error, SdkFailure):
                return None
            server = f"1Password at {self.address}"
            return vault_error_from(error, what, server=server, may_be_absent=may_be_absent)

        with translated(translate):
            return await self._session.call(name, parameters, seconds=seconds or self._deadline)
