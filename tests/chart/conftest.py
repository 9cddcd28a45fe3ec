"""The operator's fixtures, for tests that run it as the chart would."""

from operator_fixtures import emulator

__all__ = ["emulator"]
