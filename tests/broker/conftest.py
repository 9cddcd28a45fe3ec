"""One broker with all that it needs, for each module that asks for it."""

from collections.abc import Iterator

import pytest

from support.broker import Brokering


@pytest.fixture(scope="module")
def brokering(api_server, tmp_path_factory) -> Iterator[Brokering]:
    """A namespace, a Connect server, and a ready broker."""
    brokering = Brokering(kubeconfig=api_server.kubeconfig, folder=tmp_path_factory.mktemp("broker"))
    brokering.set_up()
    try:
        brokering.start()
        yield brokering
    finally:
        brokering.tear_down()
