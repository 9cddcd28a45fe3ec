"""An answer of the server as data, and what it says when it is not a success."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, StrictInt, TypeAdapter, ValidationError

from .calls import Call
from .errors import BadAnswer, ConnectError, Missing, Redirected, Throttled, class_for
from .scrub import scrub

T = TypeVar("T")

MAX_RETRY_AFTER = 300.0
"""Seconds: nobody is believed who asks for more patience than this."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer with a status of success.

    Attributes:
        headers: with lower-case names.
    """

    call: Call
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def bad(self, problem: str) -> BadAnswer:
        """The error for an answer that is not what the API describes; names size and type, never content."""
        kind = re.match(r"[\w.+-]{1,40}/[\w.+-]{1,40}", self.headers.get("content-type", ""))
        shown = f"{len(self.body)} bytes of {kind[0].lower() if kind else 'no type'}"
        return BadAnswer(
            f"status {self.status}, but {problem} ({shown})", method=self.call.method, route=self.call.route
        )


def read_json(adapter: TypeAdapter[T], answer: Answer) -> T:
    """The answer's body as a model.

    Raises:
        BadAnswer: names the place and the kind of the first mistake, never the input.
    """
    if answer.status not in {200, 201}:
        raise answer.bad("only 200 has content")
    try:
        return adapter.validate_json(answer.body)
    except ValidationError as error:
        problem = _describe(error)
    # Outside of the handler: pydantic's error carries the input, and must not become this one's context.
    raise answer.bad(problem)


def _describe(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return "its body is not JSON"
    place = ".".join(str(step) for step in first["loc"]) or "its body"
    return f"{place} has the wrong shape ({first['type']})"


class _ErrorBody(BaseModel):
    status: StrictInt
    message: str = ""


_ERROR_BODY = TypeAdapter(_ErrorBody)


def failure(call: Call, *, status: int, headers: Mapping[str, str], body: bytes, token: str) -> ConnectError:
    """The error for an answer with a status other than success.

    Classified by the status alone; the body gives at most a message. One exception: a 404 counts as `Missing` only in
    Connect's own form, because a proxy without a route says 404 as well, and nothing may be deleted for that.
    """
    said = _message(status, body)
    text = scrub(said or "", sent=(token, *call.sent))
    shown = f"status {status}" + (f": {text}" if text else "")
    if status == 429:
        after = retry_after(headers)
        return Throttled(shown, said=text, retry_after=after, method=call.method, route=call.route)
    kind = class_for(status)
    if kind is Missing and said is None:
        return BadAnswer(
            "status 404, but not in Connect's own form: something else answers at this address",
            method=call.method,
            route=call.route,
        )
    if kind is Redirected:
        shown = f"status {status}: redirects to {_target(headers)}; redirects are not followed, correct the address"
    return kind(shown, status=status, said=text, method=call.method, route=call.route)


def _message(status: int, body: bytes) -> str | None:
    """Connect's message, or None where the body is not one of Connect's errors."""
    try:
        said = _ERROR_BODY.validate_json(body)
    except ValidationError:
        return None
    return said.message if said.status == status else None


def _target(headers: Mapping[str, str]) -> str:
    try:
        host = urlsplit(headers.get("location", "")).hostname
    except ValueError:
        host = None
    return f"the host {scrub(host)}" if host else "another path of the same host"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, between 0 and 300.

    A date is compared with the answer's own Date header: the server's clock, not ours, chose both.
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]+)?", text):
        return _capped(float(text))
    times = [_instant(text), _instant(headers.get("date", ""))]
    if None in times:
        return None
    then, now = times
    return _capped(then - now) if then is not None and now is not None else None


def _capped(seconds: float) -> float:
    return min(MAX_RETRY_AFTER, max(0.0, seconds))


def _instant(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
