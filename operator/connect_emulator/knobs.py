"""The knobs: every behaviour of a Connect server that is unpublished, disputed or worth turning in a rehearsal."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

from pydantic import TypeAdapter, ValidationError


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """One setting per open question; the defaults are the best supported reading.

    Each comment says what the knob does and how well its default is known: documented (official text), seen (real output or
    code of official clients), inferred (consistent with all that is known, but stated nowhere).
    """

    version: str = "1.8.2"
    """The server's version, sent as `1Password-Connect-Version` with every answer and shown by `/health`. Seen."""

    # --- sync between 1password.com and the replica ------------------------------------------------------------------
    lag_s: float = 0.3
    """Seconds until the replica sees a change, our own writes included. Seen: 0.2 to 5 s; the default is inferred."""
    lag_jitter_s: float = 0.0
    """Each change may be late by up to this many seconds more, by the seed. The real distribution is unknown."""
    item_row_lag_s: float = 0.0
    """Item rows arrive this much later than their vault's row. Whether both land atomically is unknown."""
    replicas: int = 1
    """Connect pods behind one address, each with its own replica. Inferred from the stock emptyDir volume."""
    replica_lags_s: tuple[float, ...] = ()
    """A lag for each replica, in order; a replica without one uses `lag_s`. Differing lags make versions go backwards."""
    replica_choice: Literal["turn", "connection", "random"] = "turn"
    """Which replica answers: they take turns per request, stick to a connection, or are chosen at random by the seed."""
    sync_timeout_s: float = 10.0
    """How long a request waits for the initial sync before 408 (`OP_SYNC_TIMEOUT`). Documented."""
    initial_sync_s: float = 0.0
    """Seconds the initial sync takes after the first valid bearer. Real servers need some; 0 keeps tests quick."""
    persistent_volume: bool = False
    """Whether a restart keeps the replica. Seen: the stock Helm volume is an emptyDir, which does not."""
    upstream: bool = True
    """Whether 1password.com can be reached. Off: replicas stand still, writes fail, a lost replica cannot come back."""

    # --- tokens ------------------------------------------------------------------------------------------------------
    scope_message: Literal["authorization", "in_scope"] = "authorization"
    """The 403 for a vault outside the token: the text really observed (seen), or the specification's (documented)."""
    permission_prefix: bool = False
    """Whether the 403 for a missing verb starts with `Authorization: `. Two public sources disagree."""
    missing_token_message: str = "Invalid bearer token"  # noqa: S105 - a message, not a credential
    """The 401 text without an Authorization header. Inferred."""
    write_only_sees_vaults: bool = True
    """Whether a write-only token may read vault metadata. Inferred from 'lists the vaults in the token's scope'."""

    # --- shapes ------------------------------------------------------------------------------------------------------
    list_files: bool = False
    """Whether item summaries carry `files`. Inferred absent."""
    list_vault_name: bool = True
    """Whether item summaries carry `vault.name`. Inferred present."""
    list_additional_information: bool = True
    """Whether item summaries carry `additionalInformation`. Inferred present."""
    list_archived: bool = False
    """Whether lists include archived items. Inferred not."""
    get_archived: bool = True
    """Whether GET by id serves archived items, with `state`. Inferred from the documented enum."""
    post_version: bool = True
    """Whether the answer to POST carries `version`. The documented sample has none; clients wait for 1 either way."""
    post_last_edited_by: bool = False
    """Whether the answer to POST carries `lastEditedBy`. Absent in the documented sample."""
    put_answers_old_version: bool = True
    """Whether PUT and PATCH answer with the version before the change. Seen by Terraform for PUT."""
    timestamp_digits: int = 0
    """Fractional digits of timestamps, 0 to 9. Seconds are seen in GET, nanoseconds in a documented POST sample."""
    escape_html: bool = True
    r"""Whether `<`, `>` and `&` in JSON are written as `\u003c`..., as Go's encoder does. Inferred."""
    content_path: Literal["slash", "no_slash", "camel"] = "slash"
    """`content_path` with a leading slash (seen), without (documentation), or as 1.5.4's `contentPath` (seen)."""
    placeholder_section: bool = True
    """Whether an item created with only section-less custom fields reads back with `"sections":[{}]`. Seen."""
    healthy_account_data: str = "SYNCED"
    """`/health`'s word for a synced `account_data`. Inferred."""
    healthy_upstream: str = "ACTIVE"
    """`/health`'s word for an initialised `1Password`. Inferred."""

    # --- filters -----------------------------------------------------------------------------------------------------
    vault_filter_case: bool = False
    """Whether vault filters distinguish upper and lower case. Seen: they do not."""
    item_filter_case: bool = False
    """Whether item filters distinguish upper and lower case. Inferred that they do not."""
    filter_backslash: bool = True
    r"""Whether `\"` inside a quoted filter value is a quote. A guess after SCIM."""

    # --- requests ----------------------------------------------------------------------------------------------------
    unsupported_method_status: Literal[404, 405] = 405
    """The status for a known path with an unknown method. Unknown."""
    keep_alive_s: float = 3600.0
    """Seconds after which an idle connection is closed; read at start only. Unknown; Go's own default is never."""
    max_body_bytes: int = 16 * 1024 * 1024
    """The largest request body; above it 413. Unknown."""
    misplaced_purpose_status: Literal[400, 406] = 400
    """The status for a purpose that the category lacks. Documented 400; 406 was seen on a DATABASE."""
    double_password_status: int = 400
    """The status for two PASSWORD purposes. Only the message was seen."""
    server_utc_offset_h: float = 0.0
    """The server's time zone, in which `YYYY-MM-DD` of a DATE is read: it can shift a day. Seen."""
    put_keeps_files: bool = True
    """Whether PUT without `files` keeps them. Inferred."""
    write_s: float = 0.0
    """Seconds a write takes; a second write to the same vault meanwhile is a conflict (409, or 500 for DELETE). Seen."""
    conflict_message: str = "Conflict: the vault was changed by another client, please retry the request"
    """The 409 text. Unknown."""
    bulk_bumps_once: bool = False
    """Whether a bulk edit moves the vault's contentVersion once instead of once per item. Unknown."""

    # --- activity ----------------------------------------------------------------------------------------------------
    activity_per_replica: bool = True
    """Whether each replica has an activity log of its own, in its database. Inferred; a lost volume loses it either way."""
    activity_page: int = 0
    """The most entries of one page, whatever `limit` says; 0 for no such bound. Unknown."""
    activity_of_token: bool = False
    """Whether a token sees only what was done with it. Unknown; the documentation speaks of all requests."""
    activity_of_activity: bool = False
    """Whether reading the activity is an entry of it. Inferred not."""

    # --- files -------------------------------------------------------------------------------------------------------
    max_inline_file_bytes: int = 100 * 1024
    """`OP_MAX_INLINE_FILE_SIZE_KB` in bytes. Documented default 100 KB."""
    inline_limit_inclusive: bool = True
    """Whether a file of exactly the limit is still inlined. Specification and reference page disagree."""
    unsynced_file_calls: int = 0
    """How many content requests per file fail before its bytes are there. Seen: 500 up to 1.7.3."""
    unsynced_file_status: int = 500
    """The status of those. 500 up to 1.7.3; 1.8 improved it without publishing how."""
    unsynced_file_message: str = "Something went wrong"
    """The message of those. As the status."""
    malformed_file_id_status: Literal[400, 404] = 404
    """The status for a file id that is not 26 characters of a-z0-9. Unknown."""
    copied_files_broken: bool = False
    """Whether content of a file that several items share is 500, as before 1.8.0. Documented."""


_ADAPTER: TypeAdapter[Knobs] = TypeAdapter(Knobs)
_NAMES = frozenset(field.name for field in fields(Knobs))


class KnobError(ValueError):
    """A knob that does not exist, or a value it cannot take; the text names it."""


def turned(knobs: Knobs, changes: Mapping[str, object]) -> Knobs:
    """`knobs` with the named ones changed, values converted from text if needed.

    Raises:
        KnobError: an unknown name or a value of the wrong kind.
    """
    if unknown := sorted(set(changes) - _NAMES):
        raise KnobError(f"unknown knob {unknown[0]!r}")
    values = {name: _listed(value) for name, value in changes.items()}
    try:
        converted = _ADAPTER.validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = first["loc"][0] if first["loc"] else "knobs"
        raise KnobError(f"knob {name}: {first['msg']}") from None
    return replace(knobs, **{name: getattr(converted, name) for name in values})


def parse_assignments(assignments: list[str]) -> dict[str, object]:
    """`name=value` texts of the command line as a mapping; a value in brackets is a JSON list.

    Raises:
        KnobError: a text without `=`.
    """
    parsed: dict[str, object] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            raise KnobError(f"a knob is set with name=value, not {text!r}")
        parsed[name.strip()] = value.strip()
    return parsed


def _listed(value: object) -> object:
    if isinstance(value, str) and value.startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


class Live:
    """The knobs as they are now: parts of the server hold this and read `knobs` again each time.

    `generation` grows with every change, so that cached encodings know that they are old.
    """

    def __init__(self, knobs: Knobs) -> None:
        self.knobs = knobs
        self.generation = 0

    def turn(self, changes: Mapping[str, object]) -> Knobs:
        """Change the named knobs, or none if one is wrong (`KnobError`)."""
        self.knobs = turned(self.knobs, changes)
        self.generation += 1
        return self.knobs
