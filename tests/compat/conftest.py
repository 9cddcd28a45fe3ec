"""The operator's fixtures, for tests that run it on several versions of Kubernetes."""

from operator_fixtures import emulator

__all__ = ["emulator"]
