"""The operator's own tests have their fixtures in a module of their own, which tests of other folders use as well."""

from operator_fixtures import emulator, stage

__all__ = ["emulator", "stage"]
