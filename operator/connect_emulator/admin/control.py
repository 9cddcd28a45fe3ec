"""The admin API's other half: state, tokens, faults, outages, knobs, the clock and the request log."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import Field, RootModel

from connect_emulator.account.description import Verbs
from connect_emulator.account.tokens import Token
from connect_emulator.admin.edits import item_form, vault_form
from connect_emulator.admin.target import Body, Json, answer, body, target
from connect_emulator.faults import FaultRule


class TokenIssue(Body):
    """Body of `POST /tokens`; vaults by name, id or `*`."""

    name: str
    vaults: dict[str, Verbs]
    expires_in_s: float | None = None
    revoke_previous: bool = False


class OutageSwitch(Body):
    """Body of `PUT /outage`."""

    on: bool
    mode: Literal["refuse", "reset", "hang"] = "refuse"


class Restart(Body):
    """Body of `POST /restart`; `keep` is the knob `persistent_volume` if not given."""

    keep: bool | None = None


class ClockMove(Body):
    """Body of `POST /clock`."""

    advance_s: Annotated[float, Field(ge=0)]


class KnobTurn(RootModel[dict[str, Any]]):
    """Body of `PATCH /knobs`."""


async def _healthz(_request: web.Request) -> web.Response:
    return answer({"ok": True})


async def _state(request: web.Request) -> web.Response:
    emulator = target(request)
    store = emulator.cloud.store
    return answer(
        {
            "vaults": [
                {**vault_form(vault), "contents": [item_form(item) for item in store.items[vault.id].values()]}
                for vault in store.vaults.values()
            ],
            "tokens": [_token_form(token) for token in emulator.authority.tokens()],
            "replicas": [
                {"phase": replica.phase.value, "lag_s": replica.lag_s, "behind": store.end - replica.position}
                for replica in emulator.replicas.all
            ],
            "outage": emulator.outage_mode,
            "faults": len(list(emulator.faults.listed())),
            "knobs": asdict(emulator.live.knobs),
        }
    )


async def _issue(request: web.Request) -> web.Response:
    emulator = target(request)
    asked = await body(request, TokenIssue)
    expires_at = None if asked.expires_in_s is None else emulator.clock.now() + asked.expires_in_s
    token = emulator.authority.issue(
        asked.name, emulator.grants(asked.vaults), expires_at=expires_at, revoke_previous=asked.revoke_previous
    )
    return answer({"token": token.text}, status=201)


async def _token(request: web.Request) -> web.Response:
    return answer({"token": _known(request).text})


async def _revoke(request: web.Request) -> web.Response:
    return answer(_token_form(target(request).authority.revoke(_known(request).name)))


async def _expire(request: web.Request) -> web.Response:
    return answer(_token_form(target(request).authority.expire(_known(request).name)))


async def _faults(request: web.Request) -> web.Response:
    listed = target(request).faults.listed()
    return answer([{"id": number, "left": left, "rule": rule.model_dump()} for number, rule, left in listed])


async def _add_fault(request: web.Request) -> web.Response:
    rule = await body(request, FaultRule)
    return answer({"id": target(request).faults.add(rule)}, status=201)


async def _clear_faults(request: web.Request) -> web.Response:
    target(request).faults.clear()
    return answer({})


async def _remove_fault(request: web.Request) -> web.Response:
    if not target(request).faults.remove(request.match_info["id"]):
        raise web.HTTPNotFound(reason="no such fault")
    return answer({})


async def _outage(request: web.Request) -> web.Response:
    switch = await body(request, OutageSwitch)
    await target(request).outage(switch.mode if switch.on else None)
    return answer({"outage": target(request).outage_mode})


async def _restart(request: web.Request) -> web.Response:
    target(request).restart(keep=(await body(request, Restart)).keep)
    return answer({})


async def _drop(request: web.Request) -> web.Response:
    target(request).drop_connections()
    return answer({})


async def _sync(request: web.Request) -> web.Response:
    target(request).replicas.sync_now()
    return answer({})


async def _clock(request: web.Request) -> web.Response:
    clock = target(request).clock
    clock.advance((await body(request, ClockMove)).advance_s)
    return answer({"now": clock.now()})


async def _knobs(request: web.Request) -> web.Response:
    return answer(asdict(target(request).live.knobs))


async def _turn_knobs(request: web.Request) -> web.Response:
    turn = await body(request, KnobTurn)
    return answer(asdict(target(request).live.turn(turn.root)))


async def _requests(request: web.Request) -> web.Response:
    limit = _number(request, "limit")
    records = target(request).requests.records(**_which(request), limit=limit)
    return answer({"number": target(request).requests.number, "requests": [record.form() for record in records]})


async def _clear_requests(request: web.Request) -> web.Response:
    target(request).requests.clear()
    return answer({})


async def _counts(request: web.Request) -> web.Response:
    return answer(dict(target(request).requests.counts))


async def _wait(request: web.Request) -> web.Response:
    count = _number(request, "count")
    wanted = 1 if count is None else count
    timeout_s = float(request.query.get("timeout_s", "10"))
    started = request.query.get("started", "").lower() in {"1", "true"}
    log = target(request).requests
    seen = await log.wait(wanted, timeout_s=timeout_s, started=started, **_which(request))
    return answer({"seen": seen, "enough": seen >= wanted})


def _which(request: web.Request) -> dict[str, Any]:
    return {
        "route": request.query.get("route", "*"),
        "status": _number(request, "status"),
        "since": _number(request, "since") or 0,
    }


def _number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    return None if text is None else int(text)


def _known(request: web.Request) -> Token:
    try:
        return target(request).authority.token(request.match_info["name"])
    except KeyError:
        raise web.HTTPNotFound(reason="no such token") from None


def _token_form(token: Token) -> Json:
    return {
        "name": token.name,
        "jti": token.jti,
        "grants": dict(token.grants),
        "issued_at": token.issued_at,
        "expires_at": token.expires_at,
        "revoked": token.revoked,
    }


CONTROL_ROUTES = (
    web.get("/healthz", _healthz),
    web.get("/state", _state),
    web.post("/tokens", _issue),
    web.get("/tokens/{name}", _token),
    web.delete("/tokens/{name}", _revoke),
    web.post("/tokens/{name}/expire", _expire),
    web.get("/faults", _faults),
    web.post("/faults", _add_fault),
    web.delete("/faults", _clear_faults),
    web.delete("/faults/{id}", _remove_fault),
    web.put("/outage", _outage),
    web.post("/restart", _restart),
    web.post("/drop-connections", _drop),
    web.post("/sync", _sync),
    web.post("/clock", _clock),
    web.get("/knobs", _knobs),
    web.patch("/knobs", _turn_knobs),
    web.get("/requests", _requests),
    web.delete("/requests", _clear_requests),
    web.get("/requests/counts", _counts),
    web.get("/requests/wait", _wait),
)
