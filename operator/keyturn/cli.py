"""The command line: `keyturn run`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from keyturn.app import StartError, run
from keyturn.cluster import LeaseLost
from keyturn.control.kopf_host import KOPF_LOG_LEVELS
from keyturn.observe import configure
from keyturn.settings import SettingsError, read_settings

_log = logging.getLogger(__name__)

USAGE = """usage: keyturn run [--help] [flags]
       keyturn --version

Keeps Kubernetes Secrets equal to items of a 1Password vault, and restarts what uses them.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code: 2 for a mistake in the settings, 1 if the operator cannot start, or must not go on."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    match words:
        case ["--version" | "version"]:
            sys.stdout.write(f"keyturn {version('keyturn')}\n")
            return 0
        case ["--help" | "-h" | "help"]:
            sys.stdout.write(USAGE)
            return 0
        case ["run", *flags]:
            return _run(flags)
    sys.stderr.write(USAGE)
    return 2


def _run(flags: Sequence[str]) -> int:
    try:
        settings = read_settings(flags, os.environ)
        configure(settings.log_level, settings.log_format, hushed=KOPF_LOG_LEVELS)
        for line in settings.unused:
            _log.warning(line)
        asyncio.run(run(settings))
    except (SettingsError, StartError) as error:
        sys.stderr.write(f"keyturn: {error}\n")
        return 2 if isinstance(error, SettingsError) else 1
    except LeaseLost:
        # Said already, when it happened. Whoever started this process starts a new one, which stands by.
        return 1
    except asyncio.CancelledError:
        # A signal to end came before there was any work to stop.
        return 0
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
