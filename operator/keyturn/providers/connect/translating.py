"""Translates Connect's models and errors into those of `core.vault`."""

from __future__ import annotations

from itertools import count

from keyturn.core import vault
from keyturn.providers.connect.connect_errors import (
    BadRequest,
    BadToken,
    ConnectError,
    ContentTooLarge,
    HostRefused,
    Misshapen,
    Missing,
    NotPermitted,
    Oversized,
    Throttled,
    TokenRefused,
)
from keyturn.providers.connect.models import ConnectItem, ConnectVault, ItemField, ItemSummary, Section
from keyturn.providers.file_fields import Place, file_field

_ERRORS: tuple[tuple[type[ConnectError], type[vault.VaultError]], ...] = (
    (TokenRefused, vault.CredentialRefused),
    (BadToken, vault.CredentialInvalid),
    (HostRefused, vault.HostNotAllowed),
    (NotPermitted, vault.AccessDenied),
    (Missing, vault.NotInVault),
    (ContentTooLarge, vault.FileTooLarge),
)
"""Any other error says nothing about the requested thing: `VaultUnavailable`."""

_OF_THE_SERVER = (vault.CredentialRefused, vault.HostNotAllowed)


def as_vault_error(
    error: ConnectError, what: str, *, server: str, may_be_absent: bool = True, of_one_item: bool = False
) -> vault.VaultError:
    """The error of `core.vault` for an error of Connect.

    Args:
        error: its text is safe to publish, like all of its tree.
        what: names the requested thing, by ids; empty for the server as a whole.
        server: its name and address. What may be the server's fault names it, so that the reader knows where to look.
        may_be_absent: whether 404 means that the thing does not exist. On a route that always exists, 404 means that the
            address leads elsewhere.
        of_one_item: whether a complete answer that is not the requested thing says something of one item alone.
    """
    text = f"{what}: {error}" if what else str(error)
    at_server = f"{server}: {text}"
    if not may_be_absent and isinstance(error, Missing | BadRequest):
        return vault.VaultUnavailable(at_server)
    if isinstance(error, Throttled):
        return vault.RateLimited(at_server, retry_after=error.retry_after, whole=error.whole)
    if isinstance(error, BadRequest) and error.malformed_id:
        return vault.NotInVault(text)
    if of_one_item and isinstance(error, Misshapen | Oversized):
        return vault.ItemUnreadable(text)
    for connect_class, vault_class in _ERRORS:
        if isinstance(error, connect_class):
            about_server = issubclass(vault_class, _OF_THE_SERVER) or not may_be_absent
            return vault_class(at_server if about_server else text)
    return vault.VaultUnavailable(at_server)


def as_scope(found: ConnectVault) -> vault.Scope:
    """A vault as a scope; `contentVersion` changes with each change of an item."""
    return vault.Scope(
        id=found.id,
        title=found.name,
        version=found.content_version,
        size=found.items,
        created_at=found.created_at,
    )


def as_ref(found: ItemSummary, scope: str) -> vault.ItemRef:
    """An item as a reference."""
    return vault.ItemRef(
        id=found.id,
        scope=scope,
        title=found.title,
        revision=_revision(found),
        category=found.category,
        tags=found.tags,
        urls=tuple(vault.Url(url.href, url.label, url.primary) for url in found.urls if url.href),
        created_at=found.created_at,
        state=found.state.lower(),
    )


def as_item(found: ConnectItem, scope: str) -> vault.Item:
    """An item with its fields in Connect's order, then its files."""
    labels = {section.id: section.label for section in found.sections}
    fields = [_as_field(one, labels) for one in found.fields or ()]
    files = [file_field(one, _section(one.section, labels)) for one in found.files or ()]
    return vault.Item(ref=as_ref(found, scope), fields=(*fields, *files))


def _revision(found: ItemSummary) -> str:
    """The version, else the time of the last change, else a text that never repeats: then the item is fetched."""
    if found.version is not None:
        return str(found.version)
    return found.updated_at.isoformat() if found.updated_at else f"unknown-{next(_unknown)}"


_unknown = count(1)


_NO_SECTION = "add more"
"""The id of the section in which 1Password's apps keep fields that are in none."""

_KINDS = {"REFERENCE": vault.FieldKind.REFERENCE, "FILE": vault.FieldKind.REFERENCE}
"""A field of type FILE only points to an entry of `files`, which becomes a field of its own."""


def _as_field(found: ItemField, labels: dict[str, str]) -> vault.Field:
    section, section_id = _section(found.section, labels)
    return vault.Field(
        id=found.id,
        label=found.label,
        kind=_KINDS.get(found.type.upper(), vault.FieldKind.TEXT),
        value=None if found.value is None else found.value.get_secret_value(),
        section=section,
        section_id=section_id,
        type=found.type.upper(),
        purpose=found.purpose.upper(),
    )


def _section(section: Section | None, labels: dict[str, str]) -> Place:
    """The section's label and id; neither for what people see outside of any section, although the answer puts it into one."""
    if section is None or section.id == _NO_SECTION:
        return None, ""
    label = section.label or labels.get(section.id)
    return (label, section.id) if label else (None, "")
