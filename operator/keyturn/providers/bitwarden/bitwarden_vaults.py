"""Bitwarden behind the seam of `core.vault`: one small request per poll, and everything again only when the account changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

from keyturn.base.errors import translated
from keyturn.base.time import Time
from keyturn.core.paths import normalized
from keyturn.core.vault import (
    Field,
    FileTooLarge,
    Item,
    ItemRef,
    ItemUnreadable,
    NotInVault,
    Scope,
    VaultError,
    VaultUnavailable,
)
from keyturn.providers.bitwarden.account import BitwardenAccount
from keyturn.providers.bitwarden.answers import Unexpected, read_file_address, read_revision, read_sync
from keyturn.providers.bitwarden.exchange import Exchange, Outgoing
from keyturn.providers.bitwarden.logins import THING_MEANINGS, Login, Logins
from keyturn.providers.bitwarden.one_at_a_time import Worker
from keyturn.providers.bitwarden.opened_items import file_key, open_item
from keyturn.providers.bitwarden.sealed import FILE_OVERHEAD, SymmetricKey, Undecipherable
from keyturn.providers.bitwarden.snapshot import UNREADABLE, SealedItem, Snapshot, take_snapshot
from keyturn.providers.bitwarden.unlocking import Unlocker

_T = TypeVar("_T")

_SYNC_LENGTH, _SYNC_WEIGHT = 16 * 1024 * 1024, 1_000_000
"""Some 5,000 items. Reading takes several times as much memory for a moment."""

_SYNC_DEADLINE = 60.0
_FILE_DEADLINE = 120.0
_LONGEST_ADDRESS = 8192

_STORE_MEANINGS: Mapping[int, type[VaultError]] = {
    401: VaultUnavailable,
    403: VaultUnavailable,
    404: NotInVault,
}
"""Where the bytes of files are, no credential is known: a refusal says that the address expired."""


class BitwardenVaults:
    """The `Vaults` of one account. A vault is a collection, or what is in no organisation."""

    def __init__(self, account: BitwardenAccount, exchange: Exchange, *, time: Time) -> None:
        self._account: BitwardenAccount | None = account
        self._server = account.server
        self._exchange = exchange
        self._logins = Logins(account, exchange, time=time)
        self._unlocker = Unlocker(account.master_password, server=account.server, time=time)
        self._worker = Worker(time=time)
        self._lock = asyncio.Lock()
        self._snapshot: Snapshot | None = None
        self._synced_with: Login | None = None
        self._syncs = 0

    @property
    def address(self) -> str:
        """Scheme, host and port of the server."""
        return "/".join(self._server.split("/")[:3])

    async def refresh(self) -> None:
        """One GET of the time of the last change. If that moved, or after a login, one of everything that the account can see."""
        async with self._lock:
            body = await self._logins.get("/accounts/revision-date", route="/accounts/revision-date")
            revision = self._read(lambda: read_revision(body))
            login = await self._logins.present()
            unmoved = self._snapshot is not None and self._snapshot.revision == revision
            if not unmoved or self._synced_with is not login:
                await self._sync(revision, login)
                self._synced_with = login

    async def scopes(self) -> Sequence[Scope]:
        """The collections, and `personal`."""
        return (await self._present()).scopes

    async def items(self, scope: Scope, *, wanted: Collection[str] | None) -> Sequence[ItemRef]:
        """The items of a scope, or those that a wanted id or title may mean."""
        refs = (await self._present()).refs.get(scope.id)
        if refs is None:
            raise NotInVault(f"vault {scope.id} does not exist")
        if wanted is None:
            return refs
        names = {_folded(name) for name in wanted}
        return [ref for ref in refs if ref.id in wanted or _folded(ref.title) in names]

    async def item(self, scope: str, item_id: str) -> Item:
        """One item with its values. One in the trash counts as not there."""
        snapshot = await self._present()
        return open_item(_found(snapshot, scope, item_id), scope, snapshot.keyring)

    async def file(self, item: ItemRef, field: Field, *, limit: int) -> bytes:
        """The content of a file: one GET of its address, one of the sealed bytes."""
        what = f"file {field.id} of item {item.id} in vault {item.scope}"
        snapshot = await self._present()
        sealed = _found(snapshot, item.scope, item.id)
        key = _opened(what, lambda: file_key(sealed, field.id, snapshot.keyring))
        if key is None:
            raise NotInVault(f"{what} does not exist")
        if field.size is not None and field.size > limit:
            raise FileTooLarge(f"{what} has more than {limit} bytes")
        return await self._content(what, key, f"/ciphers/{item.id}/attachment/{field.id}", limit=limit)

    async def close(self) -> None:
        """Forget credential, keys and items, and close every connection."""
        self._logins.forget()
        self._unlocker.forget()
        if self._snapshot is not None:
            self._snapshot.keyring.wipe()
        self._account = self._snapshot = self._synced_with = None
        await self._exchange.close()

    async def _present(self) -> Snapshot:
        if self._snapshot is None:
            await self.refresh()
        if self._snapshot is None:
            raise VaultUnavailable(f"{self._server}: the connection is closed")
        return self._snapshot

    async def _sync(self, revision: str, login: Login) -> None:
        """Replace the snapshot, in one assignment."""
        await self._worker.rest()
        body = await self._logins.get(
            "/sync?excludeDomains=true",
            route="/sync",
            length=_SYNC_LENGTH,
            weight=_SYNC_WEIGHT,
            deadline=_SYNC_DEADLINE,
        )
        account, before = self._account, self._snapshot
        if account is None:
            raise VaultUnavailable(f"{self._server}: the connection is closed")
        self._syncs += 1
        number = self._syncs

        def made() -> Snapshot:
            answer = self._read(lambda: read_sync(body, how=login.answer.how))
            if answer.user != account.user:
                raise VaultUnavailable(f"{account.server}: the server answers for another account")
            keyring = self._unlocker.unlock(answer)
            return self._read(lambda: take_snapshot(answer, keyring, revision=revision, number=number, before=before))

        snapshot = await self._worker.run(made)
        if self._account is None:
            snapshot.keyring.wipe()
            return
        self._snapshot = snapshot

    async def _content(self, what: str, key: SymmetricKey, path: str, *, limit: int) -> bytes:
        described = await self._logins.get(path, route="/ciphers/{item}/attachment/{file}", meanings=THING_MEANINGS)
        url = self._read(lambda: read_file_address(described))
        self._check_address(what, url)
        # No token goes along: the address itself is the permission, and may lead to another company's store.
        sealed = await self._exchange.send(
            Outgoing(
                "GET",
                url,
                route="/attachments/{file}",
                deadline=_FILE_DEADLINE,
                length=limit + FILE_OVERHEAD,
                weight=None,
                meanings=_STORE_MEANINGS,
                too_much=FileTooLarge,
            )
        )
        content = _opened(what, lambda: key.open_file(sealed))
        if len(content) > limit:
            raise FileTooLarge(f"{what} has more than {limit} bytes")
        return content

    def _check_address(self, what: str, url: str) -> None:
        """Refuse an address that is not the server's, nor one at which Bitwarden's cloud keeps files, nor listed by the administrator."""
        account = self._account
        if account is None:
            raise VaultUnavailable(f"{self._server}: the connection is closed")
        scheme, host, port = _origin(url)
        if (scheme, host, port) == _origin(account.server):
            return
        usual = scheme == "https" and port == 443 and host.endswith(account.endpoints.file_hosts)
        if not usual and not (host and account.allowed.lists(host, port)):
            where = f"another host, {host!r}" if host else "an unusable address"
            raise ItemUnreadable(f"{what} is kept at {where}; the administrator can list it in KEYTURN_ALLOWED_HOSTS")

    def _read(self, read: Callable[[], _T]) -> _T:
        def unexpected(error: Exception) -> VaultError | None:
            is_nested = isinstance(error, RecursionError)
            if is_nested or isinstance(error, Unexpected):
                problem = "it is nested too deeply" if is_nested else str(error)
                return VaultUnavailable(f"{self._server}: the answer is not one of Bitwarden: {problem}")
            return None

        with translated(unexpected):
            return read()


def _found(snapshot: Snapshot, scope: str, item_id: str) -> SealedItem:
    sealed = snapshot.items.get(item_id)
    if sealed is None or scope not in sealed.scopes:
        raise NotInVault(f"item {item_id} of vault {scope} does not exist")
    if sealed.state.startswith(UNREADABLE):
        raise ItemUnreadable(f"item {item_id} of vault {scope} is {sealed.state}")
    if sealed.state:
        raise NotInVault(f"item {item_id} of vault {scope} is {sealed.state}")
    return sealed


def _opened(what: str, attempt: Callable[[], _T]) -> _T:
    def closed(error: Exception) -> VaultError | None:
        return ItemUnreadable(f"{what} is unreadable: {error}") if isinstance(error, Undecipherable) else None

    with translated(closed):
        return attempt()


def _folded(title: str) -> str:
    return normalized(title).casefold()


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port; empty if the address is unusable."""
    if not url.isascii() or not url.isprintable() or len(url) > _LONGEST_ADDRESS:
        return "", "", 0
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    except ValueError:
        return "", "", 0
    if not parts.hostname or parts.username is not None or not port:
        return "", "", 0
    return parts.scheme, parts.hostname, port
