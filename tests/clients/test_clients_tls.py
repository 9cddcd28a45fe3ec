"""C16 as each of 1Password's own clients sees it: TLS with a private authority, trusted in the client's own way."""

import ssl

import httpx
import onepasswordconnectsdk
import pytest
import trustme
from onepasswordconnectsdk.config import ClientConfig

from connect_emulator.server import ConnectEmulator
from support.clients.driven import Driver, GoClient, JavaScriptClient
from support.clients.installing import JAVASCRIPT, go_driver, javascript_modules, node
from support.clients.python import PythonClient
from support.clients.scenery import PRODUCTION, SCENERY
from support.clients.speaking import Refused

pytestmark = pytest.mark.clients


@pytest.fixture
def authority(tmp_path):
    """A certificate authority that nobody trusts by itself, and its certificate's file."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.crt")
    return made, str(tmp_path / "ca.crt")


@pytest.fixture
async def emulator(authority):
    """An emulator with TLS on a second port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("127.0.0.1").configure_cert(context)
    async with ConnectEmulator.start(SCENERY, tls=context) as running:
        yield running


# How each driver's runtime is told of an authority, and what it says without.
DRIVEN = {
    "javascript": (
        JavaScriptClient,
        lambda: [node(), JAVASCRIPT / "driver.cjs"],
        "NODE_EXTRA_CA_CERTS",
        "unable to verify the first certificate|self-signed certificate",
    ),
    "go": (GoClient, lambda: [go_driver()], "SSL_CERT_FILE", "certificate signed by unknown authority"),
}


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("name", DRIVEN)
async def test_a_driven_client_with_tls(emulator, authority, name, trusted):
    """With the authority in its runtime's own variable the client works as ever, without it refuses to talk."""
    kind, command, variable, words = DRIVEN[name]
    driver = Driver(
        command(), env={"NODE_PATH": str(javascript_modules()), **({variable: authority[1]} if trusted else {})}
    )
    client = kind(driver, emulator.tls_url, emulator.token("all"))
    try:
        if trusted:
            assert (await client.vault(PRODUCTION))["name"] == "Production"
            return
        with pytest.raises(Refused, match=words):
            await client.vault(PRODUCTION)
        assert emulator.requests.number == 0
    finally:
        driver.close()


@pytest.mark.filterwarnings("ignore:`verify=<str>` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", ["python", "python-async"])
async def test_the_python_client_with_tls(emulator, authority, make, name):
    """With the authority in its `ca_file` the client works as ever, without it refuses to talk."""
    origin = (emulator.tls_url, emulator.token("all"), name == "python-async")
    client = PythonClient(onepasswordconnectsdk.new_client(*origin, ClientConfig(ca_file=authority[1])))
    assert (await client.vault(PRODUCTION))["name"] == "Production"
    await client.close()
    stranger = await make(name, url=emulator.tls_url)
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        await stranger.vault(PRODUCTION)
    assert emulator.requests.number == 1
