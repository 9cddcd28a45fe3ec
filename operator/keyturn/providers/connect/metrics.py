"""How metrics call this provider."""

from __future__ import annotations

from typing import Final

METRICS_PREFIX: Final = "keyturn_connect"
"""What the names of this provider's metrics begin with."""

METRICS_LABEL: Final = "Connect"
"""What their help texts call it."""
