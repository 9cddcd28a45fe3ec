"""Values that make no sense are refused before anything is installed, in words that name the value."""

import json
import re
import shutil

import pytest
import yaml

from support.chart_values import COMBINATIONS
from support.helm import CHART, HelmFailed, environment


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"operator": {"replica": 2}}, r"at '/operator': additional properties 'replica' not allowed"),
        ({"replicas": 2}, r"at '': additional properties 'replicas' not allowed"),
        ({"operator": {"replicas": 0}}, r"at '/operator/replicas': minimum: got 0, want 1"),
        ({"operator": {"replicas": "two"}}, r'operator\.replicas: "two" must be a whole number from 1'),
        ({"operator": {"pollingInterval": 0}}, r"at '/operator/pollingInterval': minimum: got 0, want 1"),
        ({"operator": {"pollingInterval": "1m"}}, r'operator\.pollingInterval: "1m" must be a whole number from 1'),
        ({"operator": {"watchNamespace": "a,b"}}, r"at '/operator/watchNamespace': got string, want array"),
        ({"operator": {"watchNamespace": ["A"]}}, r'operator\.watchNamespace: entry 0, "A", must be the name'),
        ({"operator": {"logLevel": "trace"}}, r"at '/operator/logLevel': value must be one of 'debug', 'info'"),
        ({"operator": {"autoRestart": "yes"}}, r'operator\.autoRestart: "yes" must be true or false'),
        ({"operator": {"customEnvVars": {"A": "1"}}}, r"at '/operator/customEnvVars': got object, want array"),
        ({"operator": {"probes": {"port": 99999}}}, r"at '/operator/probes/port': maximum: got 99,?999, want 65,?535"),
        ({"operator": {"token": {"name": ""}}}, r'operator\.token\.name: "" must be the name of an object'),
        (
            {"connect": {"host": "onepassword-connect:8080"}},
            r'connect\.host: "onepassword-connect:8080" must be the name of a Service, .* use connect\.api\.httpPort',
        ),
        ({"connect": {"host": "https://connect.example.com/v1"}}, r"connect\.host: leave out /v1"),
        ({"image": {"digest": "latest"}}, r'image\.digest: "latest" must be sha256: .* set tag instead'),
        ({"metrics": {"podMonitor": {"interval": "often"}}}, r'podMonitor\.interval: "often" must be a duration'),
        ({"vaultPolicy": {"default": ["a,b"]}}, r'vaultPolicy\.default: entry 0, "a,b", must be one vault'),
        (
            {"connections": {"allowedHosts": ["https://a"]}},
            r'connections\.allowedHosts: entry 0, "https://a", must be a host',
        ),
        ({"connections": {"allowedHosts": ["a:"]}}, r'connections\.allowedHosts: entry 0, "a:", must be a host'),
        (
            {"connections": {"usePolicy": {"enabled": "yes"}}},
            r"at '/connections/usePolicy/enabled': value must be one of",
        ),
        (
            {"activityExport": {"installation": "two words"}},
            r'activityExport\.installation: "two words" must have at most 130 letters',
        ),
        ({"operator": {"create": False}}, r"operator\.create: this chart is the operator"),
        (
            {"operator": {"authMethod": "service-account"}, "emulator": {"enabled": True}},
            r"operator\.authMethod: with emulator\.enabled",
        ),
        (
            {"operator": {"authMethod": "service-account", "pollingInterval": 599}},
            r"operator\.pollingInterval: must be at least 600 with operator\.authMethod=service-account",
        ),
        ({"operator": {"serviceAccountToken": {"name": "A"}}}, r'operator\.serviceAccountToken\.name: "A" must be'),
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
        ({"broker": {"enabled": True, "port": 8081}}, r"broker\.port: must be another than operator\.probes\.port"),
        ({"broker": {"tls": {"secret": "A"}}}, r'broker\.tls\.secret: "A" must be the name of an object'),
        (
            {"broker": {"enabled": True, "tls": {"certManager": {"enabled": True}}}},
            r"broker\.tls\.certManager\.issuerRef\.name: cert-manager needs the name of an issuer",
        ),
        (
            {"broker": {"enabled": True, "token": {"value": "canary-token"}}, "emulator": {"enabled": True}},
            r"broker\.token\.value: with emulator\.enabled",
        ),
        (
            {"broker": {"enabled": True, "token": {"name": "onepassword-token", "value": "canary-token"}}},
            r"broker\.token\.name: must be another than operator\.token\.name",
        ),
        (
            {"broker": {"enabled": True, "customEnvVars": [{"name": "KEYTURN_AUDIT_FILE", "value": "/a"}]}},
            r"broker\.customEnvVars: the chart already sets KEYTURN_AUDIT_FILE",
        ),
        (
            {"connections": {"credentials": {"a": ["*"]}}},
            r'connections\.credentials: "\*", of the namespace a, must be',
        ),
        ({"connections": {"credentials": {"a": "b"}}}, r"at '/connections/credentials/a': got string, want array"),
        (
            {
                "broker": {"enabled": True},
                "operator": {"watchNamespace": ["a"]},
                "connections": {"credentials": {"b": ["c"]}},
            },
            r"connections\.credentials: the namespace b is not one of operator\.watchNamespace",
        ),
    ],
)
def test_wrong_values_are_refused_in_words_that_name_them(helm, values, words):
    """A typo in a values file must not become an operator that silently does something else."""
    with pytest.raises(HelmFailed, match=words) as refused:
        helm.render(values)
    assert "canary-token" not in str(refused.value)


def _typed(*types):
    """The keys that the schema says may be one of these types, with their parts of it."""

    def walk(schema, prefix=""):
        for name, part in schema.get("properties", {}).items():
            if set(types) <= set(part.get("type", ())):
                yield f"{prefix}{name}", part
            yield from walk(part, f"{prefix}{name}.")

    return dict(walk(json.loads((CHART / "values.schema.json").read_text())))


def _set(path, value):
    """Values in which one key is set."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


# A count or a percentage, as in a PodDisruptionBudget.
NUMBERS = {path: part for path, part in _typed("integer", "string").items() if ".pdb." not in path}
# Not read by any template: Helm reads `enabled` itself.
SWITCHES = _typed("boolean", "string").keys() - {"enabled", "operator.create"}


@pytest.mark.parametrize("path", NUMBERS)
def test_a_number_in_quotes_is_a_number(helm, path):
    """Values files of others have `"60"` for 60, and 1Password's chart takes them."""
    number = NUMBERS[path]["minimum"] + 7
    assert helm.render(_set(path, str(number))) == helm.render(_set(path, number))

    wrong = [NUMBERS[path]["minimum"] - 1, *([NUMBERS[path]["maximum"] + 1] if "maximum" in NUMBERS[path] else [])]
    for text in [*map(str, wrong), "1m", "08"]:
        with pytest.raises(HelmFailed, match=rf'{re.escape(path)}: "{text}" must be a whole number from'):
            helm.render(_set(path, text))


@pytest.mark.parametrize("path", sorted(SWITCHES))
def test_a_switch_in_quotes_is_a_switch(helm, path):
    """`"false"` is not an empty text, so a template that only asks whether there is one would turn it on."""
    for switch in (True, False):
        assert helm.render(_set(path, str(switch).lower())) == helm.render(_set(path, switch))


@pytest.mark.parametrize("path", sorted({*NUMBERS, *SWITCHES} - {"operator.pollingInterval"}))
def test_null_where_a_value_is_needed_is_refused(helm, path):
    """Null is Helm's way to remove a default; the operator would end with what the template makes of nothing."""
    with pytest.raises(HelmFailed, match=rf"{re.escape(path)}: null removes the default"):
        helm.render(_set(path, None))


def test_no_polling_interval_is_the_default_as_in_the_official_chart(helm):
    """1Password's chart renders nothing for null, which means to its operator, and to ours, that nobody has chosen."""
    assert "POLLING_INTERVAL" not in environment(helm.render({"operator": {"pollingInterval": None}}))


@pytest.mark.parametrize("switch", [True, False])
def test_an_umbrella_chart_turns_it_on_by_helms_own_convention(helm, tmp_path, switch):
    """`condition: connect.enabled` puts that key among our values."""
    dependency = {"name": "keyturn", "alias": "connect", "version": "*", "condition": "connect.enabled"}
    umbrella = {"apiVersion": "v2", "name": "umbrella", "version": "1.0.0", "dependencies": [dependency]}
    (tmp_path / "umbrella" / "charts").mkdir(parents=True)
    (tmp_path / "umbrella" / "Chart.yaml").write_text(yaml.safe_dump(umbrella))
    shutil.copytree(CHART, tmp_path / "umbrella" / "charts" / "keyturn")

    values = {"connect": {"enabled": switch, "connect": {"host": "https://connect.example.com"}}}
    manifests = helm.render(values, chart=tmp_path / "umbrella")

    assert bool(manifests) == switch
    if switch:
        assert environment(manifests)["OP_CONNECT_HOST"] == "https://connect.example.com"


@pytest.mark.parametrize("name", COMBINATIONS)
def test_helm_lint_has_no_complaint(helm, name):
    """What Helm itself knows about charts is checked by Helm itself."""
    assert "1 chart(s) linted, 0 chart(s) failed" in helm("lint", "--strict", CHART, values=COMBINATIONS[name])
