"""What the broker answered, and what a refusal means for whoever runs the command."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from keyturn.client.failures import ClientError, ImplausibleAnswer, Misuse, NotGiven, NotIdentified, NotNow
from keyturn.client.op_syntax import shown_text


@dataclass(frozen=True)
class BrokerProblem:
    """Why the broker gave nothing.

    Attributes:
        status: the HTTP status; 200 if only one of several references could not be resolved.
        code: the broker's word for the reason; empty if it said none.
        detail: what else it said.
        after: seconds after which it wants to be asked again; 0 if it did not say so in seconds.
    """

    status: int
    code: str
    detail: str = ""
    after: float = 0.0

    @classmethod
    def read(cls, said: Any, status: int = 200, wait: str = "") -> BrokerProblem:
        """Read it from JSON; what is missing or has another type counts as not said."""
        parts = said if isinstance(said, dict) else {}
        code, detail = parts.get("code"), parts.get("detail") or parts.get("message")
        return cls(
            status,
            code if isinstance(code, str) else "",
            detail if isinstance(detail, str) else "",
            float(wait) if wait.isascii() and wait.isdigit() else 0.0,
        )


@dataclass(frozen=True)
class BrokerAnswer:
    """An answer.

    Attributes:
        status: the HTTP status.
        wait: the header Retry-After as it came.
        content: the body, which may hold values.
    """

    status: int
    wait: str
    content: bytes = field(repr=False)

    def json(self) -> Any:
        """The body.

        Raises:
            ImplausibleAnswer: it is no JSON.
        """
        parsed, is_json = _parsed(self.content)
        if not is_json:
            raise ImplausibleAnswer("the broker's answer is no JSON; is KEYTURN_BROKER_URL the address of a broker?")
        return parsed

    def problem(self) -> BrokerProblem:
        """Why this is no success."""
        return BrokerProblem.read(_parsed(self.content)[0], self.status, self.wait)


def _parsed(content: bytes) -> tuple[Any, bool]:
    # No exception leaves this place: that of the parser holds the whole body.
    try:
        return json.loads(content), True
    except (ValueError, RecursionError):
        return None, False


# By code: the class of error, and what is wrong.
_BY_CODE: dict[str, tuple[type[ClientError], str]] = {
    "not_found": (NotGiven, "not there, or no grant names it for this identity"),
    "no_connection": (NotGiven, "no connection to a vault serves this namespace"),
    "action_not_granted": (NotGiven, "a grant names it, but does not allow reading it"),
    "ambiguous": (NotGiven, "more than one granted item has that name: use ids, or ?connection=<namespace>/<name>"),
    "too_large": (NotGiven, "it is larger than the broker gives"),
    "reconnect_required": (NotNow, "the vault refuses the broker's credential; the Connection needs a new one"),
    "unavailable": (NotNow, "the vault cannot be reached at present"),
    "audit_unavailable": (NotNow, "the broker cannot write its audit records, and gives nothing without one"),
    "stale_rights": (NotNow, "the broker does not know the present grants, because it cannot reach the API server"),
    "too_many_requests": (NotNow, "too many requests"),
    "bad_reference": (Misuse, "the broker does not understand the reference"),
    "bad_request": (Misuse, "the broker does not understand the request"),
}
# By status, if the code is none of these.
_BY_STATUS: dict[int, tuple[type[ClientError], str]] = {
    400: (Misuse, "the broker does not understand the request"),
    401: (NotIdentified, "the broker does not accept the token: is its audience keyturn, and its pod still there?"),
    403: (NotGiven, "not allowed"),
    404: (NotGiven, "not found; is KEYTURN_BROKER_URL the address of a broker?"),
    409: _BY_CODE["ambiguous"],
    413: (Misuse, "the request is too large"),
    422: (Misuse, "the broker does not understand the request"),
    429: (NotNow, "too many requests"),
}


def refusal_error(problem: BrokerProblem, *, about: str | None = None) -> ClientError:
    """The error that a refusal becomes.

    Args:
        problem: the refusal.
        about: the reference that it concerns; None if it is the whole request.
    """
    known = _BY_CODE.get(problem.code) or _BY_STATUS.get(problem.status)
    if known is None:
        kind: type[ClientError] = NotNow if problem.status >= 500 else ClientError
        known = kind, f"the broker answered {problem.status}"
    kind, meaning = known
    if kind is Misuse and problem.detail:
        meaning += f": {shown_text(problem.detail, 300)}"
    if problem.code and problem.code not in _BY_CODE:
        meaning += f" ({shown_text(problem.code)})"
    message = f"{about}: {meaning}" if about else meaning
    if kind is NotNow:
        return NotNow(message, may_pass=problem.code != "reconnect_required", after=problem.after)
    return kind(message)
