"""The operator's own tests have their fixtures in modules of their own, which tests of other folders use as well."""

from connection_fixtures import connecting, other
from operator_fixtures import emulator, stage
from provider_fixtures import accounts, bitwarden, providers

__all__ = ["accounts", "bitwarden", "connecting", "emulator", "other", "providers", "stage"]
