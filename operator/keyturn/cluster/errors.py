"""The errors of the API server and of the way to it; none of them ever quotes a value.

```
ClusterError
├── NotFound            404: the object, or its whole kind, is not there
├── AlreadyExists       409: a create met an object of that name
├── Conflict            409: the object changed meanwhile, or another field manager owns the field
├── Gone                410: the resourceVersion or the list's token is too old; list again
├── Unauthorized        401: the credentials are not accepted
├── Forbidden           403: RBAC, a quota, an admission policy, or a namespace that is being deleted
├── TooLarge            413: the request is larger than the API server reads (3 MiB) or etcd stores
├── Invalid             400 and 422: the API server understood the object and refuses it
├── TooManyRequests     429: wait `retry_after` seconds
├── Unavailable         5xx, a timeout, no connection, or an answer that is no JSON
├── NotLeading          the fence held a write back, because another replica may lead; nothing was sent
└── Misconfigured       no usable kubeconfig or service account; nothing was sent
```

No error holds a request, a body or a header, and none is chained to an exception that does. The text that an API server sends may
quote what it refuses (`Invalid value: "hunter2"`), so it is passed on only for resources that are `quotable`; for all others the
message is composed here from the names of fields and reasons.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MAX_TEXT = 500

# Phrases of the API server itself that hold names and numbers only, and name the right, quota or policy that is missing. An
# admission webhook or policy may add anything after its colon, so the phrase ends before it.
_HARMLESS = (
    re.compile(
        r'User "[\w:.@/-]*" cannot [a-z]+ resource "[\w./-]*" in API group "[\w.-]*"'
        r'(?: in the namespace "[\w.-]*"| at the cluster scope)',
    ),
    re.compile(r"exceeded quota: [\w.-]+, requested: [\w./=,-]+, used: [\w./=,-]+, limited: [\w./=,-]+"),
    re.compile(r'admission webhook "[\w./-]+" denied the request'),
    re.compile(r"ValidatingAdmissionPolicy '[\w.-]+' with binding '[\w.-]+' denied request"),
)
# Field paths as the API server prints them: `data[tls.key]`, `metadata.annotations`, `spec.containers[0].env[1].name`.
_FIELD = re.compile(r"[\w.\[\]/()*-]{1,200}")
_REASON = re.compile(r"[A-Za-z]{1,100}")


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of a Status object's `details.causes`: a field, and why it was refused."""

    field: str
    reason: str


class ClusterError(Exception):
    """The root of every error that leaves this package.

    Attributes:
        status: HTTP status; 0 if there was no answer.
        reason: the API server's own `reason`, or the name of the class if it gave none.
        message: readable text without values.
        retry_after: seconds that the API server asks to wait; None if it does not ask.
        method: HTTP method of the call.
        path: path template of the call, without names.
        causes: fields and reasons of a refusal.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        reason: str = "",
        retry_after: float | None = None,
        method: str = "",
        path: str = "",
        causes: tuple[Cause, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        self.method = method
        self.path = path
        self.causes = causes

    def __str__(self) -> str:
        call = f"{self.method} {self.path}: " if self.method else ""
        status = f"{self.status} " if self.status else ""
        return f"{call}{status}{self.reason}: {self.message}" if self.reason else f"{call}{status}{self.message}"

    @property
    def namespace_terminating(self) -> bool:
        """Whether a create was refused because the namespace is being deleted, which is no fault."""
        return any(cause.reason == "NamespaceTerminating" for cause in self.causes)


class NotFound(ClusterError):
    """404."""


class AlreadyExists(ClusterError):
    """409 on create."""


class Conflict(ClusterError):
    """409 on update, apply or delete: a precondition did not hold."""


class Gone(ClusterError):
    """410: history was compacted."""


class Unauthorized(ClusterError):
    """401."""


class Forbidden(ClusterError):
    """403."""


class TooLarge(ClusterError):
    """413."""


class Invalid(ClusterError):
    """400 or 422."""


class TooManyRequests(ClusterError):
    """429."""


class Unavailable(ClusterError):
    """The API server could not answer; the same call may succeed later. A write may or may not have been applied."""


class NotLeading(ClusterError):
    """The fence held a write back, because another replica may lead. A retry is of no use: this process is about to end."""


class Misconfigured(ClusterError):
    """There is no usable kubeconfig or service account."""


_BY_STATUS: Mapping[int, type[ClusterError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: TooLarge,
    422: Invalid,
    429: TooManyRequests,
}
# The API server answers a server-side apply that does not fit the schema with a bare 500, which would look like an outage and be
# retried for ever.
_MISLABELLED = ("failed to create typed patch object", "failed to convert new object")
# Bodies with these reasons sometimes have another HTTP status, and ERROR events of a watch have none at all.
_BY_REASON: Mapping[str, type[ClusterError]] = {
    "AlreadyExists": AlreadyExists,
    "Expired": Gone,
    "Gone": Gone,
}


# Standard texts, used if the API server's own may not be passed on.
_TEXTS: Mapping[int, str] = {
    400: "the API server does not understand the object",
    401: "the API server does not accept our credentials",
    403: "refused by RBAC, a quota or an admission policy",
    404: "not found",
    409: "the object changed meanwhile",
    410: "the requested history is gone",
    413: "the object is too large for the API server",
    422: "the API server refuses the object",
    429: "the API server is busy",
}


def classify(
    status: int,
    body: bytes,
    *,
    method: str,
    path: str,
    quotable: bool,
    retry_after: str | None = None,
) -> ClusterError:
    """The error of a response that is no success.

    Args:
        status: HTTP status.
        body: as it came: a Kubernetes `Status` object, or anything that a proxy sent instead.
        method: HTTP method of the call.
        path: path template of the call.
        quotable: whether the API server's text may be passed on (see `Resource.quotable`).
        retry_after: the header of that name.
    """
    return from_status(
        _parse(body),
        status=status,
        method=method,
        path=path,
        quotable=quotable,
        retry_after=retry_after,
    )


def from_status(
    body: Mapping[str, Any],
    *,
    status: int,
    method: str,
    path: str,
    quotable: bool,
    retry_after: str | None = None,
) -> ClusterError:
    """The error of a parsed `Status` object, as in the ERROR event of a watch.

    Args:
        body: the `Status` object.
        status: HTTP status; 0 if only the body has one.
        method: HTTP method of the call.
        path: path template of the call.
        quotable: whether the API server's text may be passed on.
        retry_after: the header of that name.
    """
    if status == 0:
        code = body.get("code")
        status = code if isinstance(code, int) else 500
    if status == 500 and str(body.get("message")).startswith(_MISLABELLED):
        status = 422
    raw_details = body.get("details")
    details: Mapping[str, Any] = raw_details if isinstance(raw_details, dict) else {}
    reason = _matching(_REASON, body.get("reason"))
    causes = tuple(_causes(details.get("causes")))
    kind = _BY_REASON.get(reason) or _BY_STATUS.get(status) or (Unavailable if status >= 500 else ClusterError)
    if kind is Invalid and any(cause.field == "metadata.uid" for cause in causes):
        # A sent uid is wrong only if the object was deleted and created again meanwhile; the API server answers 422 to that race.
        kind = Conflict
    return kind(
        _message(body, status=status, quotable=quotable, causes=causes),
        status=status,
        reason=reason or kind.__name__,
        retry_after=_seconds(retry_after) or _seconds(details.get("retryAfterSeconds")),
        method=method,
        path=path,
        causes=causes,
    )


def _parse(body: bytes) -> Mapping[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _message(body: Mapping[str, Any], *, status: int, quotable: bool, causes: tuple[Cause, ...]) -> str:
    text = body.get("message")
    if isinstance(text, str) and text:
        if quotable:
            return clean_text(text)
        for phrase in _HARMLESS:
            if found := phrase.search(text):
                return found.group()[:_MAX_TEXT]
    fields = ", ".join(f"{cause.field} ({cause.reason})" if cause.field else cause.reason for cause in causes)
    standard = (
        "the API server cannot answer now"
        if status >= 500
        else _TEXTS.get(status, "the API server refused the request")
    )
    return f"{standard}: {fields}"[:_MAX_TEXT] if fields else standard


def _causes(raw: Any) -> list[Cause]:
    if not isinstance(raw, list):
        return []
    causes = [
        Cause(field=_matching(_FIELD, entry.get("field")), reason=_matching(_REASON, entry.get("reason")))
        for entry in raw[:20]
        if isinstance(entry, dict)
    ]
    # The API server checks some fields twice, and lists them twice.
    return [cause for cause in dict.fromkeys(causes) if cause.field or cause.reason]


def _matching(pattern: re.Pattern[str], text: Any) -> str:
    return text if isinstance(text, str) and pattern.fullmatch(text) else ""


def _seconds(value: Any) -> float | None:
    """Seconds of a Retry-After; an API server never sends its other form, a date, which counts as absent."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 9 else None
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def clean_text(text: str, longest: int = _MAX_TEXT) -> str:
    """Foreign text for a log line, an Event or a condition: printable, on one line, at most `longest` characters."""
    clean = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return clean if len(clean) <= longest else f"{clean[: longest - 1]}…"
