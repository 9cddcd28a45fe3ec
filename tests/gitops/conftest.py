"""The operator's fixtures, for tests of what others make of its objects."""

from operator_fixtures import emulator, stage

__all__ = ["emulator", "stage"]
