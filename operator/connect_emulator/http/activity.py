"""The activity log of `GET /v1/activity`: requests to vaults and items, newest first."""

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Any

from connect_emulator.account.ids import Ids
from connect_emulator.account.tokens import Token

_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request to a vault or item. A denial has no resource type, and ids as they came (seen)."""

    request_id: str
    at: float
    action: str
    denied: bool
    token: Token
    user_agent: str
    ip: str
    kind: str
    vault_id: str = ""
    item_id: str = ""
    item_version: int | None = None


class Activity:
    """The newest entries; older ones are forgotten beyond ten thousand."""

    def __init__(self, *, ids: Ids, actor: str, account: str) -> None:
        self._random = ids.stream("requests")
        self._actor = actor
        self._account = account
        self._entries: deque[Entry] = deque(maxlen=_KEPT)

    def __len__(self) -> int:
        return len(self._entries)

    def request_id(self) -> str:
        """A new id for a request."""
        text = f"{self._random.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def record(self, entry: Entry) -> None:
        """Note one request."""
        self._entries.appendleft(entry)

    def page(self, *, limit: int, offset: int) -> list[Entry]:
        """`limit` entries, newest first, after skipping `offset`."""
        return list(islice(self._entries, offset, offset + limit))

    def form(self, entry: Entry, *, timestamp: str) -> dict[str, Any]:
        """An entry as JSON."""
        resource: dict[str, Any] = {}
        if not entry.denied:
            resource["type"] = entry.kind
        if entry.vault_id:
            resource["vault"] = {"id": entry.vault_id}
        if entry.item_id:
            resource["item"] = {"id": entry.item_id}
        if entry.item_version is not None:
            resource["itemVersion"] = entry.item_version
        return {
            "requestId": entry.request_id,
            "timestamp": timestamp,
            "action": entry.action,
            "result": "DENY" if entry.denied else "SUCCESS",
            "actor": {
                "id": self._actor,
                "account": self._account,
                "jti": entry.token.jti,
                "userAgent": entry.user_agent,
                "requestIp": entry.ip,
            },
            "resource": resource,
        }
