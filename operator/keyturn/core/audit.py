"""The records of the audit: what one says, and the one line that it is written as."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, Self

from keyturn.base.text import shorten
from keyturn.core.access import Identity
from keyturn.core.access_grant import AccessGrant

SCHEMA: Final = "keyturn.dev/audit/v1"

BEGINNING: Final = f'{{"schema":"{SCHEMA}"'
"""What the line of every record begins with."""

MOST_FIELDS: Final = 100
"""Names of fields in one record; an item with more is recorded by these and an ellipsis."""

_LONGEST: Final = 256
"""Characters of one text in a record, so that nobody makes a line long by what he sends."""


class RecordKind(StrEnum):
    """What a record is about."""

    ACCESS = "access"
    USE = "use"
    GRANT = "grant"
    CONNECTION = "connection"
    ROTATION = "rotation"
    ACTIVITY = "activity"


class RecordOutcome(StrEnum):
    """How it ended. `allowed` is written before the answer is given, `failed` says that a caller with every right got none."""

    ALLOWED = "allowed"
    DENIED = "denied"
    FAILED = "failed"


class Door(StrEnum):
    """Where the caller came in."""

    NATIVE = "native"
    CONNECT = "connect"
    VAULT_API = "vault"
    USE = "use"
    MCP = "mcp"


class CallerType(StrEnum):
    """How a caller is known. Of an unknown one there is nothing but an address and a user agent."""

    SERVICE_ACCOUNT = "serviceAccount"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class AuditCaller:
    """Who asked: the identity that a token has, and where the request came from.

    Attributes:
        namespace: of the service account.
        name: of the service account.
        pod: to which the token is bound, if it is.
        credential_id: of the token: `JTI=...`. It is no part of the token, and opens nothing.
        ip: of the other end of the TCP connection.
        user_agent: as sent; what is recorded of it has no control characters.
    """

    type: CallerType = CallerType.UNKNOWN
    namespace: str = ""
    name: str = ""
    pod: str = ""
    pod_uid: str = ""
    node: str = ""
    credential_id: str = ""
    ip: str = ""
    user_agent: str = ""

    @classmethod
    def known(cls, identity: Identity, *, ip: str = "", user_agent: str = "") -> Self:
        """One whose token was accepted."""
        return cls(
            CallerType.SERVICE_ACCOUNT,
            namespace=identity.namespace,
            name=identity.name,
            pod=identity.pod,
            pod_uid=identity.pod_uid,
            node=identity.node,
            credential_id=identity.credential_id,
            ip=ip,
            user_agent=user_agent,
        )

    @property
    def is_known(self) -> bool:
        """Whether a token proved an identity."""
        return self.type is not CallerType.UNKNOWN

    def to_manifest(self) -> dict[str, str]:
        """As a record has it: what is not known is left out."""
        given = {
            "namespace": self.namespace,
            "name": self.name,
            "pod": self.pod,
            "podUid": self.pod_uid,
            "node": self.node,
            "credentialId": self.credential_id,
            "ip": self.ip,
            "userAgent": self.user_agent,
        }
        return {"type": self.type.value} | {key: _text(value) for key, value in given.items() if value}


@dataclass(frozen=True, slots=True)
class RecordedGrant:
    """The grant that allowed it."""

    namespace: str
    name: str
    uid: str = ""
    generation: int = 0

    @classmethod
    def of(cls, grant: AccessGrant) -> Self:
        """A grant as its object is now."""
        return cls(grant.key.namespace, grant.key.name, grant.uid, grant.generation)

    def to_manifest(self) -> dict[str, Any]:
        """As a record has it."""
        return {"namespace": self.namespace, "name": self.name, "uid": self.uid, "generation": self.generation}


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What one record says, without the members that chain it to the one before.

    Nothing here is a value of an item, or text that the caller made up: names of fields are those that an item has, ids
    are those of the vault. What was asked for, but is not there or not granted, is not named.

    Attributes:
        time: when it was decided.
        id: of this record, a ULID; requests to the vault carry it in their `User-Agent`.
        action: `read`, `list`, ...
        reason: in CamelCase: `Granted`, `NotGranted`, `VaultUnavailable`, ...
        grant: None if none allowed it.
        connection: namespace/name of a Connection; empty if none was asked.
        vault: its id; empty if no item was found.
        item: its id; empty if none was found.
        item_version: of the item that was answered; 0 if none was.
        fields: names of the fields and files that were answered, or were asked for and found.
        target: where a credential was used; None for anything but a use.
        duration_ms: from the request to this record.
        upstream: id of the record whose request to the vault also answered this one; empty if it had one of its own.
        repeated: how many records like this one were left out since the last one.
    """

    time: datetime
    id: str
    kind: RecordKind
    caller: AuditCaller
    action: str
    outcome: RecordOutcome
    reason: str
    door: Door
    grant: RecordedGrant | None = None
    connection: str = ""
    vault: str = ""
    item: str = ""
    item_version: int = 0
    fields: tuple[str, ...] = ()
    target: Mapping[str, Any] | None = None
    duration_ms: int = 0
    upstream: str = ""
    repeated: int = 0


def to_json(record: AuditRecord, *, seq: int, prev: str, instance: str) -> str:
    """One record as one line of JSON in ASCII, without a newline, its members in the documented order.

    Args:
        record: what happened.
        seq: number of the record in the stream of its instance, from 1.
        prev: `chain_hash` of the line before in this stream; empty for the first one.
        instance: of the broker that writes it.
    """
    line: dict[str, Any] = {
        "schema": SCHEMA,
        "time": record.time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "id": record.id,
        "seq": seq,
        "prev": prev,
        "instance": instance,
        "kind": record.kind.value,
        "actor": record.caller.to_manifest(),
        "action": record.action,
        "outcome": record.outcome.value,
        "reason": record.reason,
        "door": record.door.value,
        "grant": record.grant.to_manifest() if record.grant else None,
        "connection": record.connection or None,
        "vault": {"id": _text(record.vault)} if record.vault else None,
        "item": _item(record) if record.item else None,
        "fields": _names(record.fields),
        "target": record.target,
        "durationMs": record.duration_ms,
    }
    if record.upstream:
        line["upstream"] = record.upstream
    if record.repeated:
        line["repeated"] = record.repeated
    return json.dumps(line, separators=(",", ":"))


def chain_hash(line: str) -> str:
    """What the next record says of this line: SHA-256 of its bytes without the newline, in hexadecimal digits."""
    return sha256(line.encode("utf-8", "surrogatepass")).hexdigest()


def _item(record: AuditRecord) -> dict[str, Any]:
    version = {"version": record.item_version} if record.item_version else {}
    return {"id": _text(record.item), **version}


def _names(fields: tuple[str, ...]) -> list[str]:
    more = ["…"] if len(fields) > MOST_FIELDS else []
    return [_text(each) for each in fields[:MOST_FIELDS]] + more


def _text(text: str) -> str:
    """A text from outside: shortened, without characters that would move a terminal's cursor or its direction of writing."""
    if len(text) <= _LONGEST and text.isprintable():
        return text
    return shorten("".join(char for char in text[: 4 * _LONGEST] if char.isprintable()), _LONGEST)
