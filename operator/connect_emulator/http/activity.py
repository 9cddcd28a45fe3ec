"""The activity log of `GET /v1/activity`: requests to vaults and items, newest first."""

from collections import defaultdict, deque
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from typing import Any

from connect_emulator.account.ids import Ids
from connect_emulator.account.tokens import Token
from connect_emulator.knobs import Live

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
    """The newest entries of each replica; older ones are forgotten beyond ten thousand."""

    def __init__(self, *, ids: Ids, started: float, actor: str, account: str, live: Live) -> None:
        # Whoever knows an id of an earlier run must not find it again.
        self._random = ids.stream(f"requests/{started}")
        self._actor = actor
        self._account = account
        self._live = live
        self._logs: defaultdict[int, deque[Entry]] = defaultdict(lambda: deque(maxlen=_KEPT))

    def request_id(self) -> str:
        """A new id for a request."""
        text = f"{self._random.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def record(self, entry: Entry, *, replica: int = 0) -> None:
        """Note one request that the replica of that number answered."""
        self._log(replica).appendleft(entry)

    def page(self, *, limit: int, offset: int, replica: int = 0, token: Token | None = None) -> tuple[list[Entry], int]:
        """`limit` entries, newest first, after skipping `offset`, and how many there are.

        Args:
            limit: how many at most; the knob `activity_page` may make it fewer.
            offset: how many to skip.
            replica: the number of the one that is asked.
            token: that it is asked with; the knob `activity_of_token` leaves out what others did.
        """
        entries: Collection[Entry] = self._log(replica)
        if token is not None and self._live.knobs.activity_of_token:
            entries = [entry for entry in entries if entry.token.jti == token.jti]
        most = self._live.knobs.activity_page or limit
        return list(islice(entries, offset, offset + min(limit, most))), len(entries)

    def forget(self) -> None:
        """The volumes of all replicas are gone."""
        self._logs.clear()

    def _log(self, replica: int) -> deque[Entry]:
        return self._logs[replica if self._live.knobs.activity_per_replica else 0]

    def form(self, entry: Entry, *, timestamp: str) -> dict[str, Any]:
        """An entry as JSON."""
        resource: dict[str, Any] = {}
        if entry.kind and not entry.denied:
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
