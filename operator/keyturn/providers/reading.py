"""How answers in JSON are read with pydantic, by every provider that does."""

from __future__ import annotations

from typing import Final

from pydantic import ConfigDict

READING: Final = ConfigDict(hide_input_in_errors=True, cache_strings="keys")
"""Errors quote nothing, and nothing stays: by default, pydantic keeps each short text that it reads for as long as the process lives."""
