"""The command line: `keyturn operator`, `keyturn broker`, `keyturn convert`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version

from keyturn.app import StartError, run
from keyturn.audit.verifying import verify_audit
from keyturn.audit.who_can import who_can
from keyturn.audit.who_read import who_read
from keyturn.base.log import info, warning
from keyturn.base.text import one_line, shorten
from keyturn.client import CLIENT_COMMANDS
from keyturn.cluster import LeaseLost
from keyturn.control.kopf_host import KOPF_LOG_LEVELS
from keyturn.convert.command import convert
from keyturn.core.hints import closest
from keyturn.observe import configure
from keyturn.setting_sources import log_unknown
from keyturn.settings import SettingsError, read_settings

_log = logging.getLogger(__name__)

_WITHOUT_EFFECT = warning("{flag} has no effect: {instead}")

_ENDED = info("Keyturn has ended, because it received a signal")

USAGE = """usage: keyturn operator [--help] [flags]
       keyturn broker [--help] [flags]
       keyturn convert [--help] [flags] [FILE ...]
       keyturn audit verify [--help] [flags] [FILE ...]
       keyturn who-can [--help] [flags] ITEM
       keyturn who-read [--help] [flags] ITEM [FILE ...]
       keyturn {read | run | inject | items | sync | grants} [--help] [flags]
       keyturn --version

operator  keeps Kubernetes Secrets equal to items of a 1Password vault, and restarts what uses them
broker    hands granted fields of items to known identities, just in time
convert   prints ExternalSecrets and OnePasswordItems as KeyturnSecrets; asks no cluster and no vault
audit verify  checks that no record of the broker's audit is missing, altered or moved
who-can   prints everybody who could get at an item: by AccessGrants, and by RBAC from Secrets that hold it
who-read  prints the records of the audit that are about an item
read, run, inject, items, sync, grants
          ask a broker for values of items, each with exit codes of its own: keyturn read --help

exit codes: 0 success; 1 a server cannot start or go on, an object cannot be converted, an audit is not whole, or an
answer is not; 2 a mistake in the command, in the settings or in the input; 130 interrupted
"""


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run a command that is none of the client's, which `__main__` runs without the libraries that are imported here.

    Returns:
        The exit code: 2 for a mistake in the command, in the settings or in the input of `convert`; 1 if the operator
        cannot start or must not go on, or if an object cannot be converted; 130 if it was interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    match words:
        case ["--version" | "version"]:
            sys.stdout.write(f"keyturn {version('keyturn')}\n")
            return 0
        case ["--help" | "-h" | "help"]:
            sys.stdout.write(USAGE)
            return 0
        case ["audit", "verify", *flags]:
            return verify_audit(flags)
        case [command, *flags] if command in _COMMANDS:
            return _COMMANDS[command](flags)
    sys.stderr.write(f"keyturn: {_mistake(words)}\n{USAGE}")
    return 2


def _mistake(words: Sequence[str]) -> str:
    """What is wrong with a command line that names no command, in one line."""
    if not words:
        return "there is no command"
    if words[0] == "audit":
        return "`audit` has one command: verify"
    unknown, similar = shorten(one_line(words[0]), 60), closest(words[0], COMMANDS)
    return f"{unknown!r} is not a command" + (f"; did you mean {similar}?" if similar else "")


def _convert(flags: Sequence[str]) -> int:
    try:
        return convert(flags)
    except KeyboardInterrupt:
        return 130


def _broker(flags: Sequence[str]) -> int:
    # The operator never loads its libraries.
    from keyturn.broker.command import broker_command  # noqa: PLC0415

    return broker_command(flags)


def _operate(flags: Sequence[str]) -> int:
    try:
        settings = read_settings(flags, os.environ)
        configure(settings.log_level, settings.log_format, hushed=KOPF_LOG_LEVELS)
        for flag, instead in settings.unused:
            _WITHOUT_EFFECT(_log, flag=flag, instead=instead)
        log_unknown(settings.unknown)
        asyncio.run(run(settings))
    except (SettingsError, StartError) as error:
        sys.stderr.write(f"keyturn: {error}\n")
        return 2 if isinstance(error, SettingsError) else 1
    except LeaseLost:
        # Logged already. The process is started again by Kubernetes, and stands by.
        return 1
    except asyncio.CancelledError:
        # The signal to end came before there was any work to stop.
        pass
    except KeyboardInterrupt:
        return 130
    _ENDED(_log)
    return 0


_COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "operator": _operate,
    "broker": _broker,
    "convert": _convert,
    "who-can": who_can,
    "who-read": who_read,
}
"""By their first word."""

COMMANDS = (*_COMMANDS, "audit", *CLIENT_COMMANDS, "version", "help")


if __name__ == "__main__":
    sys.exit(run_command())
