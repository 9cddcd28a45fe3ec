"""Settings: what is read, and what is refused in one line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.observe import Bind
from keyturn.settings import SettingsError, operator_parser, read_settings, variables

GOOD = {"OP_CONNECT_HOST": "http://connect:8080", "OP_CONNECT_TOKEN": "canary-token"}


def test_the_defaults_are_the_official_operators():
    """If only the image is replaced, nothing else changes, but for polls: they are so cheap here that they may come more often."""
    settings = read_settings([], GOOD)

    assert (settings.polling_interval, settings.auto_restart, settings.watch_namespaces) == (30.0, False, ())
    assert (settings.health_address, settings.metrics_address) == (Bind(None, 8081), Bind(None, 8080))
    assert settings.mapping.allow_empty_values is False


def test_everything_can_be_chosen():
    """Each flag and each variable decides its setting."""
    settings = read_settings(
        ["--health-probe-bind-address=0", "--metrics-bind-address=[::1]:9", "--allow-empty-values"],
        {
            "OP_CONNECT_HOST": " https://connect ",
            "OP_CONNECT_TOKEN_FILE": "/token",
            "OP_CONNECT_CA_FILE": "/ca.pem",
            "POLLING_INTERVAL": "10",
            "WATCH_NAMESPACE": "a, b,,a ",
            "AUTO_RESTART": "TRUE",
            "KEYTURN_ALLOWED_HOSTS": "connect.onepassword.svc:8080, vault.example.com",
            "KEYTURN_DELETE_ON_DISCONNECT": "true",
            "KEYTURN_FULL_PASS_INTERVAL": "60",
            "KEYTURN_MAX_STALENESS": "30",
            "KEYTURN_INSTALLATION": "team-a/keyturn",
            "KEYTURN_ACTIVITY_EXPORT": "true",
            "KEYTURN_AUDIT_FILE": "/audit.jsonl",
            "KEYTURN_RESTART_KINDS": "argoproj.io/v1alpha1/Rollout",
            "KEYTURN_WORKERS": "3",
        },
    )

    account = settings.provider_settings
    assert account.server.host == "https://connect"
    assert account.token == Path("/token")
    assert account.server.ca_file == Path("/ca.pem")
    assert settings.watch_namespaces == ("a", "b")
    assert [str(kind) for kind in settings.restart_kinds] == ["argoproj.io/v1alpha1/Rollout"]
    assert (settings.polling_interval, settings.full_pass_interval, settings.max_staleness) == (10.0, 60.0, 30.0)
    assert (settings.auto_restart, settings.workers, settings.mapping.allow_empty_values) == (True, 3, True)
    assert (settings.health_address, settings.metrics_address) == (None, Bind("::1", 9))
    assert settings.allowed_hosts.listed == {("connect.onepassword.svc", 8080), ("vault.example.com", None)}
    assert settings.delete_on_disconnect is True
    assert (settings.installation, settings.activity_export) == ("team-a/keyturn", True)
    assert settings.audit_file == "/audit.jsonl"


@pytest.mark.parametrize(
    "environment", [{}, {"OP_CONNECT_HOST": "", "OP_CONNECT_TOKEN": " "}, {"OP_CONNECT_SERVICE_HOST": "10.0.0.1"}]
)
def test_an_installation_needs_no_connection_of_its_own(environment):
    """Connections may serve all its objects. What Kubernetes sets for a Service says nothing."""
    settings = read_settings([], {**environment, "POLLING_INTERVAL": "5"})

    assert (settings.provider, settings.provider_settings) == (None, None)
    assert "connect" in {each.name for each in settings.providers}


@pytest.mark.parametrize(
    ("arguments", "environment", "named"),
    [
        ([], {"OP_CONNECT_TOKEN": "t"}, "OP_CONNECT_HOST"),
        ([], {"OP_CONNECT_HOST": "h"}, "OP_CONNECT_TOKEN"),
        ([], {**GOOD, "OP_CONNECT_TOKEN_FILE": "/f"}, "OP_CONNECT_TOKEN_FILE"),
        ([], {**GOOD, "POLLING_INTERVAL": "ten"}, "POLLING_INTERVAL"),
        ([], {**GOOD, "POLLING_INTERVAL": "0"}, "POLLING_INTERVAL"),
        ([], {**GOOD, "POLLING_INTERVAL": "-5"}, "POLLING_INTERVAL"),
        ([], {**GOOD, "POLLING_INTERVAL": "1.5"}, "POLLING_INTERVAL"),
        ([], {**GOOD, "AUTO_RESTART": "yes"}, "AUTO_RESTART"),
        ([], {**GOOD, "WATCH_NAMESPACE": "a,B"}, "'B'"),
        ([], {**GOOD, "POLLING_INTERVAL": "9" * 400}, "POLLING_INTERVAL"),
        ([], {**GOOD, "POLLING_INTERVAL": "9" * 5000}, "POLLING_INTERVAL"),
        ([], {**GOOD, "KEYTURN_ALLOWED_HOSTS": "https://a"}, "KEYTURN_ALLOWED_HOSTS"),
        ([], {**GOOD, "KEYTURN_WORKERS": "0"}, "KEYTURN_WORKERS"),
        ([], {**GOOD, "KEYTURN_WORKERS": "9" * 5000}, "KEYTURN_WORKERS"),
        ([], {**GOOD, "KEYTURN_RESTART_KINDS": "batch/v1/Job"}, "KEYTURN_RESTART_KINDS"),
        ([], {**GOOD, "KEYTURN_INSTALLATION": "two words"}, "KEYTURN_INSTALLATION"),
        ([], {**GOOD, "KEYTURN_ACTIVITY_EXPORT": "yes"}, "KEYTURN_ACTIVITY_EXPORT"),
        ([], {**GOOD, "KEYTURN_WORKER": "5"}, "KEYTURN_WORKER "),
        ([], {**GOOD, "KEYTURN_LEASE_DURATION": "4"}, "from 5 to 300"),
        ([], {**GOOD, "KEYTURN_LEASE_DURATION": "301"}, "KEYTURN_LEASE_DURATION"),
        ([], {**GOOD, "KEYTURN_LEASE_NAME": "Ours"}, "KEYTURN_LEASE_NAME"),
        ([], {**GOOD, "KEYTURN_LEASE_NAME": "a..b"}, "KEYTURN_LEASE_NAME"),
        ([], {**GOOD, "POD_NAMESPACE": "Ops"}, "POD_NAMESPACE"),
        (["--leader-election-namespace=a/b"], GOOD, "--leader-election-namespace"),
        ([], {**GOOD, "KEYTURN_WORKER": "5"}, "did you mean KEYTURN_WORKERS?"),
        ([], {**GOOD, "KEYTURN_COLOUR": "red"}, "known are OP_CONNECT_HOST, "),
        ([], {**GOOD, "WATCH_NAMESPACES": "team-a"}, "did you mean WATCH_NAMESPACE?"),
        ([], {**GOOD, "POLING_INTERVAL": "5"}, "did you mean POLLING_INTERVAL?"),
        ([], {**GOOD, "AUTORESTART": "true"}, "did you mean AUTO_RESTART?"),
        ([], {**GOOD, "OP_CONNECT_HOST": "http://connect:8080/v1"}, "must not end in /v1"),
        ([], {**GOOD, "OP_CONNECT_HOST": "https://gate/connect/V1/"}, "must not end in /v1"),
        ([], {**GOOD, "OP_CONNECT_TOKEN": "ops_canary"}, "service account"),
        ([], {**GOOD, "OP_CONNECT_TOKEN": "op://vault/canary/token"}, "secret reference"),
        ([], {**GOOD, "OP_CONNECT_TOKEN": '"eyJcanary"'}, "quotation mark"),
        ([], {**GOOD, "OP_CONNECT_TOKEN": "ZXlKcanary"}, "base64"),
        ([], {**GOOD, "MANAGE_CONNECT": "true"}, "connect.create=true"),
        ([], {**GOOD, "MANAGE_CONNECT": "maybe"}, "MANAGE_CONNECT"),
        ([], {**GOOD, "OP_SERVICE_ACCOUNT_TOKEN": "canary"}, "OP_SERVICE_ACCOUNT_TOKEN"),
        (["--metrics-bind-address=8080"], GOOD, "--metrics-bind-address"),
        (["--health-probe-bind-address=:99999"], GOOD, "--health-probe-bind-address"),
        (["--no-such-flag"], GOOD, "--no-such-flag"),
        (["--log-level=loud"], GOOD, "loud"),
        (["stray"], GOOD, "stray"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(arguments, environment, named):
    """The reader need not guess which of twenty settings is meant."""
    with pytest.raises(SettingsError) as mistake:
        read_settings(arguments, environment)

    assert named in str(mistake.value)
    assert "\n" not in str(mistake.value)
    assert "canary" not in str(mistake.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("OP_CONNECT_JSON", ""),
        ("OP_CONNECT_CLIENT_REQ_TIMEOUT", ""),
        ("OP_CONNECT_HOSTS", "did you mean OP_CONNECT_HOST?"),
    ],
)
def test_an_unknown_variable_of_connect_is_only_worth_a_warning(name, hint):
    """An environment that is shared with 1Password's other tools must not keep the operator from starting."""
    assert read_settings([], {**GOOD, name: "canary"}).unknown == ((name, hint, False),)


@pytest.mark.parametrize("name", ["PATH", "NAMESPACE", "WATCH", "RESTART", "INTERVAL", "AUTO", "POD_NAMESPACES"])
def test_a_variable_of_somebody_else_is_left_alone(name):
    """Only what can hardly mean anything else counts as a misspelling."""
    assert read_settings([], {**GOOD, name: "x"}).unknown == ()


def test_an_empty_variable_is_no_misspelling():
    """It asks for nothing."""
    assert read_settings([], {**GOOD, "WATCH_NAMESPACES": ""}).watch_namespaces == ()


def test_help_names_every_variable_and_every_default():
    """Nearly all settings are variables, so a help without them is of no help."""
    said = " ".join(operator_parser().format_help().split())

    for name in variables():
        assert f" {name} " in said
    for default in ("30", "3600", "86400", "10", "15", "keyturn", ":8081", ":8080", "info", "console", "false"):
        assert f"(default: {default})" in said


@pytest.mark.parametrize(
    "name",
    [
        "KEYTURN_SERVICE_HOST",
        "KEYTURN_SERVICE_PORT",
        "KEYTURN_SERVICE_PORT_METRICS",
        "KEYTURN_PORT",
        "KEYTURN_PORT_8080_TCP",
        "KEYTURN_PORT_8080_TCP_ADDR",
        "OP_CONNECT_SERVICE_HOST",
    ],
)
def test_service_links_are_no_mistakes(name):
    """Kubernetes puts them into every pod of a namespace that has a Service of that name."""
    assert read_settings([], {**GOOD, name: "x"}).provider_settings.server.host == GOOD["OP_CONNECT_HOST"]


def test_what_the_official_operators_manifests_set_is_no_mistake():
    """A Deployment whose image is swapped keeps its environment."""
    official = {
        "OPERATOR_NAME": "x",
        "POD_NAME": "y",
        "OSDK_FORCE_RUN_MODE": "local",
        "MANAGE_CONNECT": "false",
        "WATCH_NAMESPACE": "default",
    }

    assert read_settings([], {**GOOD, **official}).watch_namespaces == ("default",)


def test_the_token_is_in_no_repr():
    """Settings are the first thing in a bug report."""
    assert "canary" not in repr(read_settings([], GOOD))


@given(st.text(max_size=30).filter(lambda text: "\0" not in text))
def test_any_list_of_namespaces_is_read_or_refused(text):
    """An accepted name can be a namespace; the empty name, which means all, is never accepted."""
    try:
        settings = read_settings([], {**GOOD, "WATCH_NAMESPACE": text})
    except SettingsError:
        return
    assert all(name and name.strip() == name for name in settings.watch_namespaces)
    assert bool(settings.watch_namespaces) == bool(text.replace(",", " ").strip())


def test_leader_election_is_off_unless_asked_for():
    """As in the official operator, whose manifests set POD_NAME all the same."""
    plain = read_settings([], {**GOOD, "POD_NAME": "keyturn-0", "POD_NAMESPACE": "ops"})
    asked = read_settings(["--leader-elect"], {**GOOD, "POD_NAME": "keyturn-0", "POD_NAMESPACE": "ops"})

    assert (plain.leader_elect, asked.leader_elect) == (False, True)
    assert (asked.pod_name, asked.leader_election_namespace, asked.lease_duration) == ("keyturn-0", "ops", 15)


def test_the_flag_for_the_leases_namespace_goes_before_the_variable():
    """A flag is more explicit than a variable."""
    settings = read_settings(
        ["--leader-elect", "--leader-election-namespace=leases"],
        {**GOOD, "POD_NAMESPACE": "ops", "KEYTURN_LEASE_DURATION": "5"},
    )

    assert (settings.leader_election_namespace, settings.lease_duration) == ("leases", 5)
