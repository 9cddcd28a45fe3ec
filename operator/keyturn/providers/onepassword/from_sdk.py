"""Translates what 1Password's SDK answers into the models of `core.vault`, so that an item means what it means through Connect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import count

from pydantic import ValidationError

from keyturn.core import vault
from keyturn.providers.file_fields import Place, file_field
from keyturn.providers.onepassword.models import (
    SdkField,
    SdkItem,
    SdkKeyPair,
    SdkOverview,
    SdkVault,
    SdkWebsite,
)

_NO_SECTION = ("", "add more")
"""Ids of sections that people do not see as such."""

_FRESH = timedelta(minutes=1)
"""Times have no more than seconds, perhaps. So of an item that changed so recently, the time does not prove which state it is."""

_NOTES = "notesPlain"

_KEY_PAIR = (
    ("public_key", "public key", "public_key"),
    ("fingerprint", "fingerprint", "fingerprint"),
    ("key_type", "key type", "key_type"),
)
"""What Connect has as fields beside a private key: id, label, and attribute here."""


def scope_from(found: SdkVault) -> vault.Scope:
    """A vault."""
    return vault.Scope(
        id=found.id,
        title=found.title,
        version=found.content_version,
        size=found.active_item_count,
        created_at=found.created_at,
    )


def refs_from(found: Iterable[SdkOverview], scope: vault.Scope, *, now: datetime) -> tuple[vault.ItemRef, ...]:
    """The items of a vault, in their order."""
    return tuple(
        vault.ItemRef(
            id=each.id,
            scope=scope.id,
            title=each.title,
            revision=_revision(each, scope, now=now),
            category=each.category,
            tags=each.tags,
            urls=_urls(each.websites),
            created_at=each.created_at,
            state="" if each.state == "active" else each.state,
        )
        for each in found
    )


def item_from(found: SdkItem) -> vault.Item:
    """An item, with its notes as the field that they are through Connect, then its fields, then its files."""
    ref = vault.ItemRef(
        id=found.id,
        scope=found.vault_id,
        title=found.title,
        revision=str(found.version),
        category=found.category,
        tags=found.tags,
        urls=_urls(found.websites),
        created_at=found.created_at,
    )
    labels = {section.id: section.title for section in found.sections}
    fields = [vault.Field(id=_NOTES, label=_NOTES, value=found.notes.get_secret_value())]
    for each in found.fields:
        fields.append(_as_field(each, labels))
        fields += _beside(each, labels, found.fields)
    files = [file_field(each.attributes, _section(each.section_id, labels)) for each in found.files]
    if found.document is not None:
        files.append(file_field(found.document, _section(None, labels)))
    return vault.Item(ref=ref, fields=(*fields, *files))


def _urls(websites: Sequence[SdkWebsite]) -> tuple[vault.Url, ...]:
    """Web addresses; the first one is the primary."""
    return tuple(
        vault.Url(each.url, each.label, primary=number == 0) for number, each in enumerate(websites) if each.url
    )


def _revision(found: SdkOverview, scope: vault.Scope, *, now: datetime) -> str:
    """The time of the last change; with the vault's version if that was just now; else a text that never repeats."""
    if found.updated_at is None:
        return f"unknown-{next(_unknown)}"
    at = found.updated_at.isoformat()
    return f"{at} in {scope.version}" if abs(now - found.updated_at) < _FRESH else at


_unknown = count(1)


def _as_field(found: SdkField, labels: dict[str, str]) -> vault.Field:
    section, section_id = _section(found.section_id, labels)
    return vault.Field(
        id=found.id,
        label=found.title,
        kind=vault.FieldKind.REFERENCE if found.field_type == "Reference" else vault.FieldKind.TEXT,
        value=found.value.get_secret_value(),
        section=section,
        section_id=section_id,
    )


def _beside(found: SdkField, labels: dict[str, str], others: Sequence[SdkField]) -> list[vault.Field]:
    """The fields that Connect has beside a private key of SSH, unless the item has them itself."""
    if found.details is None or found.details.type != "SshKey" or not isinstance(found.details.content, dict):
        return []
    try:
        pair = SdkKeyPair.model_validate(found.details.content)
    except ValidationError:
        return []
    section, section_id = _section(found.section_id, labels)
    taken = {each.title.casefold() for each in others}
    return [
        vault.Field(id=name, label=label, value=getattr(pair, attribute), section=section, section_id=section_id)
        for name, label, attribute in _KEY_PAIR
        if label not in taken
    ]


def _section(section_id: str | None, labels: dict[str, str]) -> Place:
    """The section's label and id; neither for what people see outside of any section."""
    label = None if section_id is None or section_id in _NO_SECTION else labels.get(section_id)
    return (label, section_id or "") if label else (None, "")
