"""A credential is read from single Secrets, by their names, and nothing of it shows anywhere."""

import pytest

from keyturn.cluster import SECRETS, Unavailable
from keyturn.control.connections.credentials import CredentialReader
from keyturn.core.provider import SecretKey
from keyturn.core.vault import CredentialInvalid, CredentialMissing
from support.fake_api import FakeApiServer
from support.fake_time import FakeTime

CANARY = "canary-7d1f"
KEYS = {"token": SecretKey("work", "token"), "ca": SecretKey("ca", "ca.crt")}


@pytest.fixture(name="api")
def _api():
    api = FakeApiServer(time=FakeTime())
    put(api, "work", token="Y2FuYXJ5LTdkMWY=")
    put(api, "ca", **{"ca.crt": "UEVN"})
    return api


def put(api, name, **data):
    api.add(SECRETS, {"metadata": {"namespace": "team", "name": name}, "data": data})


async def test_each_part_comes_from_its_own_key(api):
    """By the provider's own names."""
    credential = await CredentialReader(api).read("team", KEYS)

    assert credential.texts == {"token": CANARY, "ca": "PEM"}
    assert credential.error is None
    assert CANARY not in repr(credential)


async def test_the_versions_are_those_of_the_secrets(api):
    """Equal ones mean an equal credential; their metadata is enough to know them."""
    reader = CredentialReader(api)
    credential = await reader.read("team", KEYS)
    assert credential.versions == await reader.versions("team", ["work", "ca"])

    api.edit(SECRETS, "team", "work", {"data": {"token": "eA=="}})
    assert credential.versions != await reader.versions("team", ["work", "ca"])


async def test_a_secret_that_was_made_again_is_another(api):
    """Its resourceVersion alone would not say so in another cluster."""
    reader = CredentialReader(api)
    before = await reader.versions("team", ["work"])
    api.remove(SECRETS, "team", "work")
    assert await reader.versions("team", ["work"]) == (("work", ""),)
    put(api, "work", token="Y2FuYXJ5LTdkMWY=")
    assert await reader.versions("team", ["work"]) != before


@pytest.mark.parametrize(
    ("keys", "kind", "message"),
    [
        ({"token": SecretKey("absent", "token")}, CredentialMissing, "the Secret absent does not exist"),
        ({"token": SecretKey("../x", "token")}, CredentialMissing, "the Secret ../x does not exist"),
        ({"token": SecretKey("", "token")}, CredentialMissing, "the Secret  does not exist"),
        ({"token": SecretKey("work", "key")}, CredentialMissing, "the Secret work has no key key, or nothing under it"),
        ({"token": SecretKey("empty", "a")}, CredentialMissing, "the Secret empty has no key a, or nothing under it"),
        ({"token": SecretKey("binary", "a")}, CredentialInvalid, "the key a of the Secret binary is not text in UTF-8"),
        ({"token": SecretKey("broken", "a")}, CredentialInvalid, "the key a of the Secret broken is not text in UTF-8"),
    ],
)
async def test_what_is_wrong_is_named_and_never_quoted(api, keys, kind, message):
    """And no part of an incomplete credential is kept."""
    put(api, "empty", a="")
    put(api, "binary", a="Y2FuYXJ5LTdkMWb/")
    put(api, "broken", a="canary-7d1f!")
    credential = await CredentialReader(api).read("team", {"ca": KEYS["ca"], **keys})

    assert type(credential.error) is kind
    assert str(credential.error) == message
    assert credential.error.__context__ is None
    assert credential.texts == {}


async def test_a_missing_secret_is_remembered_as_missing(api):
    """So that its creation is a change."""
    credential = await CredentialReader(api).read("team", {"token": SecretKey("absent", "token")})
    assert credential.versions == (("absent", ""),)


async def test_a_missing_right_is_told_from_a_missing_secret(api):
    """Another person must act."""
    api.fail("get", SECRETS, status=403, reason="Forbidden")
    credential = await CredentialReader(api).read("team", {"token": KEYS["token"]})
    assert str(credential.error) == "the operator may not read the Secret work"


async def test_an_outage_says_nothing_of_the_credential(api):
    """It is read again later."""
    api.fail("get", SECRETS, status=503, times=5)
    with pytest.raises(Unavailable):
        await CredentialReader(api).read("team", KEYS)
