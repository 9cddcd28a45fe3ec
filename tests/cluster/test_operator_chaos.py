"""The operator is killed in the midst of mass rotations, again and again: every restart is made, and none twice."""

from secrets import token_hex

import pytest

from support.chaos import Chaos, Plan
from support.proving_ground import proving_ground

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(Plan(secrets=15, rotations=3, seed=1, kills=2), id="kills"),
        pytest.param(Plan(secrets=10, rotations=2, seed=2, api_faults=True), id="kills and a failing API server"),
        pytest.param(Plan(secrets=10, rotations=4, seed=3, kills=2, shaped=True), id="kills among shaped Secrets"),
    ],
)
async def test_no_restart_is_lost_or_made_twice(plan, api_server, tmp_path):
    """The promise that the whole operator stands on; `make chaos` runs the same at length."""
    async with proving_ground(api_server.kubeconfig, f"chaos-{token_hex(6)}", folder=tmp_path) as ground:
        account = await Chaos(plan, ground).run()

    assert account.right, f"{account}; {account.wrong}"
    assert account.owed >= plan.secrets * plan.rotations
    assert account.kills >= plan.rotations
