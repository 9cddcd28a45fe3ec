"""The API server's own list of the places where a pod can refer to a Secret."""

import pytest

from support.secret_references import OPENAPI, described, known

pytestmark = pytest.mark.cluster


async def test_the_api_server_knows_no_way_to_use_a_secret_that_we_do_not(cluster):
    """A Kubernetes with a new kind of reference fails here, before its users' pods keep old values.

    Then `core/usage.py` must learn it, and the table be written anew from what is described.
    """
    assert described(await cluster.get_path(OPENAPI)) == known()
