"""What 1password.com knows: vaults and items with their versions, and the log of changes that replicas follow."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from connect_emulator.account.ids import derive
from connect_emulator.account.model import Content, Item, Vault
from connect_emulator.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry of the log: the vault's row after it (none: the vault is gone) and perhaps one item's (none: gone)."""

    at: float
    vault_id: str
    vault: Vault | None
    item_id: str | None = None
    item: Item | None = None


class Store:
    """The truth behind all replicas. Its methods trust their arguments; they keep versions and counters right.

    An item's version starts at 1 and grows by 1 per saved edit; its vault's `content_version` grows by 1 with each
    create, edit and delete (seen); `attribute_version` moves with the vault's own data only (documented).
    """

    def __init__(self, *, clock: Clock, seed: int) -> None:
        self._clock = clock
        self._editor = derive(seed, "editor").upper()
        self.vaults: dict[str, Vault] = {}
        self.items: dict[str, dict[str, Item]] = {}
        self.log: list[Change] = []
        self.trimmed = 0
        """How many entries of the log were forgotten because every replica has them."""

    @property
    def end(self) -> int:
        """The position behind the newest change."""
        return self.trimmed + len(self.log)

    def trim(self, position: int) -> None:
        """Forget changes before `position`."""
        if (count := position - self.trimmed) > 0:
            del self.log[:count]
            self.trimmed = position

    def add_vault(self, vault: Vault) -> Vault:
        """Add a vault as it is given; a time of 0 becomes the present."""
        now = self._clock.now()
        made = replace(vault, created_at=vault.created_at or now, updated_at=vault.updated_at or now)
        self.vaults[made.id] = made
        self.items[made.id] = {}
        self.log.append(Change(at=now, vault_id=made.id, vault=made))
        return made

    def edit_vault(self, vault_id: str, *, name: str | None = None, description: str | None = None) -> Vault:
        """Change a vault's name or description."""
        old = self.vaults[vault_id]
        now = self._clock.now()
        made = replace(
            old,
            name=old.name if name is None else name,
            description=old.description if description is None else description,
            attribute_version=old.attribute_version + 1,
            updated_at=now,
        )
        self.vaults[vault_id] = made
        self.log.append(Change(at=now, vault_id=vault_id, vault=made))
        return made

    def remove_vault(self, vault_id: str) -> None:
        """Remove a vault with its items."""
        del self.vaults[vault_id]
        del self.items[vault_id]
        self.log.append(Change(at=self._clock.now(), vault_id=vault_id, vault=None))

    def add_item(
        self,
        vault_id: str,
        item_id: str,
        content: Content,
        *,
        version: int = 1,
        created_at: float | None = None,
        updated_at: float | None = None,
    ) -> Item:
        """A new item."""
        now = self._clock.now()
        born = now if created_at is None else created_at
        item = Item(
            id=item_id,
            vault_id=vault_id,
            version=version,
            created_at=born,
            updated_at=born if updated_at is None else updated_at,
            last_edited_by=self._editor,
            content=content,
        )
        self._commit(vault_id, item_id, item, bump=True)
        return item

    def edit_item(self, item: Item, content: Content, *, bump: bool = True) -> Item:
        """The next version of `item` with `content`; without `bump` the vault's version stays (bulk edits)."""
        made = replace(item, version=item.version + 1, updated_at=self._clock.now(), content=content, encodings={})
        self._commit(item.vault_id, item.id, made, bump=bump)
        return made

    def remove_item(self, item: Item) -> None:
        """Delete an item for good."""
        self._commit(item.vault_id, item.id, None, bump=True)

    def load(self, vault_id: str, contents: Iterable[tuple[str, Content, int, float, float]], *, version: int) -> None:
        """Fill a fresh vault with items that were always there: id, content, version, created and updated times."""
        for item_id, content, item_version, created, updated in contents:
            self.add_item(vault_id, item_id, content, version=item_version, created_at=created, updated_at=updated)
        vault = self.vaults[vault_id]
        edited = max((item.updated_at for item in self.items[vault_id].values()), default=vault.created_at)
        self.vaults[vault_id] = replace(vault, content_version=version, updated_at=edited)
        self.log.append(Change(at=self._clock.now(), vault_id=vault_id, vault=self.vaults[vault_id]))

    def _commit(self, vault_id: str, item_id: str, item: Item | None, *, bump: bool) -> None:
        vault, items = self.vaults[vault_id], self.items[vault_id]
        old = items.get(item_id)
        now = self._clock.now()
        made = replace(
            vault,
            content_version=vault.content_version + bump,
            items=vault.items - (old is not None and old.active) + (item is not None and item.active),
            updated_at=now,
        )
        self.vaults[vault_id] = made
        if item is None:
            del items[item_id]
        else:
            items[item_id] = item
        self.log.append(Change(at=now, vault_id=vault_id, vault=made, item_id=item_id, item=item))
