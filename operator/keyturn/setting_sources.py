"""Flags and variables: what every command that runs a server reads its settings from, in the same way."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from keyturn.base.errors import translated
from keyturn.base.log import warning
from keyturn.core.provider import BadProviderSettings, Provider
from keyturn.own_connection import selected_provider
from keyturn.setting_texts import SettingsError, read_address
from keyturn.unknown_variables import UnknownVariable, unknown_variables

_ENDPOINTS = (
    ("--health-probe-bind-address", "health_address", "address of /healthz and /readyz"),
    ("--metrics-bind-address", "metrics_address", "address of /metrics"),
)
_LOGGING = (
    ("--log-level", "log_level", ("debug", "info", "warning", "error")),
    ("--log-format", "log_format", ("console", "json")),
)


_log = logging.getLogger(__name__)

_UNKNOWN_VARIABLE = warning("{variable} is not a setting of Keyturn and is ignored{hint}")


class SettingsParser(argparse.ArgumentParser):
    """Reports a mistake as an exception, so that mistakes in flags and in the environment look the same."""

    def error(self, message: str) -> NoReturn:
        """See `argparse`.

        Raises:
            SettingsError: always.
        """
        raise SettingsError(message)


class Variable(NamedTuple):
    """A variable, the setting that it decides, what reads its text, and what it means."""

    name: str
    setting: str
    read: Callable[[str, str], Any]
    meaning: str

    def default(self, defaults: Mapping[str, Any]) -> str:
        """Its default as it would be written; empty if that says nothing.

        Args:
            defaults: of settings, by their names.
        """
        value = defaults.get(self.setting)
        if isinstance(value, bool):
            return str(value).lower()
        return f"{value:.0f}" if isinstance(value, float) else str(value or "")


def server_parser(
    command: str,
    description: str,
    *,
    table: Iterable[Variable],
    providers: Sequence[Provider[Any]],
    defaults: Mapping[str, Any],
) -> SettingsParser:
    """A parser without flags of its own, whose help lists the variables.

    Args:
        command: `keyturn operator`.
        description: what it does.
        table: its variables.
        providers: whose variables it reads, too.
        defaults: of settings, by their names.
    """
    rows = [(name, meaning) for provider in providers for name, meaning in provider.environment.items()]
    for variable in table:
        default = variable.default(defaults)
        rows.append((variable.name, f"{variable.meaning} (default: {default})" if default else variable.meaning))
    width = max(len(name) for name, _ in rows)
    return SettingsParser(
        prog=command,
        allow_abbrev=False,
        description=description,
        epilog="\n".join(["environment variables:", *(f"  {name:{width}}  {meaning}" for name, meaning in rows)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_endpoint_flags(parser: argparse.ArgumentParser, defaults: Mapping[str, Any]) -> None:
    """Add the flags of the health and metrics endpoints."""
    for flag, setting, what in _ENDPOINTS:
        said = f"{what}; 0 turns it off (default: %(default)s)"
        parser.add_argument(flag, default=str(defaults[setting]), metavar="ADDRESS", help=said)


def add_kubeconfig_flag(parser: argparse.ArgumentParser) -> None:
    """Add the flag that names a kubeconfig."""
    parser.add_argument("--kubeconfig", type=Path, help="default: $KUBECONFIG, else the pod's service account")


def add_logging_flags(parser: argparse.ArgumentParser, defaults: Mapping[str, Any]) -> None:
    """Add the flags of the log."""
    for flag, setting, choices in _LOGGING:
        parser.add_argument(flag, choices=choices, default=defaults[setting], help="(default: %(default)s)")


def read_common_flags(flags: argparse.Namespace) -> dict[str, Any]:
    """The settings that these flags decide.

    Raises:
        SettingsError: an address is none.
    """
    addresses = {setting: read_address(flag, getattr(flags, _attribute(flag))) for flag, setting, _ in _ENDPOINTS}
    return {
        **addresses,
        **{setting: getattr(flags, setting) for _, setting, _ in _LOGGING},
        "kubeconfig": flags.kubeconfig,
    }


def read_variables(environment: Mapping[str, str], table: Iterable[Variable]) -> dict[str, Any]:
    """The settings that variables decide; those that are not set, or empty, are left out.

    Raises:
        SettingsError: one is unreadable.
    """
    chosen: dict[str, Any] = {}
    for variable in table:
        if text := environment.get(variable.name, "").strip():
            chosen[variable.setting] = variable.read(variable.name, text)
    return chosen


def read_own_connection(
    environment: Mapping[str, str], providers: Sequence[Provider[Any]]
) -> tuple[Provider[Any] | None, Any]:
    """The provider of the installation's own connection, and what its `open` takes; None twice if there is none.

    Raises:
        SettingsError: a variable of it is missing or unreadable, or several are selected.
    """
    with translated(lambda error: SettingsError(str(error)) if isinstance(error, BadProviderSettings) else None):
        provider = selected_provider(environment, providers)
        return provider, provider.read_settings(environment) if provider is not None else None


def variable_names(table: Iterable[Variable], providers: Sequence[Provider[Any]]) -> tuple[str, ...]:
    """The variables that are read. Others with the prefix `KEYTURN_` are mistakes, and refused."""
    return (*(name for provider in providers for name in provider.environment), *(each.name for each in table))


def find_unknown(
    environment: Mapping[str, str], *, table: Sequence[Variable], providers: Sequence[Provider[Any]]
) -> tuple[UnknownVariable, ...]:
    """The variables that look like settings and are none, but need not be mistakes.

    Raises:
        SettingsError: one can only be a mistake.
    """
    known = variable_names(table, providers)
    found = unknown_variables(
        environment,
        known=known,
        plain=[each.name for each in table if not each.name.startswith(("KEYTURN_", "POD_"))],
        shared=tuple(provider.variable_prefix for provider in providers),
    )
    for name, hint, refused in found:
        if refused:
            raise SettingsError(f"{name} is not a setting; " + (hint or f"known are {', '.join(known)}"))
    return tuple(found)


def log_unknown(unknown: Iterable[UnknownVariable]) -> None:
    """Log which variables look like settings and are none."""
    for variable, hint, _ in unknown:
        _UNKNOWN_VARIABLE(_log, variable=variable, hint=hint and f"; {hint}")


def _attribute(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")
