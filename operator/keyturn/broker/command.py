"""The command `keyturn broker`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from keyturn.base.log import info
from keyturn.broker.app import LIBRARY_LOG_LEVELS, BrokerStartError, run_broker
from keyturn.broker.settings import read_broker_settings
from keyturn.observe import configure
from keyturn.setting_sources import log_unknown
from keyturn.setting_texts import SettingsError

_log = logging.getLogger(__name__)

_BROKER_ENDED = info("the broker has ended, because it received a signal")


def broker_command(flags: Sequence[str]) -> int:
    """Run the broker until a signal comes.

    Returns:
        The exit code: 2 for a mistake in the command or in the settings, 1 if the broker cannot start.
    """
    try:
        settings = read_broker_settings(flags, os.environ)
        configure(settings.shared.log_level, settings.shared.log_format, hushed=LIBRARY_LOG_LEVELS)
        log_unknown(settings.shared.unknown)
        asyncio.run(run_broker(settings))
    except (SettingsError, BrokerStartError) as error:
        sys.stderr.write(f"keyturn: {error}\n")
        return 2 if isinstance(error, SettingsError) else 1
    except KeyboardInterrupt:
        return 130
    _BROKER_ENDED(_log)
    return 0
