"""An answer of the server as data, and the error that it stands for if it is not a success."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, StrictInt, TypeAdapter, ValidationError

from keyturn.base.errors import translated
from keyturn.providers.connect.api_calls import Call
from keyturn.providers.connect.connect_errors import (
    BadAnswer,
    ConnectError,
    Misshapen,
    Missing,
    Redirected,
    Throttled,
    class_for,
)
from keyturn.providers.reading import READING
from keyturn.providers.retry_after import retry_after
from keyturn.providers.scrub import scrub

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer with a status of success.

    Attributes:
        headers: with lower-case names.
    """

    call: Call
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def bad(self, problem: str, *, kind: type[BadAnswer] = BadAnswer) -> BadAnswer:
        """The error for an answer that is not what the API describes; names size and type, never content."""
        media = re.match(r"[\w.+-]{1,40}/[\w.+-]{1,40}", self.headers.get("content-type", ""))
        shown = f"{len(self.body)} bytes of {media[0].lower() if media else 'no type'}"
        return kind(f"status {self.status}, but {problem} ({shown})", method=self.call.method, route=self.call.route)

    def misshapen(self, problem: str) -> BadAnswer:
        """The same for an answer that is complete, so that neither the connection nor a proxy is to blame."""
        return self.bad(problem, kind=Misshapen)


def read_json(adapter: TypeAdapter[_T], reply: Reply) -> _T:
    """The body as a model.

    Raises:
        BadAnswer: names the place and the kind of the first mistake, never the input.
    """
    if reply.status not in {200, 201}:
        raise reply.bad("only 200 has content")
    with translated(lambda error: _refusal(error, reply) if isinstance(error, ValidationError) else None):
        return adapter.validate_json(reply.body)


def _refusal(error: ValidationError, reply: Reply) -> BadAnswer:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return reply.bad("its body is not JSON")
    place = ".".join(str(step) for step in first["loc"]) or "its body"
    return reply.misshapen(f"{place} has the wrong shape ({first['type']})")


class _ErrorBody(BaseModel):
    model_config = READING

    status: StrictInt
    message: str = ""


_ERROR_BODY = TypeAdapter(_ErrorBody)


def failure(call: Call, *, status: int, headers: Mapping[str, str], body: bytes, token: str) -> ConnectError:
    """The error for an answer with a status other than success.

    Only the status decides; the body gives at most a message. One exception: a 404 counts as `Missing` only in Connect's
    own form. A proxy without a route answers 404 as well, and nothing may be deleted because of that.
    """
    message = _message(status, body)
    text = scrub(message or "", redact=(token, *call.redact))
    shown = f"status {status}" + (f": {text}" if text else "")
    if status == 429:
        after = retry_after(headers)
        return Throttled(shown, server_message=text, retry_after=after, method=call.method, route=call.route)
    kind = class_for(status)
    if kind is Missing and message is None:
        return BadAnswer(
            "status 404, but not in Connect's own form: something else answers at this address",
            method=call.method,
            route=call.route,
        )
    if kind is Redirected:
        shown = f"status {status}: redirects to {_target(headers)}; redirects are not followed, correct the address"
    return kind(shown, status=status, server_message=text, method=call.method, route=call.route)


def _message(status: int, body: bytes) -> str | None:
    """Connect's message, or None if the body is not one of Connect's errors."""
    try:
        found = _ERROR_BODY.validate_json(body)
    except ValidationError:
        return None
    return found.message if found.status == status else None


def _target(headers: Mapping[str, str]) -> str:
    try:
        host = urlsplit(headers.get("location", "")).hostname
    except ValueError:
        host = None
    return f"the host {scrub(host)}" if host else "another path of the same host"
