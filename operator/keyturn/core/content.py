"""Maps an item to the data of a Secret: which label becomes which key, and which one wins if two become the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from keyturn.base.text import shorten
from keyturn.core.keys import data_key, is_legal_key
from keyturn.core.vault import Field, FieldKind, Item, Url

MAX_SECRET_BYTES = 1024 * 1024
"""The API server refuses a Secret whose data is larger (`MaxSecretSize` of Kubernetes' validation)."""


@dataclass(frozen=True, slots=True)
class MappingOptions:
    """What a platform engineer may choose about mapping.

    Attributes:
        allow_empty_values: keep keys whose value is empty; off by default, as in the official operator.
    """

    allow_empty_values: bool = False

    def recorded(self) -> str:
        """What differs from the defaults, as the Secret records it, so that a changed option rewrites it."""
        return "allow-empty-values" if self.allow_empty_values else ""


DEFAULT_MAPPING: Final = MappingOptions()
"""What holds if nothing was chosen."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A label or file name that cannot become a key, and why."""

    label: str
    reason: str


@dataclass(frozen=True, slots=True)
class ContentPlan:
    """The data of a Secret, before the bytes of its files are fetched.

    Attributes:
        data: what fields and URLs give.
        files: which file's bytes go under which key; none of these keys is in `data`.
        skipped: what could not become a key.
        shared: the keys that several fields or files become, sorted.
    """

    data: Mapping[str, bytes] = field(repr=False)
    files: Mapping[str, Field]
    skipped: tuple[Skipped, ...] = ()
    shared: tuple[str, ...] = ()

    @property
    def declared_bytes(self) -> int:
        """The size of the Secret's data as far as it is known before files are fetched."""
        known = sum(len(value) for value in self.data.values())
        return known + sum(file.size or 0 for file in self.files.values())


def plan_content(item: Item, options: MappingOptions) -> ContentPlan:
    """Decide the keys of a Secret: fields before URLs before files; the last field wins, the first file wins.

    A value counts as empty at length zero; an empty one is left out unless the options keep it, and then lets
    a URL or file of the same key show through.
    """
    skipped: dict[str, Skipped] = {}

    def usable_key(label: str) -> str | None:
        key = data_key(label)
        if is_legal_key(key):
            return key
        why = "no character of it is legal in a key" if not key else "a key may not be '.' nor start with '..'"
        skipped.setdefault(label, Skipped(label=shorten(label, 80), reason=why))
        return None

    data: dict[str, bytes] = {}
    texts = [(url.label, url.href) for url in ordered_urls(item.ref.urls)]
    texts += [(each.label, each.value or "") for each in item.fields if each.kind is not FieldKind.FILE]
    for label, value in texts:
        if not value and not options.allow_empty_values:
            continue
        if (key := usable_key(label)) is not None:
            data[key] = encode(value)

    files: dict[str, Field] = {}
    for each in item.fields:
        if each.kind is not FieldKind.FILE or (each.size == 0 and not options.allow_empty_values):
            continue
        if (key := usable_key(each.label)) is not None and key not in data:
            files.setdefault(key, each)
    return ContentPlan(data=data, files=files, skipped=tuple(skipped.values()), shared=_shared_keys(item))


def _shared_keys(item: Item) -> tuple[str, ...]:
    """The keys of which a reader of the item cannot know what they hold, since several different things become them.

    Fields of equal values are no riddle. If any key is one, so is each key that several fields become, with values or
    without: a user name of one section and a password of another make a pair that exists nowhere.
    """
    values: dict[str, list[str]] = {}
    files: dict[str, int] = {}
    for each in item.fields:
        key = data_key(each.label)
        if each.kind is FieldKind.FILE:
            files[key] = files.get(key, 0) + 1
        else:
            values.setdefault(key, []).append(each.value or "")
    for url in item.ref.urls:
        # Every web address is labelled alike until somebody labels it, so they count only beside a field.
        if (key := data_key(url.label)) in values and url.href not in values[key] and any(values[key]):
            values[key].append(url.href)
    shared = {key for key, found in values.items() if len(set(filter(None, found))) > 1}
    if shared:
        shared |= {key for key, found in values.items() if len(found) > 1 and any(found)}
    shared |= {key for key, count in files.items() if count > 1 or any(values.get(key, ()))}
    return tuple(sorted(filter(is_legal_key, shared)))


def encode(value: str) -> bytes:
    """UTF-8. A lone surrogate, which JSON can carry and UTF-8 cannot, becomes U+FFFD as it does in Go."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        # Only here: the way through UTF-16 takes several times the memory of the value.
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def ordered_urls(urls: Sequence[Url]) -> list[Url]:
    """URLs such that writing them in order leaves the right winner: a primary one, else the last."""
    return sorted(urls, key=lambda url: url.primary)


def changed_keys(old: Mapping[str, object], new: Mapping[str, object]) -> tuple[str, ...]:
    """The keys that were added, removed or given other bytes, sorted."""
    return tuple(sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key)))
