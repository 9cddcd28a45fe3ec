"""Where the values of an ExternalSecret come from: its `data` and `dataFrom`, read into fields of items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from keyturn.convert import fields
from keyturn.convert.errors import NotConvertible, named
from keyturn.convert.functions import NoFilter
from keyturn.convert.holes import NewHole, Sourced, String
from keyturn.convert.rewrites import Rewrite, label_behind, read_rewrites

_URL: Final = String("url")
_DECODED: Final = {"": "", "None": "", "Base64": "b64decode", "Base64URL": "b64decode-url"}
_NAMED: Final = {"": "", "Default": "", "None": ""}
_PLAIN: Final = {"": "", "None": ""}
_IGNORED: Final = {"": "", "Ignore": ""}
_REMOTE: Final = ("key", "property", "decodingStrategy", "conversionStrategy", "metadataPolicy", "nullBytePolicy")


@dataclass(frozen=True, slots=True)
class _Remote:
    """A `remoteRef` or an `extract`."""

    item: str
    label: str
    decoding: str

    def decoded(self, hole: NewHole) -> NewHole:
        """A field of this item, through the decoding that is asked for."""
        match self.decoding:
            case "b64decode":
                return hole.through("b64decode")
            case "b64decode-url":
                return hole.through("b64decode", _URL)
        return hole


@dataclass(frozen=True, slots=True)
class Extract:
    """All fields of an item, or one, each under the name that rules make of its label."""

    remote: _Remote
    rules: tuple[Rewrite, ...]
    where: str

    def label_of(self, name: str) -> str | None:
        """The label behind a name; None if the name cannot come from here."""
        label = label_behind(name, self.rules)
        return label if label is not None and self.remote.label in {"", label} else None

    def included(self) -> Sourced:
        """The pattern of fields that come under their own labels.

        Raises:
            NotConvertible: their names or values are changed.
        """
        if self.rules:
            raise NotConvertible(
                f"{self.where}.rewrite", "renamed keys without a template; name each key in target.template.data"
            )
        if self.remote.decoding:
            raise NotConvertible(f"{self.where}.extract.decodingStrategy", "decoded values without a template")
        return Sourced(self.remote.item, self.remote.label or "*")


@dataclass(frozen=True, slots=True)
class Sources:
    """All values of an ExternalSecret, by the names that its templates use.

    Attributes:
        single: (name, value) of each entry of `data`.
        extracts: those of `dataFrom`, in order; of equal names, the last one's value holds.
        items: all items in the order in which External Secrets reads them, each once.
    """

    single: Mapping[str, NewHole]
    extracts: Sequence[Extract]
    items: Sequence[str]

    def resolve(self, name: str) -> NewHole:
        """The value of a name, wherever it may come from.

        Raises:
            NoFilter: it comes from nowhere, or from sources that are decoded differently.
        """
        if name in self.single:
            return self.single[name]
        found = [(each.remote, label) for each in reversed(self.extracts) if (label := each.label_of(name)) is not None]
        if not found:
            raise NoFilter(f"the name {named(name)}, which is in no entry of data or dataFrom")
        if len({remote.decoding for remote, _ in found}) > 1:
            raise NoFilter(f"the name {named(name)}, whose sources have different decoding strategies")
        first, *others = dict.fromkeys(Sourced(remote.item, label) for remote, label in found)
        return found[0][0].decoded(NewHole(first, tuple(others)))


def read_sources(spec: Mapping[str, Any], where: str) -> Sources:
    """Read `data` and `dataFrom`.

    Raises:
        NotConvertible: an entry is no field of an item.
    """
    store = fields.mapping(spec, "secretStoreRef", where)
    extracts = [
        _read_extract(each, f"{where}.dataFrom[{number}]", store)
        for number, each in enumerate(fields.entries(spec, "dataFrom", where))
    ]
    single = {}
    items = [each.remote.item for each in extracts]
    for number, each in enumerate(fields.entries(spec, "data", where)):
        key = fields.text(each, "secretKey", f"{where}.data[{number}]")
        here = fields.at(f"{where}.data", key)
        fields.only(each, here, ("secretKey", "remoteRef", "sourceRef"))
        _check_store(each, here, store)
        remote = _read_remote(fields.mapping(each, "remoteRef", here), f"{here}.remoteRef")
        if not remote.label and "/" in remote.item:
            why = f"{named(remote.item)} without a property may be an item, or an item with a field; write the property"
            raise NotConvertible(f"{here}.remoteRef.key", why)
        single[key] = remote.decoded(NewHole(Sourced(remote.item, remote.label or "password")))
        items.append(remote.item)
    if not items:
        raise NotConvertible(where, "it has neither data nor dataFrom, so no item")
    return Sources(single=single, extracts=extracts, items=tuple(dict.fromkeys(items)))


def _read_extract(entry: Mapping[str, Any], where: str, store: Mapping[str, Any]) -> Extract:
    fields.only(entry, where, ("extract", "rewrite", "sourceRef"))
    _check_store(entry, where, store)
    remote = _read_remote(fields.mapping(entry, "extract", where), f"{where}.extract")
    return Extract(remote, read_rewrites(fields.entries(entry, "rewrite", where), f"{where}.rewrite"), where)


def _read_remote(remote: Mapping[str, Any], where: str) -> _Remote:
    fields.only(remote, where, _REMOTE)
    fields.choice(remote, "conversionStrategy", where, _NAMED)
    fields.choice(remote, "metadataPolicy", where, _PLAIN)
    fields.choice(remote, "nullBytePolicy", where, _IGNORED)
    item = fields.text(remote, "key", where)
    if not item.isprintable() or item != item.strip("/"):
        raise NotConvertible(f"{where}.key", "this is no title of an item")
    label = fields.text(remote, "property", where, "") if remote.get("property") else ""
    # The provider for Connect lets a property say whether it is a field or a file.
    for kind in ("field/", "file/"):
        label = label.removeprefix(kind)
    return _Remote(item, label, fields.choice(remote, "decodingStrategy", where, _DECODED))


def _check_store(entry: Mapping[str, Any], where: str, store: Mapping[str, Any]) -> None:
    """Refuse a value of another store: its vault may be another one."""
    source = fields.mapping(entry, "sourceRef", where)
    if fields.mapping(source, "storeRef", f"{where}.sourceRef") == store:
        source = {name: each for name, each in source.items() if name != "storeRef"}
    fields.only(source, f"{where}.sourceRef", ())
