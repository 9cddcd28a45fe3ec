"""One call to the API server from request to JSON or error: deadline, counting, classification."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from keyturn.cluster.errors import ClusterError, NotLeading, Unavailable, classify
from keyturn.cluster.resources import Resource
from keyturn.cluster.transport import Answer, Request, Transport, TransportError

JSON = dict[str, Any]

Observer = Callable[[str, str, int, float], None]
"""Takes verb (`get`, `apply`, ...), resource label, HTTP status (0 without an answer) and seconds."""


class Caller:
    """Sends requests and tells success from failure; see `Cluster` for the arguments."""

    def __init__(
        self,
        transport: Transport,
        *,
        deadline: float,
        observer: Observer | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._deadline = deadline
        self._observer = observer
        self._clock = clock

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    async def call(self, verb: str, request: Request, resource: Resource | None, template: str) -> JSON:
        """The JSON object that answers `request`.

        Args:
            verb: Name for the observer.
            request: What to send.
            resource: Whose rules decide what error texts may say; None where no object is meant.
            template: The path without names, for error texts.

        Raises:
            ClusterError: A leaf of it.
        """
        started = self._clock()
        answer: Answer | None = None
        failure: ClusterError | None = None
        try:
            answer = await self._send(request)
        except TransportError as error:
            failure = _not_answered(error, request, template)
        finally:
            self._observe(verb, resource, answer.status if answer else 0, started)
        if answer is not None:
            if answer.status >= 300:
                failure = _refused(answer, request, resource, template)
            elif (parsed := _object(answer.body)) is not None:
                return parsed
            else:
                failure = Unavailable(
                    "the answer is no JSON object; something else than an API server may have sent it",
                    status=answer.status,
                    reason="BadAnswer",
                    method=request.method,
                    path=template,
                )
        # Raised outside of any `except`, so that no `__context__` keeps what the error leaves out.
        assert failure is not None  # noqa: S101 - for the type checker; either branch above set it
        raise failure

    @asynccontextmanager
    async def stream(
        self, verb: str, request: Request, resource: Resource, template: str, *, silence: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes that answer `request`, as they come; ends when the server closes.

        Raises:
            ClusterError: `Unavailable` also when the connection breaks, or nothing came for `silence` seconds.
        """
        started = self._clock()
        status = 0
        failure: ClusterError | None = None
        try:
            async with self._transport.stream(request, silence) as stream:
                status = stream.status
                self._observe(verb, resource, status, started)
                if status < 300:
                    yield stream.chunks
                    return
                body = bytearray()
                async for chunk in stream.chunks:
                    body += chunk
                    if len(body) > 1 << 20:
                        break
                answer = Answer(status, bytes(body), stream.retry_after)
                failure = _refused(answer, request, resource, template)
        except TransportError as error:
            if status == 0:
                self._observe(verb, resource, 0, started)
            failure = _not_answered(error, request, template)
        if failure is not None:
            raise failure

    async def _send(self, request: Request) -> Answer:
        if request.method == "GET":
            try:
                return await self._transport.send(request, self._deadline)
            except TransportError as error:
                if error.timed_out:
                    raise
            # A kept-alive connection that the server closed meanwhile breaks like this; reading twice harms nobody.
        return await self._transport.send(request, self._deadline)

    def _observe(self, verb: str, resource: Resource | None, status: int, started: float) -> None:
        if self._observer is not None:
            self._observer(verb, resource.label if resource else "discovery", status, self._clock() - started)


def _object(body: bytes) -> JSON | None:
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _refused(
    answer: Answer,
    request: Request,
    resource: Resource | None,
    template: str,
) -> ClusterError:
    return classify(
        answer.status,
        answer.body,
        method=request.method,
        path=template,
        quotable=resource.quotable if resource else True,
        retry_after=answer.retry_after,
    )


def _not_answered(error: TransportError, request: Request, template: str) -> ClusterError:
    if error.barred:
        return NotLeading(str(error), reason="NotLeading", method=request.method, path=template)
    reason = "Timeout" if error.timed_out else "NoConnection"
    return Unavailable(str(error), reason=reason, method=request.method, path=template)
