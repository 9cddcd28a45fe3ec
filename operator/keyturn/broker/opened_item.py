"""An item while a caller reads it: what of it is there for the caller, and which grant gives what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from keyturn.broker.catalog import FoundItem
from keyturn.broker.upstream import Errand
from keyturn.core.access import Allowed, visible
from keyturn.core.access_grant import AccessGrant
from keyturn.core.references import has_value
from keyturn.core.vault import Field, FieldKind, Item


@dataclass(frozen=True, slots=True)
class OpenedItem:
    """It lives for one request.

    Attributes:
        found: which item it is.
        whole: with all that the vault answered; what leaves comes from `item` alone.
        item: what of it is there for this caller.
        allowed: why.
        errand: on which the vault was asked.
        upstream: id of the record whose request brought it, if that was another's; else empty.
    """

    found: FoundItem
    whole: Item = field(repr=False)
    item: Item = field(repr=False)
    allowed: Allowed
    errand: Errand
    upstream: str

    @property
    def version(self) -> int:
        """Of the item, as 1Password counts; 0 if its provider has no numbers."""
        revision = self.item.ref.revision
        return int(revision) if revision.isascii() and revision.isdecimal() else 0

    def files(self, wanted: str | None = None) -> Sequence[Field]:
        """The files that are there for the caller, or the one of this id."""
        files = (each for each in self.item.fields if each.kind is FieldKind.FILE)
        return [each for each in files if wanted is None or each.id == wanted]

    def by_grant(self, fields: Sequence[Field], *, or_none: bool) -> Iterator[tuple[AccessGrant, tuple[str, ...]]]:
        """The names of fields and files by the grant that gives them: each by the first that does. Empty fields are left out.

        Args:
            fields: of `item`.
            or_none: whether the first grant comes without names if there is nothing to name.
        """
        left = [each for each in fields if each.kind is FieldKind.FILE or has_value(each)]
        if not left and or_none:
            yield self.allowed.grant, ()
        for grant, given in self.allowed.sources:
            if left:
                there = {id(each) for each in visible(self.whole, given).fields}
                names = tuple(_name(each) for each in left if id(each) in there)
                left = [each for each in left if id(each) not in there]
                if names:
                    yield grant, names
        if left:
            yield self.allowed.grant, tuple(map(_name, left))


def _name(of: Field) -> str:
    """A field as a grant would name it."""
    return of.label if of.section is None else f"{of.section}/{of.label}"
