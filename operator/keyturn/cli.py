"""The command line: `keyturn operator`, `keyturn convert`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from keyturn.app import StartError, run
from keyturn.base.log import info, warning
from keyturn.base.text import one_line, shorten
from keyturn.client import CLIENT_COMMANDS
from keyturn.cluster import LeaseLost
from keyturn.control.kopf_host import KOPF_LOG_LEVELS
from keyturn.convert.command import convert
from keyturn.core.hints import closest
from keyturn.observe import configure
from keyturn.settings import SettingsError, read_settings

_log = logging.getLogger(__name__)

_WITHOUT_EFFECT = warning("{flag} has no effect: {instead}")

_ENDED = info("Keyturn has ended, because it received a signal")
_UNKNOWN_VARIABLE = warning("{variable} is not a setting of Keyturn and is ignored{hint}")

USAGE = """usage: keyturn operator [--help] [flags]
       keyturn convert [--help] [flags] [FILE ...]
       keyturn {read | run | inject | items | sync | grants} [--help] [flags]
       keyturn --version

operator  keeps Kubernetes Secrets equal to items of a 1Password vault, and restarts what uses them
convert   prints ExternalSecrets and OnePasswordItems as KeyturnSecrets; asks no cluster and no vault
read, run, inject, items, sync, grants
          ask a broker for values of items, each with exit codes of its own: keyturn read --help

exit codes: 0 success; 1 the operator cannot start or go on, or an object cannot be converted; 2 a mistake in the
command, in the settings or in the input; 130 interrupted
"""


COMMANDS = ("operator", "convert", *CLIENT_COMMANDS, "version", "help")


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
        case ["operator", *flags]:
            return _operate(flags)
        case ["convert", *flags]:
            return _convert(flags)
    sys.stderr.write(f"keyturn: {_mistake(words)}\n{USAGE}")
    return 2


def _mistake(words: Sequence[str]) -> str:
    """What is wrong with a command line that names no command, in one line."""
    if not words:
        return "there is no command"
    unknown, similar = shorten(one_line(words[0]), 60), closest(words[0], COMMANDS)
    return f"{unknown!r} is not a command" + (f"; did you mean {similar}?" if similar else "")


def _convert(flags: Sequence[str]) -> int:
    try:
        return convert(flags)
    except KeyboardInterrupt:
        return 130


def _operate(flags: Sequence[str]) -> int:
    try:
        settings = read_settings(flags, os.environ)
        configure(settings.log_level, settings.log_format, hushed=KOPF_LOG_LEVELS)
        for flag, instead in settings.unused:
            _WITHOUT_EFFECT(_log, flag=flag, instead=instead)
        for variable, hint, _ in settings.unknown:
            _UNKNOWN_VARIABLE(_log, variable=variable, hint=hint and f"; {hint}")
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


if __name__ == "__main__":
    sys.exit(run_command())
