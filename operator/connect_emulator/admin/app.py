"""The admin API: edits of the account, tokens, faults, outages and the request log, over HTTP on its own port.

It has no authentication and hands out tokens: bind it to loopback only. Bodies and answers are JSON; errors are
`{"error": "..."}` with 400, 404 or 409. `{vault}` is a vault's name or id, `{item}` an item's title or id, both
percent-encoded. Items, fields, files and vaults have the form of the description file (but files have no `path`).

    GET    /healthz                                200 once the server runs
    GET    /state                                  vaults, items (no values), tokens (no texts), replicas, outage, knobs

    POST   /vaults                                 {name, description?, type?, id?, items?}
    PATCH  /vaults/{vault}                         {name?, description?}
    DELETE /vaults/{vault}
    POST   /vaults/{vault}/items                   an item
    POST   /vaults/{vault}/bulk-create             {count, title?: "item-{n:05d}", item?: an item without title}
    POST   /vaults/{vault}/bulk-rotate             {titles?: [...], label?: "password"}; all items without titles
    PATCH  /vaults/{vault}/items/{item}            {title?, tags?, urls?, favorite?, state?, fields?, remove_fields?, sections?}
    POST   /vaults/{vault}/items/{item}/rotate     {label?: "password", value?}; a random value without one
    POST   /vaults/{vault}/items/{item}/touch      a new version with nothing changed
    GET    /vaults/{vault}/items/{item}/value      ?label=password; {value}
    DELETE /vaults/{vault}/items/{item}
    POST   /vaults/{vault}/items/{item}/files      a file: attached, or in place of the one of its name
    DELETE /vaults/{vault}/items/{item}/files/{file}

    POST   /tokens                                 {name, vaults: {name: r|w|rw}, expires_in_s?, revoke_previous?}; {token}
    GET    /tokens/{name}                          {token}
    DELETE /tokens/{name}                          revoke
    POST   /tokens/{name}/expire                   now

    GET    /faults                                 rules with ids and what is left of them
    POST   /faults                                 a rule (see `faults.FaultRule`); {id}
    DELETE /faults, /faults/{id}

    PUT    /outage                                 {on: bool, mode?: refuse|reset|hang}
    POST   /restart                                {keep?: bool}: cold start of all replicas
    POST   /drop-connections                       reset every connection, keep listening
    POST   /sync                                   all replicas are up to date at once
    POST   /clock                                  {advance_s}
    GET    /knobs, PATCH /knobs                    {name: value}

    GET    /requests                               ?route=&status=&since=&limit=; {number, requests: [...]}, oldest first
    DELETE /requests                               forget them and the counts
    GET    /requests/counts                        {"GET /v1/vaults": 3, ...}
    GET    /requests/wait                          ?count=1&route=&status=&since=&timeout_s=10&started=; {seen, enough}
"""

from collections.abc import Awaitable, Callable

from aiohttp import web
from pydantic import ValidationError

from connect_emulator.account.cloud import Ambiguous, Missing, Taken
from connect_emulator.account.description import explain
from connect_emulator.admin.control import CONTROL_ROUTES
from connect_emulator.admin.edits import EDIT_ROUTES
from connect_emulator.admin.target import EMULATOR, Target

_MAX_BODY = 256 * 1024 * 1024


def admin_app(target: Target) -> web.Application:
    """The admin API of one emulator, as an aiohttp application."""
    app = web.Application(client_max_size=_MAX_BODY, middlewares=[_errors_as_json])
    app[EMULATOR] = target
    app.add_routes([*EDIT_ROUTES, *CONTROL_ROUTES])
    return app


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _error(error.status, error.reason)
    except ValidationError as error:
        return _error(400, explain(error))
    except (LookupError, ValueError) as error:
        status = 409 if isinstance(error, (Ambiguous, Taken)) else 404 if isinstance(error, Missing) else 400
        return _error(status, str(error))


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
