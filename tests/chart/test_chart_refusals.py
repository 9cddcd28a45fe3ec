"""Values that make no sense are refused before anything is installed, in words that name the value."""

import pytest

from support.chart_values import COMBINATIONS
from support.helm import CHART, HelmFailed


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"operator": {"replica": 2}}, r"at '/operator': additional properties 'replica' not allowed"),
        ({"replicas": 2}, r"at '': additional properties 'replicas' not allowed"),
        ({"operator": {"replicas": 0}}, r"at '/operator/replicas': minimum: got 0, want 1"),
        ({"operator": {"replicas": "2"}}, r"at '/operator/replicas': got string, want integer"),
        ({"operator": {"pollingInterval": 0}}, r"at '/operator/pollingInterval': minimum: got 0, want 1"),
        ({"operator": {"pollingInterval": "1m"}}, r"at '/operator/pollingInterval': got string, want integer"),
        ({"operator": {"watchNamespace": "a,b"}}, r"at '/operator/watchNamespace': got string, want array"),
        ({"operator": {"watchNamespace": ["A"]}}, r"at '/operator/watchNamespace/0': 'A' does not match pattern"),
        ({"operator": {"logLevel": "trace"}}, r"at '/operator/logLevel': value must be one of 'debug', 'info'"),
        ({"operator": {"autoRestart": "yes"}}, r"at '/operator/autoRestart': got string, want boolean"),
        ({"operator": {"customEnvVars": {"A": "1"}}}, r"at '/operator/customEnvVars': got object, want array"),
        ({"operator": {"probes": {"port": 99999}}}, r"at '/operator/probes/port': maximum: got 99,?999, want 65,?535"),
        ({"operator": {"token": {"name": ""}}}, r"at '/operator/token/name': minLength"),
        ({"connect": {"host": "onepassword-connect:8080"}}, r"at '/connect/host': 'onepassword-connect:8080' does not"),
        ({"image": {"digest": "latest"}}, r"at '/image/digest': 'latest' does not match pattern"),
        ({"metrics": {"podMonitor": {"interval": "often"}}}, r"at '/metrics/podMonitor/interval': 'often' does not"),
        ({"vaultPolicy": {"default": ["a,b"]}}, r"at '/vaultPolicy/default/0': 'a,b' does not match pattern"),
        ({"operator": {"create": False}}, r"operator\.create: this chart is the operator"),
        ({"operator": {"authMethod": "service-account"}}, r"operator\.authMethod: Keyturn reads a Connect server"),
        (
            {"operator": {"tls": {"trust": {"secret": "a", "configMap": "b"}}}},
            r"operator\.tls\.trust: set secret or configMap, not both",
        ),
        (
            {"operator": {"replicas": 2, "leaderElection": {"enabled": False}}},
            r"operator\.leaderElection\.enabled: more than one replica needs it",
        ),
        (
            {"operator": {"customEnvVars": [{"name": "POLLING_INTERVAL", "value": "5"}]}},
            r"operator\.customEnvVars: the chart already sets POLLING_INTERVAL",
        ),
        (
            {"emulator": {"enabled": True}, "operator": {"token": {"value": "canary-token"}}},
            r"operator\.token\.value: with emulator\.enabled",
        ),
        ({"metrics": {"port": 0, "service": {"enabled": True}}}, r"metrics\.port: 0 turns metrics off"),
    ],
)
def test_wrong_values_are_refused_in_words_that_name_them(helm, values, words):
    """A typo in a values file must not become an operator that silently does something else."""
    with pytest.raises(HelmFailed, match=words) as refused:
        helm.render(values)
    assert "canary-token" not in str(refused.value)


@pytest.mark.parametrize("name", COMBINATIONS)
def test_helm_lint_has_no_complaint(helm, name):
    """What Helm itself knows about charts is checked by Helm itself."""
    assert "1 chart(s) linted, 0 chart(s) failed" in helm("lint", "--strict", CHART, values=COMBINATIONS[name])
