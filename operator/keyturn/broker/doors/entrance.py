"""What happens before a door reads a request: who asks, and how often; and what becomes of errors after it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import closing
from functools import partial
from ipaddress import IPv6Address, ip_address
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from keyturn.base.log import log_defect
from keyturn.broker.answer_room import AnswerMemory, AnswerRoom
from keyturn.broker.doors.problems import Problem
from keyturn.broker.errors import BrokerError, MethodNotAllowed, NotAuthenticated
from keyturn.broker.recording import BrokerCall, Recorder
from keyturn.broker.services import Services
from keyturn.core.audit import AuditCaller, Door

Handler = Callable[[BrokerCall, Request], Awaitable[Response]]
"""Answers a known caller, or raises a `BrokerError`."""

READ_METHODS: Final = frozenset({"GET", "HEAD"})
"""The methods of a request that changes nothing."""

_LONGEST_AGENT: Final = 1024
"""Characters of a user agent: the last records stay in memory, and a header may be much longer."""

_log = logging.getLogger(__name__)


class Entrance:
    """Lets known callers in.

    Args:
        services: of the process.
        recorder: takes note of those that nobody knows.
    """

    def __init__(self, services: Services, recorder: Recorder) -> None:
        self._reviewer = services.reviewer
        self._limits = services.limits
        self._time = services.time
        self._recorder = recorder
        self._memory = AnswerMemory()

    def room(self) -> AnswerRoom:
        """Room for one answer."""
        return AnswerRoom(self._memory)

    async def admit(self, request: Request, door: Door, room: AnswerRoom) -> BrokerCall:
        """The call that a request is.

        Args:
            request: of somebody.
            door: that it came to.
            room: for its answer.

        Raises:
            BrokerError: nobody knows the caller, or it asks too often.
        """
        began = self._time.monotonic()
        ip = _plain(request.client.host) if request.client else ""
        agent = request.headers.get("user-agent", "")[:_LONGEST_AGENT]
        try:
            review = partial(self._reviewer.review, _token(request), address=ip)
            identity = await review()
        except BrokerError as error:
            await self._recorder.unknown(AuditCaller(ip=ip, user_agent=agent), door, error)
            raise
        self._limits.take(identity)
        return BrokerCall(identity, AuditCaller.known(identity, ip=ip, user_agent=agent), door, began, room, review)


class Endpoint:
    """One route of a door, as an application of ASGI.

    Args:
        entrance: lets callers in.
        handler: answers those.
        door: that the route belongs to.
        problem: how that door puts an error.
        methods: that the route has; any other is refused once it is known who asks.
    """

    def __init__(
        self,
        entrance: Entrance,
        handler: Handler,
        *,
        door: Door,
        problem: Problem,
        methods: Collection[str] = READ_METHODS,
    ) -> None:
        self._entrance = entrance
        self._handler = handler
        self._door = door
        self._problem = problem
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with closing(self._entrance.room()) as room:
            response = await self._answer(Request(scope, receive), room)
            await response(scope, receive, send)

    async def _answer(self, request: Request, room: AnswerRoom) -> Response:
        try:
            call = await self._entrance.admit(request, self._door, room)
            if request.method not in self._methods:
                raise MethodNotAllowed
            return await self._handler(call, request)
        except MethodNotAllowed as error:
            response = self._problem(error)
            response.headers["Allow"] = ", ".join(sorted(self._methods))
            return response
        except BrokerError as error:
            return self._problem(error)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - a defect of ours, in one request
            log_defect(_log, "answering a request", error)
            return self._problem(BrokerError())


def _plain(host: str) -> str:
    """The address of a client as people write it: a socket for IPv4 and IPv6 gives `::ffff:10.244.0.7` for `10.244.0.7`."""
    address = ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _token(request: Request) -> str:
    """The token of a request.

    Raises:
        NotAuthenticated: it has none, or several.
    """
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].strip().partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated("the request has no bearer token")
    return token.strip()
