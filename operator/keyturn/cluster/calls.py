"""One call to the API server, from request to JSON or error: deadline, observation, classification."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from keyturn.base.errors import translated
from keyturn.base.time import Time
from keyturn.cluster.errors import ClusterError, NotLeading, Unavailable, classify
from keyturn.cluster.reachability import Reachability
from keyturn.cluster.resources import Resource
from keyturn.cluster.transport import ApiResponse, Request, Stream, Transport, TransportError

JsonObject = dict[str, Any]

CallObserver = Callable[[str, str, int, float], None]
"""Takes verb (`get`, `apply`, ...), resource label, HTTP status (0 without a response) and seconds."""

_LONGEST_REFUSAL = 1 << 20


class Caller:
    """Sends requests and raises an error for each that fails; see `Cluster` for the arguments."""

    def __init__(self, transport: Transport, *, deadline: float, observer: CallObserver | None, time: Time) -> None:
        self._transport = transport
        self._deadline = deadline
        self._observer = observer
        self._time = time
        self.reachability = Reachability(time=time)

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    async def call(self, verb: str, request: Request, resource: Resource | None, template: str) -> JsonObject:
        """The JSON object that answers a request.

        Args:
            verb: for the observer.
            request: to send.
            resource: decides whether error texts may be quoted; None if the path is about no object.
            template: the path without names, for error texts.

        Raises:
            ClusterError: a leaf of it.
        """
        started = self._time.monotonic()
        status = 0
        try:
            with translated(partial(_not_answered, request, template)):
                response = await self._send(request)
            status = response.status
        finally:
            self._observe(verb, resource, status, started)
        if response.status >= 300:
            raise _refused(response, request, resource, template)
        parsed = _object(response.body)
        if parsed is None:
            raise Unavailable(
                "the answer is no JSON object; something else than an API server may have sent it",
                status=response.status,
                reason="BadAnswer",
                method=request.method,
                path=template,
            )
        return parsed

    @asynccontextmanager
    async def stream(
        self, verb: str, request: Request, resource: Resource, template: str, *, idle_timeout: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes that answer a request, as they arrive; ends when the server closes the connection.

        Args:
            verb: for the observer.
            request: to send.
            resource: decides whether error texts may be quoted.
            template: the path without names, for error texts.
            idle_timeout: seconds without a byte after which the connection counts as dead.

        Raises:
            ClusterError: a leaf of it; `Unavailable` also if the connection breaks or idles for too long.
        """
        started = self._time.monotonic()
        observed = False
        with translated(partial(_not_answered, request, template)):
            try:
                async with self._transport.stream(request, idle_timeout) as stream:
                    self._observe(verb, resource, stream.status, started)
                    observed = True
                    if stream.status >= 300:
                        raise await _stream_refused(stream, request, resource, template)
                    yield stream.chunks
            except TransportError:
                if not observed:
                    self._observe(verb, resource, 0, started)
                raise

    async def _send(self, request: Request) -> ApiResponse:
        if request.method == "GET" or request.repeatable:
            try:
                return await self._transport.send(request, self._deadline)
            except TransportError as error:
                if error.timed_out:
                    raise
            # A kept-alive connection that the server closed meanwhile breaks like this; a second read does no harm.
        return await self._transport.send(request, self._deadline)

    def _observe(self, verb: str, resource: Resource | None, status: int, started: float) -> None:
        self.reachability.note(status)
        if self._observer is not None:
            label = resource.label if resource else "discovery"
            self._observer(verb, label, status, self._time.monotonic() - started)


def _object(body: bytes) -> JsonObject | None:
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


async def _stream_refused(stream: Stream, request: Request, resource: Resource, template: str) -> ClusterError:
    body = bytearray()
    async for chunk in stream.chunks:
        body += chunk
        if len(body) > _LONGEST_REFUSAL:
            break
    return _refused(ApiResponse(stream.status, bytes(body), stream.retry_after), request, resource, template)


def _refused(response: ApiResponse, request: Request, resource: Resource | None, template: str) -> ClusterError:
    return classify(
        response.status,
        response.body,
        method=request.method,
        path=template,
        quotable=resource.quotable if resource else True,
        retry_after=response.retry_after,
    )


def _not_answered(request: Request, template: str, error: Exception) -> ClusterError | None:
    """The error of a request without a complete response; None for an exception that is not the transport's."""
    if not isinstance(error, TransportError):
        return None
    if error.fenced:
        return NotLeading(str(error), reason="NotLeading", method=request.method, path=template)
    reason = "Timeout" if error.timed_out else "NoConnection"
    return Unavailable(str(error), reason=reason, method=request.method, path=template)
