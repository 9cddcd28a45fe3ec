"""How much one connection may ask of a Bitwarden server."""

from __future__ import annotations

from keyturn.core.provider import Budget

BITWARDEN_BUDGET = Budget(requests_at_once=4, shortest_poll=1.0)

DEFAULT_POLL = 60.0
"""Seconds."""
