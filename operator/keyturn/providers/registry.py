"""The providers that there are, one line each."""

from __future__ import annotations

from typing import Any

from keyturn.core.provider import Provider
from keyturn.providers.bitwarden import BITWARDEN
from keyturn.providers.connect import CONNECT
from keyturn.providers.onepassword import ONEPASSWORD

PROVIDERS: tuple[Provider[Any], ...] = (CONNECT, ONEPASSWORD, BITWARDEN)
