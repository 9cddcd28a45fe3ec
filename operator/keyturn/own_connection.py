"""Which provider the installation's own connection has, by the variables that are set; it may have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keyturn.core.provider import BadProviderSettings, Provider
from keyturn.unknown_variables import is_service_link


def selected_provider(environment: Mapping[str, str], providers: Sequence[Provider[Any]]) -> Provider[Any] | None:
    """The provider for which all that it needs is set; None if no variable of any provider is set.

    What is set of another provider beside that, such as the address of a Connect server without a token, changes nothing: so
    it is with 1Password's own operator.

    Raises:
        BadProviderSettings: several have all that they need.
    """
    complete = [each for each in providers if _is_complete(environment, each)]
    if len(complete) > 1:
        raise BadProviderSettings(f"set only one of {' and '.join(_selector(each, environment) for each in complete)}")
    if complete:
        return complete[0]
    # Something is set for one of them, but not all that it needs: it says what is missing.
    readable = (each for each in providers if each.environment)
    begun = (each for each in readable if any(_is_set(environment, each, name) for name in environment))
    return next(begun, None)


def shortest_poll(provider: Provider[Any]) -> float:
    """Seconds: what a Connection may not say, the installation's own connection may not either."""
    form = provider.connection
    return max(provider.budget.shortest_poll, form.shortest_poll if form else 0.0)


def _needed(provider: Provider[Any]) -> tuple[tuple[str, ...], ...]:
    return provider.needed or tuple((name,) for name in [*provider.environment][:1])


def _is_complete(environment: Mapping[str, str], provider: Provider[Any]) -> bool:
    needed = _needed(provider)
    return bool(needed) and all(any(environment.get(name, "").strip() for name in group) for group in needed)


def _selector(provider: Provider[Any], environment: Mapping[str, str]) -> str:
    """The first variable that is set of those of which the provider needs one."""
    return next(name for name in _needed(provider)[0] if environment.get(name, "").strip())


def _is_set(environment: Mapping[str, str], provider: Provider[Any], name: str) -> bool:
    """Whether a variable that only this provider reads, or may have been meant to, says something."""
    mine = name.startswith(provider.variable_prefix) and not is_service_link(name)
    return mine and bool(environment[name].strip())
