"""The operator is killed in the midst of mass rotations, again and again: every restart is made, and none twice."""

import pytest

from support.api_proxy import ApiProxy
from support.chaos import Chaos, Plan

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(Plan(secrets=15, rotations=3, seed=1, kills=2), id="kills"),
        pytest.param(Plan(secrets=10, rotations=2, seed=2, api_faults=True), id="kills and a failing API server"),
    ],
)
async def test_no_restart_is_lost_or_made_twice(plan, cluster, namespace, crds, emulator, api_server, tmp_path):  # noqa: PLR0917
    """The promise that the whole operator stands on; `make chaos` runs the same at length."""
    async with ApiProxy.standing(api_server.kubeconfig) as proxy:
        chaos = Chaos(plan, cluster=cluster, namespace=namespace, proxy=proxy, emulator=emulator, folder=tmp_path)
        account = await chaos.run()

    assert account.right, f"{account}; {account.wrong}"
    assert account.owed == plan.secrets * plan.rotations
    assert account.kills >= plan.rotations
