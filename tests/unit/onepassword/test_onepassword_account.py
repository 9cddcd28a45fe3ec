"""Which service account is used: by the environment, and by a Connection."""

import subprocess
import sys

import pytest

from keyturn.core.allowed_hosts import AllowedHosts
from keyturn.core.provider import SecretKey
from keyturn.core.vault import CredentialInvalid, HostNotAllowed
from keyturn.providers.connect import CONNECT
from keyturn.providers.onepassword import ONEPASSWORD, ONEPASSWORD_FORM, account
from keyturn.providers.onepassword.sdk import log_in
from keyturn.settings import SettingsError, read_settings
from support.fake_time import FakeTime
from support.patience import PATIENCE_S
from support.service_account import service_token

TOKEN = {"OP_SERVICE_ACCOUNT_TOKEN": service_token()}
FILE = {"OP_SERVICE_ACCOUNT_TOKEN_FILE": "/etc/token"}
CONNECT_SET = {"OP_CONNECT_HOST": "http://connect:8080", "OP_CONNECT_TOKEN": "t"}


@pytest.mark.parametrize(
    "environment",
    [TOKEN, FILE, TOKEN | {"OP_CONNECT_HOST": "http://connect:8080"}, FILE | {"OP_CONNECT_TOKEN": "t"}],
)
def test_a_service_account_is_selected_by_its_token(environment):
    """Also if only one variable of Connect is set beside it: so it is with 1Password's own operator."""
    settings = read_settings([], environment)

    assert (settings.provider, settings.polling_interval) == (ONEPASSWORD, 600.0)


@pytest.mark.parametrize("beside", [{}, {"OP_SERVICE_ACCOUNT_TOKEN": " "}, {"OP_SERVICE_ACCOUNT_TOKENS": "x"}])
def test_connect_is_selected_by_its_address_and_token(beside):
    """An empty variable asks for nothing."""
    assert read_settings([], CONNECT_SET | beside).provider is CONNECT


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (TOKEN | CONNECT_SET, "set only one of OP_CONNECT_HOST and OP_SERVICE_ACCOUNT_TOKEN"),
        (FILE | CONNECT_SET, "set only one of OP_CONNECT_HOST and OP_SERVICE_ACCOUNT_TOKEN_FILE"),
        (TOKEN | FILE, "set exactly one of OP_SERVICE_ACCOUNT_TOKEN and OP_SERVICE_ACCOUNT_TOKEN_FILE"),
        (
            {"OP_SERVICE_ACCOUNT_TOKEN": "ops_canary"},
            "the service account token in OP_SERVICE_ACCOUNT_TOKEN is not whole",
        ),
        (
            {"OP_SERVICE_ACCOUNT_TOKEN": service_token("https://evil.example")},
            "names the server https://evil.example, which is not 1Password's",
        ),
        (TOKEN | {"POLLING_INTERVAL": "599"}, "POLLING_INTERVAL must be at least 600 seconds for 1Password"),
    ],
)
def test_a_mistake_is_one_line_at_the_start(environment, message):
    """It names the variable, and never shows the token."""
    with pytest.raises(SettingsError, match=message) as mistake:
        read_settings([], environment)

    assert mistake.value.__context__ is None
    assert not {"ops_", "canary"} & set(str(mistake.value).split())


def test_the_administrators_list_counts_for_the_installations_own_token():
    """Both come from the same person."""
    address = "http://127.0.0.1:8443"
    settings = read_settings(
        [], {"OP_SERVICE_ACCOUNT_TOKEN": service_token(address), "KEYTURN_ALLOWED_HOSTS": "127.0.0.1:8443"}
    )
    vaults = ONEPASSWORD.open(settings.provider_settings, time=FakeTime(), observer=lambda *_: None)

    assert vaults.address == "127.0.0.1:8443"


async def test_without_the_sdk_the_extra_is_named(monkeypatch):
    """A person who installs with pip may not have it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"install keyturn\[onepassword\]"):
        read_settings([], TOKEN)
    with pytest.raises(CredentialInvalid, match=r"install keyturn\[onepassword\]"):
        await log_in(service_token())


def test_the_sdk_is_not_imported_before_somebody_logs_in():
    """It takes 25 MB, and most installations have a Connect server."""
    program = "import sys, keyturn.cli; print('onepassword' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )

    assert answer.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ({"tokenSecretRef": {"name": "sa", "key": "t"}}, {"token": SecretKey("sa", "t")}),
        ({"tokenSecretRef": {"name": "sa"}}, {"token": SecretKey("sa", "token")}),
        ({}, {}),
        ({"tokenSecretRef": "sa"}, {}),
        ({"tokenSecretRef": {"name": 1}}, {}),
        ({"tokenSecretRef": {"name": "sa", "key": []}}, {}),
    ],
)
def test_a_connection_names_the_key_of_a_secret(section, keys):
    """What the definition would refuse is read as nothing."""
    assert ONEPASSWORD_FORM.secret_keys(section) == keys


def test_the_account_of_a_connection_is_its_token():
    """It names its own server."""
    opened = ONEPASSWORD_FORM.read_account({}, {"token": f"{service_token()}\n"}, allowed=AllowedHosts())

    assert opened.tokens.current().server == "my.1password.com"
    assert "ops_" not in repr(opened)


@pytest.mark.parametrize(
    ("credential", "error", "message"),
    [
        ({}, CredentialInvalid, "token in Secret sa, key token is empty"),
        ({"token": "x"}, CredentialInvalid, "begin with ops_"),
        ({"token": service_token("https://10.0.0.1")}, HostNotAllowed, "KEYTURN_ALLOWED_HOSTS"),
    ],
)
def test_a_bad_token_of_a_connection_is_refused_without_a_request(credential, error, message):
    """The Connection's status then says why."""
    with pytest.raises(error, match=message):
        ONEPASSWORD_FORM.read_account({"tokenSecretRef": {"name": "sa"}}, credential, allowed=AllowedHosts())


def test_a_connection_polls_every_ten_minutes_at_most():
    """The quota is the account's, and others use it, too."""
    assert (ONEPASSWORD_FORM.default_poll, ONEPASSWORD_FORM.shortest_poll) == (600.0, 600.0)
    assert account.ONEPASSWORD_VARIABLES.keys() == {"OP_SERVICE_ACCOUNT_TOKEN", "OP_SERVICE_ACCOUNT_TOKEN_FILE"}
