"""Fetches an item with its files and maps it to the data of a Secret; what it returns lives for one call."""

from __future__ import annotations

from dataclasses import dataclass, field

from keyturn.control.connections.index import ResolvedItem
from keyturn.core.content import MAX_SECRET_BYTES, MappingOptions, Skipped, plan_content
from keyturn.core.polling import is_older
from keyturn.core.vault import FileTooLarge, Vaults, VaultUnavailable


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one item gives every Secret that uses it.

    Attributes:
        revision: of the item as it was fetched, which may be newer than its listing.
        tags: of the item.
        skipped: what could not become a key.
        data: bytes by key.
    """

    revision: str
    tags: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    data: dict[str, bytes] = field(repr=False)


async def fetch(vaults: Vaults, found: ResolvedItem, options: MappingOptions) -> Fetched:
    """Fetch what a Secret must hold.

    Raises:
        FileTooLarge: it is more than a Secret can hold; files that cannot fit are not fetched at all.
        VaultError: it could not be fetched.
    """
    item = await vaults.item(found.scope, found.ref.id)
    if is_older(item.ref.revision, found.ref.revision):
        raise VaultUnavailable("the item came at an older version than the listing of its vault says")
    plan = plan_content(item, options)
    room = MAX_SECRET_BYTES - plan.declared_bytes
    data = dict(plan.data)
    for key, file in plan.files.items():
        if room < 0:
            break
        declared = file.size or 0
        content = await vaults.file(item.ref, file, limit=declared + room)
        room -= len(content) - declared
        if content or options.allow_empty_values:
            data[key] = content
    if room < 0:
        raise FileTooLarge(f"the item holds more than the {MAX_SECRET_BYTES} bytes that a Secret can hold")
    return Fetched(item.ref.revision, item.ref.tags, plan.skipped, data)
