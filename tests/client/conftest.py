"""The one-file client beside a broker on loopback."""

import pytest

from keyturn.client.pyz import build_pyz
from support.client_process import ClientCommands
from support.stub_broker import stub_broker


@pytest.fixture(scope="session")
def pyz(tmp_path_factory):
    """The file that the broker serves."""
    path = tmp_path_factory.mktemp("client") / "keyturn.pyz"
    path.write_bytes(build_pyz())
    return path


@pytest.fixture
def broker():
    """A broker that holds nothing yet."""
    with stub_broker() as stub:
        yield stub


@pytest.fixture
def client(pyz, broker, tmp_path):
    """The client, with a token that the broker knows."""
    return ClientCommands(pyz, tmp_path, broker.url)
