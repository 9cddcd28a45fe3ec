"""The operator's own tests have their fixtures in a module of their own, which tests of other folders use as well."""

from connection_fixtures import connecting, other
from operator_fixtures import emulator, stage

__all__ = ["connecting", "emulator", "other", "stage"]
