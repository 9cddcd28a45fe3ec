"""`GET /keyturn.pyz`: the client as one file, so that a CI job needs nothing but Python."""

from __future__ import annotations

from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from keyturn.broker.doors.entrance import READING
from keyturn.broker.doors.problems import ALWAYS, native_problem
from keyturn.broker.errors import MethodNotAllowed


@cache
def _built() -> bytes:
    # Few brokers are ever asked for it.
    from keyturn.client.pyz import build_pyz  # noqa: PLC0415

    return build_pyz()


async def client_file(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request. The file is the same for all, and needs no token."""
    if Request(scope).method in READING:
        response = Response(_built(), headers=dict(ALWAYS), media_type="application/octet-stream")
    else:
        response = native_problem(MethodNotAllowed())
    await response(scope, receive, send)
