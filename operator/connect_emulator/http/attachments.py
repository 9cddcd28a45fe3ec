"""Attached files: their lists, their metadata, their bytes."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from connect_emulator.account.ids import is_id
from connect_emulator.account.model import File, Item
from connect_emulator.errors import TOO_LARGE, UNCLASSIFIED, ApiError, not_found
from connect_emulator.http.answers import Answer
from connect_emulator.http.routes import Route
from connect_emulator.http.wire import Wire
from connect_emulator.http.writer import Writer
from connect_emulator.knobs import Live


class Attachments:
    """Answers the three file routes of an item."""

    def __init__(self, *, wire: Wire, live: Live, writer: Writer) -> None:
        self._wire = wire
        self._live = live
        self._writer = writer
        self._content_calls: dict[tuple[int, str], int] = {}

    def answer(self, route: Route, query: Mapping[str, str], item: Item, *, replica: int) -> Answer:
        """The answer to a GET below `/files`; `replica` numbers the pod, since each syncs files for itself.

        Raises:
            ApiError: an unknown file, one too large to inline, or one whose bytes are not there yet.
        """
        inline = any(query.get(name, "").lower() in {"true", "1"} for name in ("inline_files", "inline_content"))
        if not route.file:
            return self._json([self._form(item, file, inline=inline) for file in item.content.files])
        if not is_id(route.file) and self._live.knobs.malformed_file_id_status == 400:
            raise ApiError(400, "Invalid File UUID")
        file = next((file for file in item.content.files if file.id == route.file), None)
        if file is None:
            raise not_found("file", route.file)
        if route.template.endswith("/content"):
            return self._content(item, file, replica=replica)
        return self._json(self._form(item, file, inline=inline))

    def _json(self, data: object) -> Answer:
        return Answer(body=self._wire.encode(data))

    def _form(self, item: Item, file: File, *, inline: bool) -> dict[str, Any]:
        limit, size = self._live.knobs.max_inline_file_bytes, len(file.content)
        if inline and (size > limit or (size == limit and not self._live.knobs.inline_limit_inclusive)):
            raise ApiError(413, TOO_LARGE)
        return self._wire.file(file, vault_id=item.vault_id, item_id=item.id, inline=inline)

    def _content(self, item: Item, file: File, *, replica: int) -> Answer:
        knobs = self._live.knobs
        calls = self._content_calls[replica, file.id] = self._content_calls.get((replica, file.id), 0) + 1
        if calls <= knobs.unsynced_file_calls:
            raise ApiError(knobs.unsynced_file_status, knobs.unsynced_file_message)
        if knobs.copied_files_broken and self._writer.is_copied(item, file):
            raise ApiError(500, UNCLASSIFIED)
        headers = {"Content-Disposition": disposition(file.name)}
        return Answer(body=file.content, content_type="application/octet-stream", headers=headers)


def disposition(name: str) -> str:
    r"""A Content-Disposition that quotes the file's name, as Go formats it: what is not ASCII goes into `filename*`."""
    if name.isascii() and name.isprintable():
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'attachment; filename="{quoted}"'
    return f"attachment; filename*=utf-8''{quote(name, safe='')}"
