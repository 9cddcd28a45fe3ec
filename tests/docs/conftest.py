"""The operator's fixtures, for pages whose examples an operator must bear out."""

from operator_fixtures import emulator, stage

__all__ = ["emulator", "stage"]
