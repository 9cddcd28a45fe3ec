"""Which path leads to which door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from keyturn.broker.catalog import Catalogs
from keyturn.broker.doors.client_file import client_file
from keyturn.broker.doors.connect_front import ConnectFront, health, heartbeat
from keyturn.broker.doors.entrance import READ_METHODS, Endpoint, Entrance, Handler
from keyturn.broker.doors.native import NativeDoor
from keyturn.broker.doors.problems import Problem, connect_problem, native_problem, vault_api_problem
from keyturn.broker.doors.vault_api import VaultApi
from keyturn.broker.errors import MethodNotAllowed, NotThere
from keyturn.broker.reading import FieldReader
from keyturn.broker.recording import Recorder
from keyturn.broker.services import Services
from keyturn.core.audit import Door

_WRITING: Final = frozenset({"POST"})
_ITEM: Final = "/v1/vaults/{vault}/items/{item}"


def create_app(services: Services) -> ASGIApp:
    """All doors as one application of ASGI.

    Args:
        services: of the process.
    """
    recorder = Recorder(services)
    catalogs = Catalogs(services)
    reader = FieldReader(services, catalogs, recorder)
    entrance = Entrance(services, recorder)
    native = NativeDoor(reader, catalogs, recorder)
    front = ConnectFront(reader, catalogs, recorder, time=services.time)
    vault_api = VaultApi(catalogs, services.connections, recorder, time=services.time)

    def route(
        path: str, handler: Handler, door: Door, problem: Problem, methods: frozenset[str] = READ_METHODS
    ) -> Route:
        return Route(path, Endpoint(entrance, handler, door=door, problem=problem, methods=methods))

    def connect(path: str, handler: Handler) -> Route:
        return route(path, handler, Door.CONNECT, connect_problem)

    routes = [
        route("/v1/resolve", native.resolve, Door.NATIVE, native_problem, _WRITING),
        route("/v1/read", native.read, Door.NATIVE, native_problem),
        route("/v1/grants", native.grants, Door.NATIVE, native_problem),
        route("/v1/vault/items", vault_api.items, Door.VAULT_API, vault_api_problem),
        route("/v1/vault/items/sync", vault_api.sync, Door.VAULT_API, vault_api_problem, _WRITING),
        connect("/v1/vaults", front.vaults),
        connect("/v1/vaults/{vault}", front.vault),
        connect("/v1/vaults/{vault}/items", front.items),
        connect(_ITEM, front.item),
        connect(f"{_ITEM}/files", front.files),
        connect(f"{_ITEM}/files/{{file}}", front.file),
        connect(f"{_ITEM}/files/{{file}}/content", front.content),
        connect("/v1/activity", front.activity),
        Route("/heartbeat", _Open(heartbeat)),
        Route("/health", _Open(health)),
        Route("/keyturn.pyz", _Open(client_file)),
        connect("/v1/vaults/{rest:path}", front.nowhere),
        route("/v1/{rest:path}", front.nowhere, Door.NATIVE, native_problem, frozenset({*READ_METHODS, *_WRITING})),
    ]
    return _WithoutTrailingSlash(Router(routes, redirect_slashes=False, default=_nowhere))


class _Open:
    """A route that needs no token.

    Args:
        answer: makes what everybody is answered.
    """

    def __init__(self, answer: Callable[[], Response]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = Request(scope).method
        response = self._answer() if method in READ_METHODS else connect_problem(MethodNotAllowed())
        await response(scope, receive, send)


class _WithoutTrailingSlash:
    """Takes one slash from the end of a path: Connect's JavaScript client sends it.

    Args:
        app: answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if len(path) > 1 and path.endswith("/"):
            scope = {**scope, "path": path[:-1]}
        await self._app(scope, receive, send)


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    await native_problem(NotThere("there is no such path"))(scope, receive, send)
