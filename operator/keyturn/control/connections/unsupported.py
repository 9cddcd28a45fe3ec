"""Stands in for the provider of a Connection whose kind of vault this operator does not know."""

from __future__ import annotations

from typing import Any, NoReturn

from keyturn.core.provider import BadProviderSettings, Budget, Provider


def _nothing(*_: object, **__: object) -> NoReturn:
    raise BadProviderSettings("there is no such provider")


UNSUPPORTED: Provider[Any] = Provider(
    name="",
    label="An unknown kind of vault",
    credential="the credential",
    is_id=lambda _: False,
    environment={},
    variable_prefix="",
    read_settings=_nothing,
    open=_nothing,
    budget=Budget(requests_at_once=1, shortest_poll=1.0),
    metrics_prefix="",
)
"""Nothing of it is ever opened or polled."""
