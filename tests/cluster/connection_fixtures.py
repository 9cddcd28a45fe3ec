"""Connections for tests on a real API server: another Connect server, and what a tenant does to use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from operator_fixtures import DESCRIPTION, HEARTBEAT, Json, Stage, encoded

from keyturn.cluster.resources import CONNECTIONS, SECRETS
from support.emulator import EmulatorProcess

ALLOWED = {"KEYTURN_ALLOWED_HOSTS": "127.0.0.1"}


class Connecting:
    """Connections of the stage's namespace, to the other server."""

    def __init__(self, stage: Stage, other: EmulatorProcess) -> None:
        self.stage = stage
        self.other = other

    async def put_token(self, text: str | None = None, name: str = "token") -> None:
        """Write the credential."""
        data = {"data": encoded({"token": self.other.token("all") if text is None else text})}
        await self.stage.cluster.apply(SECRETS, self.stage.namespace, name, data, field_manager="kubectl")

    async def connect(self, name: str = "default", *, host: str | None = None, **spec: Any) -> None:
        """Create a Connection with its credential."""
        await self.put_token()
        section = {"host": host or self.other.url, "tokenSecretRef": {"name": "token", "key": "token"}}
        body = {"spec": {"connect": section, "pollInterval": "1s", **spec}}
        await self.stage.cluster.create(CONNECTIONS, self.stage.namespace, name, body, field_manager="kubectl")

    async def edit(self, patch: Json, name: str = "default") -> None:
        """Edit a Connection."""
        await self.stage.edit(name, patch, kind=CONNECTIONS)

    async def disconnect(self, name: str = "default") -> None:
        """Delete a Connection."""
        await self.stage.unask(name, kind=CONNECTIONS)

    async def says(self, reason: str, name: str = "default", **status: Any) -> Json:
        """Wait until `Ready` has a reason; returns the object."""
        return await self.stage.says(name, reason, kind=CONNECTIONS, **status)

    def put_item(self, title: str, value: str) -> None:
        """An item of the other server."""
        fields = [{"label": "password", "value": value}]
        self.other.admin.create("Production", {"title": title, "category": "LOGIN", "fields": fields})

    async def is_left_alone(self) -> None:
        """Nothing is asked of the other server for a while."""
        since = self.other.admin.last_request()
        await self.stage_polls(3)
        assert self.other.admin.requests(since=since) == []

    async def stage_polls(self, number: int) -> None:
        """Wait until the installation's connection was polled so often."""
        since = self.stage.connect.last_request()
        self.stage.connect.wait_requests(number, route=HEARTBEAT, since=since)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[EmulatorProcess]:
    """Another Connect server, which has a vault of the same title."""
    folder = tmp_path / "other"
    folder.mkdir()
    with EmulatorProcess(DESCRIPTION, folder=folder, seed=7, knobs={"lag_s": 0}) as process:
        yield process


@pytest.fixture
def connecting(stage: Stage, other: EmulatorProcess) -> Connecting:
    """The stage with the other server."""
    return Connecting(stage, other)
