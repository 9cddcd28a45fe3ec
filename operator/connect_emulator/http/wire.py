"""The JSON of the Connect API: compact, UTF-8, vault and item keys in alphabetical order, empty members left out (seen)."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connect_emulator.account import otp, passwords
from connect_emulator.account.model import Content, Field, File, Item, Section, Url, Vault
from connect_emulator.knobs import Live

Json = dict[str, Any]
_HTML = str.maketrans({
    "<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029",
})  # fmt: skip


class Wire:
    """Encodes vaults, items and files as the knobs say, and keeps encoded items with the item version."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def encode(self, data: object, *, sort: bool = True) -> bytes:
        """`data` as the server writes it."""
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), sort_keys=sort)
        if self._live.knobs.escape_html:
            text = text.translate(_HTML) if _needs_escape(text) else text
        return text.encode("utf-8", "replace")

    def error(self, status: int, message: str) -> bytes:
        """The error body: `status`, then `message`."""
        return self.encode({"status": status, "message": message}, sort=False)

    def vault(self, vault: Vault) -> Json:
        """A vault, the same in lists and alone."""
        return _compact(
            {
                "attributeVersion": vault.attribute_version,
                "contentVersion": vault.content_version,
                "createdAt": self.time(vault.created_at),
                "description": vault.description,
                "id": vault.id,
                "items": vault.items,
                "name": vault.name,
                "type": vault.type,
                "updatedAt": self.time(vault.updated_at),
            }
        )

    def summary(self, item: Item, *, vault_name: str) -> bytes:
        """An encoded list entry."""
        key = ("summary", self._live.generation, vault_name)
        found = item.encodings.get(key)
        if found is None:
            found = item.encodings[key] = self.encode(self._summary(item, vault_name))
        return found

    def detail(self, item: Item, *, vault_name: str, now: float) -> bytes:
        """An encoded item with everything; the codes of one-time passwords are those of `now`."""
        if any(field.type == "OTP" for field in item.content.fields):
            return self.encode(self._detail(item, vault_name, now))
        key = ("detail", self._live.generation, vault_name)
        found = item.encodings.get(key)
        if found is None:
            found = item.encodings[key] = self.encode(self._detail(item, vault_name, now))
        return found

    def written(self, item: Item, *, vault_name: str, now: float, version: int | None, editor: bool) -> bytes:
        """The answer to a write, with this `version` (none: left out) and perhaps without its editor."""
        form = self._detail(item, vault_name, now)
        if version is None:
            del form["version"]
        else:
            form["version"] = version
        if not editor:
            del form["lastEditedBy"]
        return self.encode(form)

    def file(self, file: File, *, vault_id: str, item_id: str, inline: bool = False) -> Json:
        """A file's metadata, with its bytes as base64 if `inline`."""
        path = f"/v1/vaults/{vault_id}/items/{item_id}/files/{file.id}/content"
        style = self._live.knobs.content_path
        form: Json = {
            "contentPath" if style == "camel" else "content_path": path[1:] if style == "no_slash" else path,
            "id": file.id,
            "name": file.name,
            "size": len(file.content),
        }
        if file.section:
            form["section"] = {"id": file.section}
        if inline:
            form["content"] = base64.b64encode(file.content).decode("ascii")
        return form

    def time(self, seconds: float) -> str:
        """A moment in RFC 3339, UTC, with the configured number of digits."""
        whole = int(seconds // 1)
        text = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        if digits := self._live.knobs.timestamp_digits:
            text += "." + f"{int((seconds - whole) * 1e9):09d}"[:digits]
        return text + "Z"

    def _summary(self, item: Item, vault_name: str) -> Json:
        knobs = self._live.knobs
        form = self._common(item, vault_name if knobs.list_vault_name else "")
        if not knobs.list_additional_information:
            form.pop("additionalInformation", None)
        if knobs.list_files and item.content.files:
            form["files"] = self._files(item)
        return form

    def _detail(self, item: Item, vault_name: str, now: float) -> Json:
        content = item.content
        form = self._common(item, vault_name)
        form["fields"] = [_field(field, now) for field in content.fields]
        if content.sections:
            form["sections"] = [_section(section) for section in content.sections]
        if content.files:
            form["files"] = self._files(item)
        return form

    def _files(self, item: Item) -> list[Json]:
        return [self.file(file, vault_id=item.vault_id, item_id=item.id) for file in item.content.files]

    def _common(self, item: Item, vault_name: str) -> Json:
        content = item.content
        form = _compact(
            {
                "additionalInformation": additional_information(content),
                "favorite": content.favorite,
                "lastEditedBy": item.last_edited_by,
                "state": content.state,
                "tags": list(content.tags),
                "urls": [_url(url) for url in content.urls],
            }
        )
        form |= {
            "category": content.category,
            "createdAt": self.time(item.created_at),
            "id": item.id,
            "title": content.title,
            "updatedAt": self.time(item.updated_at),
            "vault": {"id": item.vault_id, "name": vault_name} if vault_name else {"id": item.vault_id},
            "version": item.version,
        }
        return form


def document(item: Item) -> Json:
    """An item as a client would send it back: nothing computed, for PATCH to work on."""
    content = item.content
    return {
        "id": item.id,
        "vault": {"id": item.vault_id},
        "title": content.title,
        "category": content.category,
        "favorite": content.favorite,
        "tags": list(content.tags),
        "urls": [_url(url) for url in content.urls],
        "sections": [_section(section) for section in content.sections],
        "files": [{"id": file.id} for file in content.files],
        "fields": [
            _compact(
                {
                    "id": field.id,
                    "type": field.type,
                    "purpose": field.purpose,
                    "label": field.label,
                    "value": field.value,
                    "section": {"id": field.section} if field.section else {},
                }
            )
            for field in content.fields
        ],
    }


def additional_information(content: Content) -> str:
    """What apps show under the title: a login's username, a key's fingerprint, a note's first line (seen)."""
    values = {field.id: field.value for field in content.fields}
    if content.category == "SECURE_NOTE":
        return values.get("notesPlain", "").split("\n", 1)[0]
    wanted = {"LOGIN": "username", "SSH_KEY": "fingerprint"}.get(content.category, "")
    return values.get(wanted, "")


def _needs_escape(text: str) -> bool:
    return not text.isascii() or "&" in text or "<" in text or ">" in text


def _compact(form: Mapping[str, Any]) -> Json:
    return {key: value for key, value in form.items() if value or type(value) is int}


def _url(url: Url) -> Json:
    return _compact({"href": url.href, "label": url.label, "primary": url.primary})


def _section(section: Section) -> Json:
    return _compact({"id": section.id, "label": section.label})


def _field(field: Field, now: float) -> Json:
    form = _compact(
        {"id": field.id, "label": field.label, "purpose": field.purpose, "type": field.type, "value": field.value}
    )
    if field.section:
        form["section"] = {"id": field.section}
    if field.type == "OTP" and (code := otp.code(field.value, now)):
        form["totp"] = code
    if field.purpose == "PASSWORD" and field.value:
        bits = passwords.entropy(field.value)
        form["entropy"] = round(bits, 3)
        form["passwordDetails"] = _compact(
            {
                "entropy": int(bits),
                "generated": field.generated,
                "history": list(field.history),
                "strength": passwords.strength(bits),
            }
        )
    return form
