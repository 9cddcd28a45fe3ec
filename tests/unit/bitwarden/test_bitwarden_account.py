"""A Connection and its credential become an account, or the message says which part is wrong."""

import importlib.util

import pytest
import trustme

from keyturn.core.allowed_hosts import AllowedHosts, parse_allowed_hosts
from keyturn.core.provider import SecretKey
from keyturn.core.vault import CredentialInvalid, HostNotAllowed
from keyturn.providers.bitwarden import BITWARDEN
from keyturn.providers.bitwarden import account as account_module
from keyturn.providers.bitwarden.account import bitwarden_secret_keys, read_bitwarden_account, trust
from keyturn.providers.bitwarden.ids import is_bitwarden_id

USER = "0a1b2c3d-4e5f-4a6b-8c7d-0e1f2a3b4c5d"
CREDENTIAL = {"clientId": f"user.{USER}", "clientSecret": "s3cret", "masterPassword": "correct horse"}


def read(section=None, *, listed="", **credential):
    return read_bitwarden_account(section or {}, CREDENTIAL | credential, allowed=parse_allowed_hosts(listed))


@pytest.mark.parametrize(
    ("server", "address", "api", "identity"),
    [
        (None, "https://vault.bitwarden.com", "https://api.bitwarden.com", "https://identity.bitwarden.com"),
        ("https://vault.bitwarden.eu/", "https://vault.bitwarden.eu", "https://api.bitwarden.eu", None),
        ("https://bitwarden.eu", "https://bitwarden.eu", "https://api.bitwarden.eu", "https://identity.bitwarden.eu"),
        ("https://Vault.Example.com", "https://vault.example.com", "https://vault.example.com/api", None),
        ("https://example.com:8443/bw/", "https://example.com:8443/bw", None, "https://example.com:8443/bw/identity"),
    ],
)
def test_the_parts_of_a_server_follow_from_its_address(server, address, api, identity):
    """Bitwarden's own clouds have a host for each part; all others have paths."""
    account = read({} if server is None else {"server": server})

    assert account.server == address
    assert api is None or account.endpoints.api == api
    assert identity is None or account.endpoints.identity == identity


@pytest.mark.parametrize(
    "server",
    [
        "vault.example.com",
        "ftp://example.com",
        "https://",
        "https://u:p@example.com",
        "https://example.com?q",
        "https:// x",
        "https://host:99999",
        "https://1.2.3.999",
        "https://93.184.216.034",
        "https://xn--a.example",
        "https://ex|ample.com",
    ],
)
def test_what_is_no_address_is_refused(server):
    """Without a word of it: it may hold a password. Nothing after this expects an address that httpx cannot ask."""
    with pytest.raises(HostNotAllowed) as error:
        read({"server": server})

    assert str(error.value) == "spec.bitwarden.server must be an address such as https://vault.example.com"


@pytest.mark.parametrize(
    ("server", "listed", "allowed"),
    [
        ("http://vault.example.com", "", False),
        ("http://vault.example.com", "vault.example.com", True),
        ("https://10.0.0.1", "", False),
        ("https://10.0.0.1:8443", "10.0.0.1:8443", True),
        ("https://[fd00::1]", "", False),
    ],
)
def test_only_servers_that_may_be_asked_are_taken(server, listed, allowed):
    """A tenant writes the address; the administrator lists what is not public."""
    if allowed:
        assert read({"server": server}, listed=listed).server == server
        return
    with pytest.raises(HostNotAllowed):
        read({"server": server}, listed=listed)


@pytest.mark.parametrize(
    ("credential", "message"),
    [
        ({"clientId": "organization." + USER}, "clientId must be that of an account's API key"),
        ({"clientId": USER}, "clientId must be"),
        ({"clientId": "user.SECRET-1"}, "clientId must be"),
        ({"clientSecret": " \n"}, "clientSecret is empty or holds characters"),
        ({"clientSecret": "SECRET\nX: SECRET"}, "clientSecret is empty or holds characters"),
        ({"clientSecret": "SECRETä"}, "clientSecret is empty or holds characters"),
        ({"masterPassword": "\n"}, "masterPassword is empty"),
        ({"ca": "SECRET"}, "ca holds no certificate in PEM"),
        ({"ca": ""}, "ca holds no certificate in PEM"),
    ],
)
def test_a_malformed_credential_is_refused_by_the_name_of_its_part(credential, message):
    """No request is sent with it, and nothing of it is shown."""
    with pytest.raises(CredentialInvalid, match=message) as error:
        read(**credential)

    assert "SECRET" not in str(error.value)
    assert error.value.__context__ is None


def test_line_breaks_at_the_ends_are_not_part_of_a_credential():
    """Editors leave them; blanks at the end of a password are part of it."""
    account = read(clientId=f" user.{USER}\n", clientSecret="s3cret\n", masterPassword="pass word \r\n")

    assert (account.user, account.client_secret, account.master_password) == (USER, "s3cret", "pass word ")


def test_an_account_shows_no_credential():
    """A repr may reach a log."""
    account = read(ca=trustme.CA().cert_pem.bytes().decode())

    assert not any(text in repr(account) for text in ("s3cret", "correct horse", "BEGIN"))


def test_the_device_is_always_the_same():
    """The server sends a mail for each new one."""
    assert read().device == read(clientSecret="other").device
    assert read().device != read(clientId="user." + USER.replace("0a", "0b")).device


def test_an_authority_of_the_tenant_replaces_the_usual_ones():
    """A self-hosted server may have a certificate of its own."""
    ca = trustme.CA().cert_pem.bytes().decode()

    assert len(trust(read(ca=ca).ca).get_ca_certs()) == 1
    assert trust("") is trust("")
    with pytest.raises(CredentialInvalid, match="ca holds no certificate"):
        trust("none")


def test_a_missing_library_is_explained(monkeypatch):
    """An installation from PyPI may lack the extra."""
    monkeypatch.setattr(account_module, "find_spec", lambda _name: None)
    assert importlib.util.find_spec("cryptography") is not None

    with pytest.raises(CredentialInvalid, match=r"install keyturn\[bitwarden\]"):
        read()


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        (
            {"credentialSecretRef": {"name": "bw"}, "caSecretRef": {"name": "ca", "key": "ca.crt"}},
            {
                "clientId": SecretKey("bw", "clientId"),
                "clientSecret": SecretKey("bw", "clientSecret"),
                "masterPassword": SecretKey("bw", "masterPassword"),
                "ca": SecretKey("ca", "ca.crt"),
            },
        ),
        ({"credentialSecretRef": {"name": 1}, "caSecretRef": {"name": "ca"}}, {"ca": SecretKey("ca", "ca.crt")}),
        ({"credentialSecretRef": "bw", "caSecretRef": None}, {}),
        ({}, {}),
    ],
)
def test_the_keys_of_the_secrets_are_named(section, keys):
    """What the definition would refuse is no crash."""
    assert bitwarden_secret_keys(section) == keys


@pytest.mark.parametrize(
    ("text", "is_id"),
    [(USER, True), (USER.upper(), False), (USER[:-1], False), (f"{USER}\n", False), ("personal", False)],
)
def test_ids_are_uuids(text, is_id):
    """All else is a title."""
    assert is_bitwarden_id(text) is is_id


def test_it_cannot_be_the_installations_own_connection():
    """Its account is named by a Connection alone."""
    assert not BITWARDEN.environment
    assert BITWARDEN.connection.default_poll == 60.0
    with pytest.raises(Exception, match="named by a Connection"):
        BITWARDEN.read_settings({})
    assert AllowedHosts().refuses("https", "vault.bitwarden.com") is None
