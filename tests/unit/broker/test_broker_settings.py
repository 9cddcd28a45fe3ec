"""Settings of the broker: what is read, and what is refused in one line."""

from pathlib import Path

import pytest

from keyturn.broker.settings import broker_parser, broker_variables, read_broker_settings
from keyturn.observe import Bind
from keyturn.setting_texts import SettingsError
from keyturn.settings import variables

TLS = ["--tls-cert-file=/tls/tls.crt", "--tls-private-key-file=/tls/tls.key"]
CONNECT = {"OP_CONNECT_HOST": "http://connect:8080", "OP_CONNECT_TOKEN": "canary-token"}


def test_tls_is_served_unless_something_else_is_chosen():
    """At the port that the chart's Service names."""
    settings = read_broker_settings(TLS, {})

    assert settings.bind_address == Bind(None, 8443)
    assert (settings.tls_cert_file, settings.tls_key_file) == (Path("/tls/tls.crt"), Path("/tls/tls.key"))
    assert settings.insecure_bind_address is None
    assert (settings.shared.health_address, settings.shared.metrics_address) == (Bind(None, 8081), Bind(None, 8080))
    assert settings.shared.audit_file == "-"
    assert settings.shared.provider is None


def test_everything_can_be_chosen():
    """Each flag and each variable decides its setting."""
    settings = read_broker_settings(
        [
            *TLS,
            "--bind-address=[::1]:9443",
            "--insecure-bind-address=127.0.0.1:9080",
            "--health-probe-bind-address=:1",
            "--metrics-bind-address=0",
            "--kubeconfig=/k",
            "--log-level=debug",
            "--log-format=json",
        ],
        {
            **CONNECT,
            "WATCH_NAMESPACE": "a,b",
            "POLLING_INTERVAL": "7",
            "KEYTURN_ALLOWED_HOSTS": "connect.svc",
            "KEYTURN_FULL_PASS_INTERVAL": "60",
            "KEYTURN_AUDIT_FILE": "/var/log/audit.jsonl",
            "POD_NAME": "broker-1",
        },
    )

    assert settings.bind_address == Bind("::1", 9443)
    assert settings.insecure_bind_address == Bind("127.0.0.1", 9080)
    assert (settings.shared.audit_file, settings.instance) == ("/var/log/audit.jsonl", "broker-1")
    shared = settings.shared
    assert shared.provider is not None
    assert shared.provider.name == "connect"
    assert (shared.watch_namespaces, shared.polling_interval, shared.full_pass_interval) == (("a", "b"), 7.0, 60.0)
    assert (shared.health_address, shared.metrics_address) == (Bind(None, 1), None)
    assert (shared.kubeconfig, shared.log_level, shared.log_format) == (Path("/k"), "debug", "json")
    assert shared.allowed_hosts.listed == {("connect.svc", None)}


def test_a_loopback_address_alone_needs_no_certificate():
    """For a trial, or behind a proxy in the same pod."""
    settings = read_broker_settings(["--insecure-bind-address=[::1]:8080"], {})

    assert settings.bind_address is None
    assert settings.insecure_bind_address == Bind("::1", 8080)


@pytest.mark.parametrize(
    ("flags", "environment", "told"),
    [
        ([], {}, "set --tls-cert-file and --tls-private-key-file"),
        ([TLS[0]], {}, "set --tls-cert-file and --tls-private-key-file"),
        ([TLS[1], "--bind-address=:1"], {}, "set --tls-cert-file and --tls-private-key-file"),
        (["--bind-address=0"], {}, "nothing is to be served"),
        ([*TLS, "--insecure-bind-address=:8080"], {}, "can be reached from other machines"),
        ([*TLS, "--insecure-bind-address=10.0.0.1:8080"], {}, "can be reached from other machines"),
        ([*TLS, "--insecure-bind-address=localhost:8080"], {}, "can be reached from other machines"),
        ([*TLS, "--bind-address=nonsense"], {}, "--bind-address: 'nonsense'"),
        ([*TLS, "--leader-elect"], {}, "--leader-elect"),
        (TLS, {"KEYTURN_WORKERS": "3"}, "KEYTURN_WORKERS is not a setting"),
        (TLS, {"KEYTURN_AUDIT_FLIE": "x"}, "did you mean KEYTURN_AUDIT_FILE"),
        (TLS, {"OP_CONNECT_TOKEN": "canary"}, "OP_CONNECT_HOST is not set"),
        (TLS, {**CONNECT, "POLLING_INTERVAL": "0"}, "POLLING_INTERVAL"),
    ],
)
def test_a_mistake_is_one_line(flags, environment, told):
    """Nothing is started."""
    with pytest.raises(SettingsError) as error:
        read_broker_settings(flags, environment)

    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert "canary" not in str(error.value)


def test_the_help_names_every_variable():
    """And no setting of the operator."""
    text = broker_parser().format_help()

    assert all(name in text for name in broker_variables())
    assert "KEYTURN_RESTART_KINDS" not in text
    assert "MISSING" not in text


def test_a_variable_that_both_read_means_the_same_to_both():
    """One ConfigMap may hold them."""
    assert set(broker_variables()) <= set(variables())
