"""What the admin API needs of an emulator, and small helpers its handlers share."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from connect_emulator.account.cloud import Cloud
from connect_emulator.account.replica import Replicas
from connect_emulator.account.tokens import Authority
from connect_emulator.clock import Clock
from connect_emulator.faults import Faults
from connect_emulator.http.listener import OutageMode
from connect_emulator.http.requestlog import RequestLog
from connect_emulator.knobs import Live

Json = dict[str, Any]
Model = TypeVar("Model", bound=BaseModel)


class Target(Protocol):
    """The emulator as the admin API sees it."""

    cloud: Cloud
    authority: Authority
    replicas: Replicas
    faults: Faults
    requests: RequestLog
    live: Live
    clock: Clock
    outage_mode: OutageMode | None

    def grants(self, by_name: Mapping[str, str]) -> dict[str, str]:
        """Grants by vault id."""

    async def outage(self, mode: OutageMode | None) -> None:
        """Begin or end an outage."""

    def drop_connections(self) -> None:
        """Reset every connection."""

    def restart(self, *, keep: bool | None = None) -> None:
        """Cold start."""


EMULATOR: web.AppKey[Target] = web.AppKey("emulator", Target)


class Body(BaseModel):
    """A request body: unknown members are refused, values never shown in errors."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, coerce_numbers_to_str=True)


async def body(request: web.Request, model: type[Model]) -> Model:
    """The request's JSON body; an empty one is `{}`."""
    raw = await request.read()
    return model.model_validate_json(raw or b"{}")


def target(request: web.Request) -> Target:
    """The emulator this request is for."""
    return request.app[EMULATOR]


def answer(data: object, *, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.json_response(data, status=status)
