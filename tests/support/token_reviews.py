"""An API server in memory that judges tokens, and the tokens that it knows."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from keyturn.cluster.gateway import Cluster
from keyturn.cluster.transport import ApiResponse, Request, Stream, TransportError
from support.fake_time import FakeTime

Json = dict[str, Any]

POD: Json = {
    "authentication.kubernetes.io/pod-name": ["runner"],
    "authentication.kubernetes.io/pod-uid": ["pod-uid"],
    "authentication.kubernetes.io/node-name": ["n1"],
    "authentication.kubernetes.io/credential-id": ["JTI=1"],
}


def made_token(
    name: str = "ci", *, audience: str | Sequence[str] = "keyturn", expires_at: object = 4e9, **claims: Any
) -> str:
    """A text of the form of a token; nothing signs it. Equal arguments give equal tokens."""
    aud = audience if isinstance(audience, str) else list(audience)
    payload = {"aud": aud, "exp": expires_at, "sub": name, **claims}
    return ".".join(_encoded(each) for each in ({"alg": "RS256"}, payload, {"signature": "canary-signature"}))


def accepted(
    user: str = "system:serviceaccount:team-a:ci",
    *,
    audiences: Sequence[str] | None = ("keyturn",),
    extra: Mapping[str, Any] | None = None,
) -> Json:
    """The status of a review that accepts a token."""
    status: Json = {"authenticated": True, "user": {"username": user, "extra": dict(POD if extra is None else extra)}}
    if audiences is not None:
        status["audiences"] = list(audiences)
    return status


REFUSED: Json = {"user": {}, "error": "[invalid bearer token, token audiences do not match]"}
"""As 1.35 answers about a token for another audience."""


class ReviewingServer:
    """Judges tokens.

    Attributes:
        verdicts: the status for each token; all others are refused.
        asked: the tokens that were judged, in order.
        fails_with: what happens in place of a verdict: an HTTP status, or 0 for a connection that breaks; None for nothing.
        failures: how many times that happens.
        gate: reviews wait for it if it is not None.
        open: reviews under way.
        most_open: the most there were at once.
    """

    def __init__(self) -> None:
        self.verdicts: dict[str, Json] = {}
        self.asked: list[str] = []
        self.audiences: list[Any] = []
        self.fails_with: int | None = None
        self.failures = 1_000_000
        self.gate: asyncio.Event | None = None
        self.open = 0
        self.most_open = 0

    def cluster(self, time: FakeTime) -> Cluster:
        """The gateway to it."""
        return Cluster(self, time=time)

    async def send(self, request: Request, deadline: float) -> ApiResponse:
        """See `Transport.send`."""
        assert (request.method, request.path) == ("POST", "/apis/authentication.k8s.io/v1/tokenreviews")
        token = request.body["spec"]["token"]
        self.asked.append(token)
        self.audiences.append(request.body["spec"]["audiences"])
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self.open -= 1
        if self.fails_with is not None and self.failures > 0:
            self.failures -= 1
            if self.fails_with == 0:
                raise TransportError("the connection broke")
            return ApiResponse(self.fails_with, b"{}")
        return ApiResponse(201, json.dumps({"status": self.verdicts.get(token, REFUSED)}).encode())

    def stream(self, request: Request, idle_timeout: float) -> AbstractAsyncContextManager[Stream]:
        """See `Transport.stream`."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """See `Transport.aclose`."""


def _encoded(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
