"""Everything fails at random for a minute: Connect, the API server's answers, the operators; people go on working meanwhile."""

from secrets import token_hex

import pytest

from support.proving_ground import proving_ground
from support.soak.report import table
from support.soak.schedule import Plan
from support.soak.soak import Soak

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


async def test_after_a_minute_of_faults_everything_is_as_it_must_be(api_server, tmp_path):
    """No fault is the last word, and none costs a restart; `make soak` runs the same at length, with API servers killed, too."""
    async with proving_ground(api_server.kubeconfig, f"soak-{token_hex(6)}", folder=tmp_path, replicas=2) as ground:
        outcome = await Soak(Plan(seed=2, seconds=60.0, secrets=10), ground).run()

    assert not outcome.complaints, table(outcome)
    assert outcome.ledger.owed > 50
    assert outcome.kills
