"""What filters write, read by programs that share no code with them."""

import hashlib
import re

import pytest

from keyturn.core.key_formats import openssh, pkcs8
from keyturn.core.key_stores import pkcs12, truststore
from keyturn.core.password_hashes import bcrypt, htpasswd
from support.clients.speaking import Refused
from support.format_readers import keytool
from support.key_material import MAKERS, certificate_der, certificate_pem, chain, private_der, private_pem

pytestmark = pytest.mark.formats

PASSWORD = "change it!"


@pytest.fixture(scope="module", params=MAKERS)
def key(request):
    """A private key of each kind."""
    return MAKERS[request.param]()


@pytest.fixture(scope="module")
def certificates(key):
    """Its certificate, and two of authorities."""
    return chain(key)


@pytest.fixture(scope="module")
def store(key, certificates):
    """A key store of both."""
    return pkcs12(private_pem(key), certificate_pem(certificates), PASSWORD.encode())


@pytest.fixture(scope="module")
def trusted(certificates):
    """A trust store of the certificates."""
    return truststore(certificate_pem(certificates), PASSWORD.encode())


def fingerprints(certificates):
    """Certificates as keytool prints them."""
    return [hashlib.sha256(each).hexdigest() for each in certificate_der(certificates)]


def printed(output):
    """The SHA-256 fingerprints in an output of keytool."""
    return [found.replace(":", "").lower() for found in re.findall(r"SHA-?256\)?: ([0-9A-F:]{95})", output)]


async def test_go_reads_an_openssh_key(go, key):
    """Flux and Argo CD read their keys for Git by this library."""
    assert (await go.read("openssh", openssh(private_pem(key)))).key == private_der(key)


async def test_go_and_openssl_read_a_pkcs8_key(go, openssl, key):
    """Most servers do by one of the two."""
    made = pkcs8(openssh(private_pem(key)))

    assert (await openssl.read("pkcs8", made)).key == private_der(key)
    # Go writes a key in its own way, so it is compared after OpenSSL read it from there.
    read = (await go.read("pkcs8", made)).key
    assert read == (await go.read("pkcs8", private_pem(key))).key != b""


async def test_go_reads_a_key_store(go, key, store, certificates):
    """It holds the key, its certificate first, and the way to an authority."""
    read = await go.read("pkcs12", store, PASSWORD)

    assert read.certificates == certificate_der(certificates)
    assert read.key == (await go.read("pkcs8", private_pem(key))).key
    with pytest.raises(Refused, match="password incorrect"):
        await go.read("pkcs12", store, "another")


async def test_openssl_serves_from_a_key_store(openssl, store, certificates):
    """A server with it presents the first certificate, and proves that it has the key."""
    assert (await openssl.read("pkcs12", store, PASSWORD)).certificates == certificate_der(certificates[:1])
    with pytest.raises(Refused, match="mac verify failure"):
        await openssl.read("pkcs12", store, "another")


async def test_go_reads_a_trust_store(go, trusted, certificates):
    """It refuses a store without the attribute by which Java trusts a certificate."""
    assert (await go.read("truststore", trusted, PASSWORD)).certificates == certificate_der(certificates)


def test_java_reads_a_key_store(tmp_path, store, certificates):
    """Java is why such stores exist."""
    file = tmp_path / "keystore.p12"
    file.write_bytes(store)

    output = keytool("-list", "-v", "-keystore", file, "-storepass", PASSWORD)

    assert "Your keystore contains 1 entry" in output
    assert "Entry type: PrivateKeyEntry" in output
    assert printed(output)[0] == fingerprints(certificates)[0]
    # A list shows no key: to take an entry over, it must be opened.
    arguments = ("-srckeystore", file, "-srcstorepass", PASSWORD)
    keytool("-importkeystore", *arguments, "-destkeystore", tmp_path / "copy.p12", "-deststorepass", PASSWORD)


def test_java_trusts_each_certificate_of_a_trust_store(tmp_path, trusted, certificates):
    """Java silently leaves out certificates without an attribute of its own."""
    file = tmp_path / "truststore.p12"
    file.write_bytes(trusted)

    output = keytool("-list", "-keystore", file, "-storepass", PASSWORD)

    assert f"Your keystore contains {len(certificates)} entries" in output
    assert output.count("trustedCertEntry") == len(certificates)
    assert printed(output) == fingerprints(certificates)


async def test_go_checks_the_hashes(go):
    """Traefik and many others check passwords by this library."""
    for made in (bcrypt(b"secret"), htpasswd(b"secret", b"ada").removeprefix(b"ada:")):
        await go.read("bcrypt", made, "secret")
        with pytest.raises(Refused, match="is not the hash of the given password"):
            await go.read("bcrypt", made, "another")
