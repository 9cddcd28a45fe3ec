"""Helm, with the chart of this tree."""

import pytest
from operator_fixtures import emulator

from localcluster.binaries import ensure_helm
from support.helm import Helm

__all__ = ["emulator"]


@pytest.fixture(scope="session")
def helm_program():
    """The executable; `make test` has built it, or this does."""
    return ensure_helm()


@pytest.fixture
def helm(helm_program, tmp_path):
    """Helm without a cluster."""
    return Helm(helm_program, folder=tmp_path)
