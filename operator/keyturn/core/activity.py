"""A vault's own log of requests: what one entry says, whose request it was, and the line that it is exported as.

Whose request it was is decided by the entry alone, and by the ids of the tokens that are ours. The User-Agent of our own requests
carries an id (`base/call_id.py`), but any client can send the same text: the line also says whether the token was ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol, runtime_checkable

from keyturn.base.call_id import call_id_in, process_call_id
from keyturn.base.text import shorten
from keyturn.core.audit import SCHEMA, RecordKind
from keyturn.core.export_position import ExportPosition
from keyturn.core.vault import Vaults

PROGRAMS: Final = ("operator", "broker")
"""The programs of an installation that send requests by themselves."""

_RECORD_ID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
"""A ULID, as each audit record has one."""

_RECENT: Final = timedelta(hours=1)

_LONGEST: Final = 256
"""Characters of one text in a line."""

_OUTCOMES: Final[Mapping[str, str]] = {"SUCCESS": "allowed", "DENY": "denied"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityEntry:
    """One request that a vault's server has in its log. Texts are as the server gives them, shortened.

    Attributes:
        request_id: of the request, made by the server.
        at: when it was; None if the server says nothing that can be read.
        action: `READ`, `CREATE`, `UPDATE` or `DELETE`.
        result: `SUCCESS` or `DENY`.
        server: id of the server, as its account has it.
        account: id of the account.
        token: id of the token that the request was made with, not the token.
        user_agent: as the client sent it.
        ip: of the client, as the server saw it.
        resource: `ITEM` or `VAULT`; empty for a request that was denied.
        vault: its id, as the client sent it.
        item: its id, as the client sent it.
        item_version: of the item; None if the server does not say.
    """

    request_id: str
    at: datetime | None = None
    action: str = ""
    result: str = ""
    server: str = ""
    account: str = ""
    token: str = ""
    user_agent: str = ""
    ip: str = ""
    resource: str = ""
    vault: str = ""
    item: str = ""
    item_version: int | None = None

    @property
    def key(self) -> str:
        """Tells entries apart, also those of a server that gives them no ids."""
        return self.request_id or f"{self.at} {self.action} {self.token} {self.vault} {self.item} {self.user_agent}"


class ActivityLog(Protocol):
    """A vault's log of requests. Its methods obey cancellation."""

    @property
    def token_id(self) -> str:
        """Id of the token that requests are made with now; empty if it has none that can be read."""

    async def page(self, *, limit: int, offset: int) -> tuple[ActivityEntry, ...]:
        """Entries, newest first. New ones come in before the first, and move all others.

        Args:
            limit: how many at most; the server may give fewer than that, and fewer than there are.
            offset: how many of the newest to leave out.

        Raises:
            VaultError: they cannot be read.
        """


@runtime_checkable
class LogsRequests(Protocol):
    """What `Vaults` also are if their server keeps a log of requests that can be read."""

    def activity_log(self) -> ActivityLog | None:
        """That log; None if there is none after all."""


def activity_log_of(vaults: Vaults) -> ActivityLog | None:
    """The log of requests behind vaults; None if their provider has none."""
    return vaults.activity_log() if isinstance(vaults, LogsRequests) else None


def position_of(entry: ActivityEntry) -> ExportPosition:
    """The position after an entry was exported."""
    return ExportPosition(entry.key, "" if entry.at is None else _time(entry.at))


class Origin(StrEnum):
    """Whose request it was, by what shows it."""

    RECORD = "record"
    """The id of an audit record: the broker sent it for a caller, whom that record names."""
    PROCESS = "process"
    """The id of a program of this installation, which sent it by itself."""
    TOKEN = "token"  # noqa: S105 - a word, not a credential
    """A token that is ours, and no id of ours: another client uses the same token."""
    FOREIGN = "foreign"
    """Neither."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """Whose request an entry is.

    Attributes:
        origin: what shows it.
        record: id of the audit record; empty for none.
        process: the program that sent it by itself; empty for none.
        token_of: name of the connection that the token is known from; empty if it is not known.
    """

    origin: Origin
    record: str = ""
    process: str = ""
    token_of: str = ""

    @property
    def is_foreign(self) -> bool:
        """Whether neither an id nor a token is ours."""
        return self.origin is Origin.FOREIGN


def attribute(entry: ActivityEntry, *, installation: str, tokens: Mapping[str, str]) -> Attribution:
    """Whose request an entry is.

    Args:
        entry: of the log.
        installation: name of this one, whose programs mark what they send.
        tokens: names of connections by the ids of their tokens.
    """
    token_of = tokens.get(entry.token, "") if entry.token else ""
    call_id = call_id_in(entry.user_agent)
    if _RECORD_ID.fullmatch(call_id):
        return Attribution(Origin.RECORD, record=call_id, token_of=token_of)
    process = next((each for each in PROGRAMS if call_id == process_call_id(each, installation)), "")
    if process:
        return Attribution(Origin.PROCESS, process=process, token_of=token_of)
    return Attribution(Origin.TOKEN if token_of else Origin.FOREIGN, token_of=token_of)


def is_counted(entry: ActivityEntry, *, resumed: bool, now: datetime) -> bool:
    """Whether a foreign entry counts in the metric on which an alert is based.

    If it is not known how far an earlier export came, everything that the server remembers is exported, perhaps for the second time. Of
    that, only what is recent may call a person.

    Args:
        entry: a foreign one.
        resumed: whether the export went on from a known position.
        now: with its zone.
    """
    return resumed or entry.at is None or now - entry.at <= _RECENT


def entry_line(
    entry: ActivityEntry, whose: Attribution, *, connection: str, now: datetime, seq: int, prev: str, instance: str
) -> str:
    """An entry as one line of JSON, in the form of the audit's records.

    Args:
        entry: of the log.
        whose: request it was.
        connection: whose server has it in its log.
        now: stands for a time that cannot be read.
        seq: see `audit.to_json`.
        prev: see `audit.to_json`.
        instance: of the operator that writes it.
    """
    actor = {
        "id": entry.server,
        "account": entry.account,
        "jti": entry.token,
        "ip": entry.ip,
        "userAgent": entry.user_agent,
    }
    version = {} if entry.item_version is None else {"version": entry.item_version}
    return _line(
        now if entry.at is None else entry.at,
        seq=seq,
        prev=prev,
        instance=instance,
        said={
            "actor": {"type": "token"} | {name: _text(text) for name, text in actor.items() if text},
            "action": _text(entry.action.lower()),
            "outcome": _OUTCOMES.get(entry.result, _text(entry.result.lower())),
            "connection": connection,
            "vault": {"id": _text(entry.vault)} if entry.vault else None,
            "item": {"id": _text(entry.item), **version} if entry.item else None,
            "requestId": _text(entry.request_id),
            "origin": whose.origin.value,
            "record": whose.record or None,
            "process": whose.process or None,
            "tokenOf": whose.token_of or None,
            "foreign": whose.is_foreign,
        },
    )


def gap_line(
    position: ExportPosition | None, *, connection: str, now: datetime, seq: int, prev: str, instance: str
) -> str:
    """A line that says that entries may be missing after a position, before those that follow.

    Args:
        position: the newest entry that was exported; None if the server had more than can be exported at once.
        connection: whose server no longer has that entry in its log.
        now: when that was found out.
        seq: see `audit.to_json`.
        prev: see `audit.to_json`.
        instance: of the operator that writes it.
    """
    after = None if position is None else position.to_manifest()
    said = {"connection": connection, "gap": True, "after": after}
    return _line(now, seq=seq, prev=prev, instance=instance, said=said)


def _line(time: datetime, *, seq: int, prev: str, instance: str, said: Mapping[str, Any]) -> str:
    line = {
        "schema": SCHEMA,
        "time": _time(time),
        "seq": seq,
        "prev": prev,
        "instance": instance,
        "kind": RecordKind.ACTIVITY.value,
        **said,
    }
    return json.dumps(line, separators=(",", ":"))


def _text(text: str) -> str:
    """A text from outside: shortened, without characters that would move a terminal's cursor or its direction of writing."""
    return shorten("".join(char for char in text[: 4 * _LONGEST] if char.isprintable()), _LONGEST)


def _time(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
