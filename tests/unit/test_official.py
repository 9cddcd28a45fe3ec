"""What the official operator's flags and variables mean here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.observe import Bind
from keyturn.providers.proxies import proxy_for
from keyturn.settings import SettingsError, read_settings

GOOD = {"OP_CONNECT_HOST": "http://connect:8080", "OP_CONNECT_TOKEN": "canary-token"}


def test_the_arguments_of_the_official_chart_start_the_operator():
    """If only the image is replaced, the arguments stay, with all options of the chart turned on."""
    arguments = ["--health-probe-bind-address=:9081", "--zap-log-level=info", "--enable-annotations"]

    settings = read_settings([*arguments, "--allow-empty-values"], GOOD)

    assert settings.health_address == Bind(None, 9081)
    assert (settings.enable_annotations, settings.mapping.allow_empty_values) == (True, True)
    assert (settings.log_level, settings.unused) == ("info", ())


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        (["-enable-annotations"], {"enable_annotations": True}),
        (["--enable-annotations=TRUE"], {"enable_annotations": True}),
        (["--enable-annotations=false"], {"enable_annotations": False}),
        (["-zap-log-level", "debug"], {"log_level": "debug"}),
        (["--zap-log-level=3"], {"log_level": "debug"}),
        (["--zap-log-level=panic"], {"log_level": "error"}),
        (["--zap-encoder=json"], {"log_format": "json"}),
        (["-health-probe-bind-address=:1"], {"health_address": Bind(None, 1)}),
        ([], {"log_level": "info", "log_format": "console", "enable_annotations": False}),
    ],
)
def test_a_flag_is_read_in_every_spelling_of_go(arguments, chosen):
    """One dash or two, with and without a value: Go takes them all, so manifests hold them all."""
    settings = read_settings(arguments, GOOD)

    assert {name: getattr(settings, name) for name in chosen} == chosen


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("--metrics-secure", "NetworkPolicy"),
        ("--metrics-secure=true", "NetworkPolicy"),
        ("--metrics-cert-path=/certs", "NetworkPolicy"),
        ("--metrics-cert-name=a", "NetworkPolicy"),
        ("--metrics-cert-key=b", "NetworkPolicy"),
        ("--enable-http2", "HTTP/1.1"),
        ("--zap-devel=true", "--log-level=debug"),
        ("--zap-stacktrace-level=panic", "stack trace"),
        ("--zap-time-encoding=epoch", "RFC 3339"),
    ],
)
def test_a_flag_without_effect_is_logged_in_one_line(argument, named):
    """It must not keep the operator from starting, and must not be ignored without a warning."""
    [(flag, instead)] = read_settings([argument], GOOD).unused

    assert flag == argument.partition("=")[0]
    assert named in instead
    assert "\n" not in instead


@pytest.mark.parametrize("argument", ["--metrics-secure=false", "--enable-http2=false", "--zap-devel=false"])
def test_a_flag_that_asks_for_the_present_behaviour_is_not_warned_of(argument):
    """A warning without a consequence teaches people to overlook warnings."""
    assert read_settings([argument], GOOD).unused == ()


@pytest.mark.parametrize(
    "argument", ["--enable-annotations=yes", "--zap-log-level=loud", "--zap-encoder=xml", "--metrics-secure=on"]
)
def test_a_value_that_the_official_operator_refuses_is_refused(argument):
    """A typing mistake ends both operators at their start."""
    with pytest.raises(SettingsError, match=argument.partition("=")[0]):
        read_settings([argument], GOOD)


def test_the_official_name_of_the_trusted_certificates_counts():
    """The official chart puts a private authority there; without it no HTTPS Connect server would be trusted."""
    official = {**GOOD, "SSL_CERT_FILE": "/tls/tls.crt"}

    assert str(read_settings([], official).provider_settings.server.ca_file) == "/tls/tls.crt"
    own = read_settings([], {**official, "OP_CONNECT_CA_FILE": "/own.pem"})
    assert str(own.provider_settings.server.ca_file) == "/own.pem"


PROXIES = {"HTTP_PROXY": "http://plain:3128", "HTTPS_PROXY": "http://tls:3128"}


@pytest.mark.parametrize(
    ("address", "environment", "expected"),
    [
        pytest.param("http://connect:8080", {}, None, id="none"),
        pytest.param("http://connect:8080", PROXIES, "http://plain:3128", id="for http"),
        pytest.param("https://connect", PROXIES, "http://tls:3128", id="for https"),
        pytest.param("https://connect", {"https_proxy": "tls:3128"}, "http://tls:3128", id="small letters, no scheme"),
        pytest.param("https://connect", {"HTTP_PROXY": "http://plain:3128"}, None, id="of the other scheme"),
        pytest.param("http://connect:8080", {**PROXIES, "NO_PROXY": "a, connect"}, None, id="a name"),
        pytest.param("http://connect:8080", {**PROXIES, "NO_PROXY": "connect:8080"}, None, id="name and port"),
        pytest.param(
            "http://connect:8080", {**PROXIES, "NO_PROXY": "connect:80"}, "http://plain:3128", id="another port"
        ),
        pytest.param("http://c.ns.svc:8080", {**PROXIES, "no_proxy": ".svc"}, None, id="a domain"),
        pytest.param("http://c.ns.svc", {**PROXIES, "NO_PROXY": "*.svc"}, None, id="a domain with a star"),
        pytest.param("http://c.ns.svc", {**PROXIES, "NO_PROXY": "ns.svc"}, None, id="below a name"),
        pytest.param("http://ns.svc", {**PROXIES, "NO_PROXY": ".ns.svc"}, "http://plain:3128", id="above a domain"),
        pytest.param("http://c.svcs", {**PROXIES, "NO_PROXY": ".svc"}, "http://plain:3128", id="half a domain"),
        pytest.param("http://c", {**PROXIES, "NO_PROXY": "*"}, None, id="everything"),
        pytest.param("http://10.1.2.3:8080", {**PROXIES, "NO_PROXY": "x,10.0.0.0/8"}, None, id="a network"),
        pytest.param("http://11.1.2.3", {**PROXIES, "NO_PROXY": "10.0.0.0/8"}, "http://plain:3128", id="outside it"),
        pytest.param("http://[fd00::1]:8080", {**PROXIES, "NO_PROXY": "fd00::/8"}, None, id="an IPv6 network"),
        pytest.param("http://localhost:8080", PROXIES, None, id="this machine by name"),
        pytest.param("http://127.0.0.1:8080", PROXIES, None, id="this machine by address"),
        pytest.param("http://[nonsense", PROXIES, None, id="no address"),
    ],
)
def test_a_proxy_is_chosen_as_go_chooses_it(address, environment, expected):
    """A Connect server that is reached through a proxy now is reached through it after the switch."""
    assert proxy_for(address, environment) == expected


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_gives_a_proxy_or_none(address, no_proxy):
    """No content of the environment ends the operator with a traceback."""
    assert proxy_for(address, {**PROXIES, "NO_PROXY": no_proxy}) in {None, *PROXIES.values()}


def test_a_proxy_with_a_password_is_refused_without_showing_it():
    """The client supports no proxy that asks for a password."""
    with pytest.raises(
        SettingsError, match="OP_CONNECT_HOST, HTTP_PROXY or HTTPS_PROXY: the address of the proxy"
    ) as mistake:
        read_settings([], {**GOOD, "HTTP_PROXY": "http://user:canary@proxy:3128"})

    assert "canary" not in str(mistake.value)


def test_a_proxy_is_used_for_the_connect_server():
    """Its variables are those of the official operator."""
    settings = read_settings([], {**GOOD, "HTTP_PROXY": "proxy:3128"})

    assert settings.provider_settings.server.proxy == "http://proxy:3128"
