"""What a Secret must be: of which items, in which shape, with which data, labels and annotations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from keyturn.core import names
from keyturn.core.managed_fields import data_owners, owned_by_others
from keyturn.core.metadata import ObjectMeta
from keyturn.core.paths import ItemPath
from keyturn.core.previous import ends, keep_previous
from keyturn.core.request import DEFAULT_CONNECTION, SecretRequest
from keyturn.core.shape import Previous


@dataclass(frozen=True, slots=True)
class Desired:
    """What the Secret of a request must hold.

    Attributes:
        path: of the item, by ids.
        item_revision: of the item.
        data: bytes by key.
        emptied: whether one of its items has no values, whatever the shape adds to them.
        may_empty: whether it is confirmed that the item has no values, so that a Secret may lose all of its own.
        items: alias, path by ids and revision of each further item.
        shape: digest of the shape; empty if the Secret has every field of its one item, each by its label.
        remade: keys whose bytes differ each time they are made, so that a Secret that is made again has other ones.
        at: when this is decided, with its zone; None if nothing of it depends on the time.
        previous: until when which keys hold previous bytes, as the Secret records it.
    """

    request: SecretRequest
    path: ItemPath
    item_revision: str
    data: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    emptied: bool = False
    may_empty: bool = True
    items: tuple[tuple[str, ItemPath, str], ...] = ()
    shape: str = ""
    remade: frozenset[str] = frozenset()
    at: datetime | None = None
    previous: str = ""

    @property
    def options(self) -> str:
        """The mapping options, as the Secret records them; empty for the defaults."""
        return self.request.mapping.recorded()

    @property
    def further_items(self) -> tuple[tuple[str, str, str], ...]:
        """The further items as a status names them: alias, path by ids, and revision of each."""
        return tuple((alias, str(path), revision) for alias, path, revision in self.items)

    @property
    def further(self) -> str:
        """The further items, as the Secret records them; empty without any."""
        return ",".join(f"{alias}={path}@{revision}" for alias, path, revision in self.items)

    @property
    def connection(self) -> str:
        """The connection that the Secret is filled through, as the Secret records it; empty for the installation's."""
        return "" if self.request.connection == DEFAULT_CONNECTION else self.request.connection

    def labels(self) -> dict[str, str]:
        """Labels that the Secret must carry; foreign ones beside them are left alone."""
        return {**self.request.labels, names.MANAGED_BY: names.PRODUCT}

    def annotations(self) -> dict[str, str]:
        """Annotations that the Secret must carry, except its revision and its pending restarts."""
        optional = {
            names.OPTIONS: self.options,
            names.FURTHER_ITEMS: self.further,
            names.SHAPE: self.shape,
            names.PREVIOUS: self.previous,
            names.CONNECTION: self.connection,
        }
        recorded = {name: text for name, text in optional.items() if text}
        item = {names.ITEM_PATH: str(self.path), names.ITEM_VERSION: self.item_revision}
        return {**self.request.annotations, **item, **recorded}

    def with_previous(self, metadata: ObjectMeta | None, old: Mapping[str, bytes]) -> tuple[Self, frozenset[str]]:
        """The same with the keys that hold previous bytes at times, and which of them return to the current value.

        Args:
            metadata: of the present Secret; None without one.
            old: data of the present Secret.
        """
        previous = _previous_of(self.request)
        if previous is None or self.at is None:
            return self, frozenset()
        owners = data_owners(metadata.managed_fields) if metadata is not None else {}
        ours = owners.pop(names.SECRET_MANAGER, frozenset())
        kept = keep_previous(
            previous,
            old=old,
            trusted=ours.difference(*owners.values()),
            annotation=metadata.annotations.get(names.PREVIOUS, "") if metadata is not None else "",
            new=self.data,
            now=self.at,
        )
        # An apply removes only what is ours: an annotation that somebody else edited is emptied instead.
        edited = metadata is not None and names.PREVIOUS in owned_by_others(metadata.managed_fields)
        annotation = kept.annotation or ("{}" if edited else "")
        return replace(self, data={**self.data, **kept.data}, previous=annotation), kept.ended

    def with_recorded_previous(self, metadata: ObjectMeta) -> Self | None:
        """The same with what the Secret records of previous bytes; None if some of them have stayed, or would stay, too long."""
        previous = _previous_of(self.request)
        if previous is None or self.at is None:
            return self
        recorded = metadata.annotations.get(names.PREVIOUS, "")
        until = ends(recorded).values()
        latest = self.at + timedelta(seconds=previous.seconds)
        if not all(self.at < at <= latest for at in until):
            return None
        return replace(self, previous=recorded) if until else self


def previous_keys(request: SecretRequest) -> tuple[str, ...]:
    """The keys that hold previous bytes at times, and the current value at all others; every such Secret has them."""
    previous = _previous_of(request)
    return () if previous is None else tuple(key for key, _ in previous.keys)


def _previous_of(request: SecretRequest) -> Previous | None:
    return None if request.shape is None else request.shape.previous
