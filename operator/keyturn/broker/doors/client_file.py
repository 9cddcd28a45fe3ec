"""`GET /keyturn.pyz`: the client as one file, so that a CI job needs nothing but Python."""

from __future__ import annotations

from functools import cache

from starlette.responses import Response

from keyturn.broker.doors.problems import ALWAYS


@cache
def _built() -> bytes:
    # Few brokers are ever asked for it.
    from keyturn.client.pyz import build_pyz  # noqa: PLC0415

    return build_pyz()


def client_file() -> Response:
    """The file. It is the same for all, and needs no token."""
    return Response(_built(), headers=dict(ALWAYS), media_type="application/octet-stream")
