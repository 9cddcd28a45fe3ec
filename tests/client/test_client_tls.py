"""The broker's certificate, and Pythons that are too old."""

import ssl
import subprocess

import pytest
import trustme

from support.client_process import found_python
from support.patience import PATIENCE_S
from support.stub_broker import stub_broker

PASSWORD = "op://Production/database/password"


@pytest.fixture(scope="module")
def authority():
    """Who signs the broker's certificate."""
    return trustme.CA()


def test_only_the_right_certificate_is_accepted(client, authority, tmp_path):
    """Whoever stands between must get neither the token nor a say."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    right, wrong = tmp_path / "ca.crt", tmp_path / "other.crt"
    authority.cert_pem.write_to_path(str(right))
    trustme.CA().cert_pem.write_to_path(str(wrong))
    with stub_broker(context) as broker:
        broker.values = {PASSWORD: b"p"}
        by_name = broker.url.replace("127.0.0.1", "localhost")

        for url, file in ((by_name, wrong), (broker.url, right)):
            refused = client("read", PASSWORD, KEYTURN_BROKER_URL=url, KEYTURN_CA_FILE=str(file))
            assert refused.returncode == 2
            assert b"is not accepted" in refused.stderr
        assert broker.asked == []
        assert client("read", PASSWORD, KEYTURN_BROKER_URL=by_name, KEYTURN_CA_FILE=str(right)).stdout == b"p\n"


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_that_is_no_authority_is_named(client, tmp_path, content):
    """The mistake is found before anything is sent."""
    file = tmp_path / "ca.crt"
    if content is not None:
        file.write_bytes(content)

    refused = client("read", PASSWORD, KEYTURN_BROKER_URL="https://localhost:1", KEYTURN_CA_FILE=str(file))

    assert refused.returncode == 2
    assert f"cannot read the CA file {file}: ".encode() in refused.stderr


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.8"])
def test_an_older_python_says_that_it_is_too_old(pyz, version):
    """Instead of a syntax error in a module that nobody knows. A version that this machine lacks proves nothing here."""
    python = found_python(version)
    if python is None:
        return

    ended = subprocess.run([python, str(pyz), "read"], capture_output=True, check=False, timeout=PATIENCE_S)

    assert ended.returncode == 1
    assert ended.stderr == f"keyturn: this needs Python 3.9 or later, and this is {version}\n".encode()
