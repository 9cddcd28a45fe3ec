"""Vaults, items and files in the JSON of Connect, as its clients expect it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from keyturn.broker.catalog import FoundItem
from keyturn.core.audit import AuditRecord, RecordOutcome
from keyturn.core.one_time_passwords import one_time_password
from keyturn.core.vault import Field, FieldKind, Item, ItemRef, Scope

Json = dict[str, Any]

_POINTER: Final = "FILE"
"""The type of a field that only points to a file, which is listed among those."""

_ONE_TIME: Final = "OTP"


def vault_form(vault: Scope, items: int) -> Json:
    """A vault.

    Args:
        vault: as its connection sees it.
        items: how many of its items the caller finds. The vault's own number and version would tell of others.
    """
    return _without_empty({
        "id": vault.id,
        "name": vault.title,
        "type": "USER_CREATED",
        "items": items,
        "createdAt": _instant(vault.created_at),
    })  # fmt: skip


def summary_form(found: FoundItem) -> Json:
    """An item as lists show it."""
    return _item(found.resolved.ref, found.vault)


def item_form(item: Item, vault: Scope, *, now: datetime) -> Json:
    """An item with its fields, and its files without their bytes. What is not in `item` is not there.

    Args:
        item: what is there for the caller.
        vault: that holds it.
        now: the codes of one-time passwords are those of this moment.
    """
    ref = item.ref
    fields = [each for each in item.fields if each.kind is not FieldKind.FILE and each.type != _POINTER]
    files = [each for each in item.fields if each.kind is FieldKind.FILE]
    sections = {each.section_id: each.section for each in item.fields if each.section is not None}
    form = _item(ref, vault)
    form["fields"] = [_field(each, now) for each in fields]
    if sections:
        form["sections"] = [{"id": identifier, "label": label} for identifier, label in sections.items()]
    if files:
        form["files"] = [file_form(each, ref) for each in files]
    return form


def file_form(file: Field, ref: ItemRef) -> Json:
    """A file without its bytes."""
    return {
        "id": file.id,
        "name": file.label,
        "size": file.size or 0,
        "content_path": f"/v1/vaults/{ref.scope}/items/{ref.id}/files/{file.id}/content",
        **_in_section(file),
    }


def activity_form(record: AuditRecord) -> Json:
    """A record of the audit as an entry of Connect's activity."""
    resource: Json = {"type": "ITEM", "vault": {"id": record.vault}, "item": {"id": record.item}} if record.item else {}
    if record.item_version:
        resource["itemVersion"] = record.item_version
    caller = record.caller
    return {
        "requestId": record.id,
        "timestamp": _instant(record.time),
        "action": "READ",
        "result": "SUCCESS" if record.outcome is RecordOutcome.ALLOWED else "DENY",
        "actor": {
            "id": f"{caller.namespace}/{caller.name}",
            "account": caller.namespace,
            "jti": caller.credential_id,
            "userAgent": caller.user_agent,
            "requestIp": caller.ip,
        },
        "resource": resource,
    }


def _item(ref: ItemRef, vault: Scope) -> Json:
    number = int(ref.revision) if ref.revision.isascii() and ref.revision.isdecimal() else 0
    return _without_empty({
        "id": ref.id,
        "title": ref.title,
        "version": number,
        "vault": {"id": vault.id, "name": vault.title},
        "category": _category(ref.category),
        "tags": list(ref.tags),
        "urls": [_without_empty({"href": url.href, "label": url.label, "primary": url.primary}) for url in ref.urls],
        "createdAt": _instant(ref.created_at),
    })  # fmt: skip


def _field(field: Field, now: datetime) -> Json:
    value = field.value or ""
    is_seed = value.casefold().startswith("otpauth:")
    form = _without_empty({
        "id": field.id,
        "type": field.type or (_ONE_TIME if is_seed else "STRING"),
        "purpose": field.purpose,
        "label": field.label,
        "value": value,
        **_in_section(field),
    })  # fmt: skip
    if (is_seed or field.type == _ONE_TIME) and (code := one_time_password(value, now.timestamp())):
        form["totp"] = code
    return form


def _in_section(field: Field) -> Json:
    return {} if field.section is None else {"section": {"id": field.section_id, "label": field.section}}


def _category(given: str) -> str:
    """A category in Connect's spelling: `SecureNote` is `SECURE_NOTE`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", given).upper() or "CUSTOM"


def _instant(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _without_empty(form: Mapping[str, Any]) -> Json:
    """Connect leaves out what is empty."""
    return {name: value for name, value in form.items() if value or (value == 0 and value is not False)}


def page(entries: Sequence[Json], *, limit: int, offset: int) -> tuple[Sequence[Json], str]:
    """Some entries, and the `Content-Range` that says which."""
    shown = entries[offset : offset + limit]
    first = offset + 1 if shown else 0
    return shown, f"{first}-{offset + len(shown) if shown else 0}/{len(entries)}"
