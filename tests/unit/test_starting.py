"""What the operator and the broker start with is the same for both."""

import pytest

from keyturn.observe import Metrics
from keyturn.observe.broker_metrics import BrokerMetrics
from keyturn.providers.registry import PROVIDERS
from keyturn.settings import Settings
from keyturn.starting import load_access, new_metrics, open_own_vaults
from support.fake_time import FakeTime
from support.fake_vaults import FAKE, FakeVaults


@pytest.mark.parametrize("kind", [Metrics, BrokerMetrics])
def test_whether_the_server_is_up_has_a_series_only_for_the_own_connection(kind):
    """A series of a provider that is not there would raise an alarm."""
    connect = next(each for each in PROVIDERS if each.name == "connect")
    for own in (connect, None):
        metrics = new_metrics(kind, Settings(provider=own, providers=PROVIDERS), time=FakeTime())
        names = {row.name for row in metrics.table}
        assert ("keyturn_connect_up" in names) is (own is connect)
        assert {f"{each.metrics_prefix}_requests" for each in PROVIDERS} <= names


async def test_an_installation_need_not_have_a_connection_of_its_own():
    """Then only Connections open vaults."""
    metrics = new_metrics(Metrics, Settings(), time=FakeTime())
    assert open_own_vaults(Settings(), metrics=metrics, time=FakeTime()) is None
    assert isinstance(open_own_vaults(Settings(provider=FAKE), metrics=metrics, time=FakeTime()), FakeVaults)


async def test_the_kubeconfig_that_was_named_decides(tmp_path):
    """Not the one that the environment has."""
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(
        """
        {"apiVersion": "v1", "kind": "Config", "current-context": "c",
         "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
         "clusters": [{"name": "k", "cluster": {"server": "https://named.example"}}], "users": [{"name": "u", "user": {}}]}
        """
    )
    access = await load_access(Settings(kubeconfig=kubeconfig))
    assert access.configuration.host == "https://named.example"
