"""The front of the API port: takes requests from connections, lets faults strike, writes and records answers."""

import asyncio
import time
from email.utils import formatdate
from weakref import WeakKeyDictionary, WeakSet

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from connect_emulator.clock import Clock
from connect_emulator.errors import ApiError
from connect_emulator.faults import FaultRule, Faults
from connect_emulator.http import damage, routes
from connect_emulator.http.activity import Activity
from connect_emulator.http.answers import Answer
from connect_emulator.http.api import Api, Call
from connect_emulator.http.requestlog import Record, RequestLog
from connect_emulator.http.wire import Wire
from connect_emulator.knobs import Live
from connect_emulator.logs import ACCESS, SERVER

VERSION_HEADER = "1Password-Connect-Version"


class Front:
    """An aiohttp application without routes, whose middleware answers every method and path itself."""

    def __init__(
        self,
        *,
        api: Api,
        activity: Activity,
        faults: Faults,
        log: RequestLog,
        wire: Wire,
        clock: Clock,
        live: Live,
    ) -> None:
        self._api = api
        self._activity = activity
        self._faults = faults
        self._log = log
        self._wire = wire
        self._clock = clock
        self._live = live
        self._connections: WeakKeyDictionary[asyncio.BaseTransport, int] = WeakKeyDictionary()
        self._next_connection = 0
        self._spent: WeakSet[asyncio.BaseTransport] = WeakSet()
        self._dated = (0, "")
        # The handler judges the size of bodies itself, by the knob.
        self.app = web.Application(client_max_size=0, middlewares=[self._middleware])
        self.app.on_response_prepare.append(_without_server_name)

    @property
    def _middleware(self) -> Middleware:
        @web.middleware
        async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:  # noqa: ARG001 - named by aiohttp
            return await self._handle(request)

        return answer

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if path.startswith(("http://", "https://")):
            # A client that uses this server as its proxy sends the whole address.
            path = "/" + path.split("/", 3)[3] if path.count("/") > 2 else "/"
        route = routes.find(path)
        headers = request.headers
        record = self._log.start(
            method=request.method, path=path, query=query, route=route.template,
            user_agent=headers.get("User-Agent", ""),
        )  # fmt: skip
        call = Call(
            method=request.method,
            route=route,
            query=query,
            headers=headers,
            body=lambda: self._body(request),
            connection=self._connection(request),
            ip=request.remote or "",
            request_id=self._activity.request_id(),
        )
        token = self._api.token_of(headers)
        if token is not None:
            record.token = token.name
        status = -1
        try:
            response = await self._respond(request, call, record)
            status = response.status if response is not None else -1
        except Exception:  # noqa: BLE001 - whatever goes wrong, the client gets Connect's 500
            SERVER.exception("request failed", extra={"scope": {"request_id": call.request_id}})
            refusal = self._api.refusal(500, "Something went wrong")
            status, response = 500, self._response(refusal)
        finally:
            self._log.finish(record, status)
            self._access(record, call.request_id, token.jti if token else "")
        return response if response is not None else damage.Raw(500, [], clock=self._clock)

    async def _respond(self, request: web.Request, call: Call, record: Record) -> web.StreamResponse | None:
        """The response, or none if the connection is gone."""
        rule = None
        if self._faults:
            rule = self._faults.strike(
                method=call.method, template=call.route.template, path=record.path, token=record.token or None
            )
        if rule is None:
            return self._response(await self._api.answer(call))
        record.fault = rule.kind
        if rule.delay_s:
            await self._clock.sleep(rule.delay_s)
        if rule.kind == "once" and request.transport is not None:
            if request.transport in self._spent:
                return None
            self._spent.add(request.transport)
        good = await self._api.answer(call) if rule.executes else None
        if rule.kind == "hang":
            await asyncio.get_running_loop().create_future()
        if rule.kind == "reset":
            damage.reset(request)
            return None
        return await self._faulty(request, rule, good)

    async def _faulty(self, request: web.Request, rule: FaultRule, good: Answer | None) -> web.StreamResponse:
        now = self._clock.now()
        answer = damage.substitute(rule, wire=self._wire, now=now)
        if answer is None:
            assert good is not None  # noqa: S101 - kinds that do not substitute always execute
            answer = damage.spoilt(rule, good, now=now)
        raw = damage.broken(rule, answer, self._head(answer), clock=self._clock)
        if raw is None:
            return self._response(answer)
        await raw.prepare(request)
        return raw

    def _head(self, answer: Answer) -> dict[str, str]:
        head = {VERSION_HEADER: self._live.knobs.version, "Date": self._date()}
        if kind := damage.content_type(answer):
            head["Content-Type"] = kind
        head.update(answer.headers)
        return head

    def _date(self) -> str:
        second = int(self._clock.now())
        if self._dated[0] != second:
            self._dated = (second, formatdate(second, usegmt=True))
        return self._dated[1]

    def _response(self, answer: Answer) -> web.Response:
        response = web.Response(status=answer.status, body=answer.body or None, headers=self._head(answer))
        if not damage.content_type(answer):
            # aiohttp would call an empty body octet-stream.
            response.headers.popall("Content-Type", None)
        return response

    async def _body(self, request: web.Request) -> bytes:
        limit = self._live.knobs.max_body_bytes
        pieces: list[bytes] = []
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
            if size > limit:
                raise ApiError(413, "Request body is too large")
            pieces.append(piece)
        return b"".join(pieces)

    def _connection(self, request: web.Request) -> int:
        transport = request.transport
        if transport is None:
            return 0
        number = self._connections.get(transport)
        if number is None:
            number = self._connections[transport] = self._next_connection
            self._next_connection += 1
        return number

    def _access(self, record: Record, request_id: str, jti: str) -> None:
        if not ACCESS.isEnabledFor(20):
            return
        took = time.monotonic() * 1000 - record.started_ms
        phrase = damage.phrase(record.status) if record.status > 0 else "no answer"
        ACCESS.info(
            "%s %s completed (%s: %s) in %dms",
            record.method,
            record.path,
            record.status,
            phrase,
            took,
            extra={"scope": {"request_id": request_id, "jti": jti}},
        )


async def _without_server_name(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.popall("Server", None)
