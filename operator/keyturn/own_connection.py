"""Which provider the installation's own connection has, by the variables that are set; it may have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keyturn.core.provider import BadProviderSettings, Provider
from keyturn.unknown_variables import is_service_link


def selected_provider(environment: Mapping[str, str], providers: Sequence[Provider[Any]]) -> Provider[Any] | None:
    """The provider that the first of its variables selects; None if no variable of any provider is set.

    Raises:
        BadProviderSettings: several are selected.
    """
    selected = [provider for provider in providers if environment.get(_selector(provider), "").strip()]
    if len(selected) > 1:
        raise BadProviderSettings(f"set only one of {' and '.join(map(_selector, selected))}")
    if selected:
        return selected[0]
    # Something is set for one of them, but not what selects it: it says what is missing.
    readable = (each for each in providers if each.environment)
    begun = (each for each in readable if any(_is_set(environment, each, name) for name in environment))
    return next(begun, None)


def _selector(provider: Provider[Any]) -> str:
    """The variable that selects a provider; empty if none does, because only a Connection can name an account of it."""
    return next(iter(provider.environment), "")


def _is_set(environment: Mapping[str, str], provider: Provider[Any], name: str) -> bool:
    """Whether a variable that only this provider reads, or may have been meant to, says something."""
    mine = name.startswith(provider.variable_prefix) and not is_service_link(name)
    return mine and bool(environment[name].strip())
