"""Whether a real node can run here, for tests that are nothing without one."""

import os

import pytest

from localnode import obstacle


def need_real_node() -> None:
    """Leave the test out where no node can run; with `TEST_NODE=required`, as in CI, it fails there instead."""
    why = obstacle()
    if why is None:
        return
    if os.environ.get("TEST_NODE") == "required":
        pytest.fail(why, pytrace=False)
    pytest.skip(why)
