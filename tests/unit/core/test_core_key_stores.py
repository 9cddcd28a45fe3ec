"""Key stores: what is put in is in there, and old ones are kept as long as they hold it."""

import sys
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import (
    PBES,
    load_pkcs12,
    serialize_java_truststore,
    serialize_key_and_certificates,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate as Named
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core import der
from keyturn.core.crypto_extra import needs_extra
from keyturn.core.key_store_content import read_store
from keyturn.core.key_stores import pkcs12, pkcs12_holds, truststore, truststore_holds
from keyturn.core.shape_errors import InvalidTemplate, ValueInvalid
from support.key_material import MAKERS, certificate, certificate_der, certificate_pem, chain, private_der, private_pem

PASSWORD = b"changeit"
PKCS12 = PrivateFormat.PKCS12


@pytest.fixture(scope="module")
def key():
    return MAKERS["p256"]()


@pytest.fixture(scope="module")
def certificates(key):
    return chain(key)


@pytest.fixture(scope="module")
def value(key):
    return private_pem(key)


@pytest.fixture(scope="module")
def bundle(certificates):
    return certificate_pem(certificates)


@pytest.fixture(scope="module")
def store(value, bundle):
    return pkcs12(value, bundle, PASSWORD)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("authorities", [0, 1, 3])
def test_a_key_store_holds_the_key_its_certificate_and_the_rest(kind, authorities):
    """A server presents the first certificate, and the rest as the way to an authority."""
    key = MAKERS[kind]()
    certificates = chain(key, authorities)

    read = load_pkcs12(pkcs12(private_pem(key), certificate_pem(certificates), PASSWORD), PASSWORD)

    assert private_der(read.key) == private_der(key)
    assert read.cert.certificate == certificates[0]
    assert [each.certificate for each in read.additional_certs] == certificates[1:]


def test_a_trust_store_holds_the_certificates(bundle, certificates):
    """Java takes each of them for an authority."""
    read = load_pkcs12(truststore(bundle, PASSWORD), PASSWORD)

    assert (read.key, read.cert) == (None, None)
    assert [each.certificate for each in read.additional_certs] == certificates


def test_old_stores_hold_what_they_were_made_of(value, bundle, store):
    """They have random bytes: without this, each pass would write the Secret and restart its workloads."""
    trusted = truststore(bundle, PASSWORD)

    assert store != pkcs12(value, bundle, PASSWORD)
    assert pkcs12_holds(store, value, bundle, PASSWORD)
    assert trusted != truststore(bundle, PASSWORD)
    assert truststore_holds(trusted, bundle, PASSWORD)


@pytest.mark.parametrize("kind", MAKERS)
def test_every_kind_of_key_is_found_in_an_old_store(kind):
    """The bytes of a key in a store are those that are compared."""
    key = MAKERS[kind]()
    inputs = (private_pem(key), certificate_pem(chain(key)), PASSWORD)

    assert pkcs12_holds(pkcs12(*inputs), *inputs)


def test_the_format_of_the_inputs_does_not_matter(key, value, bundle, store):
    """A key that was stored again in another format is the same key."""
    traditional = private_pem(key, PrivateFormat.TraditionalOpenSSL)

    assert pkcs12_holds(store, traditional, b"# a comment\n" + bundle.replace(b"\n", b"\r\n"), PASSWORD)


def test_a_store_does_not_hold_other_inputs(key, value, certificates, bundle, store):
    """Every change of an input must reach the workloads."""
    leaf, *authorities = certificates
    renewed = certificate_pem([certificate("renewed", key), *authorities])
    other = MAKERS["p256"]()

    assert not pkcs12_holds(store, value, bundle, b"another")
    assert not pkcs12_holds(store, value, renewed, PASSWORD)
    assert not pkcs12_holds(store, value, certificate_pem([leaf]), PASSWORD)
    assert not pkcs12_holds(store, value, certificate_pem([leaf, *reversed(authorities)]), PASSWORD)
    assert not pkcs12_holds(store, private_pem(other), certificate_pem(chain(other)), PASSWORD)
    trusted = truststore(bundle, PASSWORD)
    assert not truststore_holds(trusted, bundle, b"another")
    assert not truststore_holds(trusted, certificate_pem(authorities), PASSWORD)


def test_a_store_of_the_other_kind_does_not_hold(value, bundle, store):
    """Java trusts no certificate of a key store, and finds no key in a trust store."""
    assert not truststore_holds(store, bundle, PASSWORD)
    assert not pkcs12_holds(truststore(bundle, PASSWORD), value, bundle, PASSWORD)


def built(rounds=20_000, algorithm=PBES.PBESv2SHA256AndAES256CBC, digest=None):
    """An encryption as another program might choose it."""
    builder = PKCS12.encryption_builder().kdf_rounds(rounds).key_cert_algorithm(algorithm)
    return builder.hmac_hash(digest or hashes.SHA256()).build(PASSWORD)


@pytest.mark.parametrize(
    ("encryption", "read"),
    [
        (BestAvailableEncryption(PASSWORD), True),
        (built(), True),
        (built(rounds=2_000), True),
        (built(rounds=20_001), False),
        (built(algorithm=PBES.PBESv1SHA1And3KeyTripleDESCBC), False),
        (built(digest=hashes.SHA384()), False),
        (NoEncryption(), False),
    ],
)
def test_a_store_is_read_if_it_could_be_ours(key, certificates, encryption, read):
    """A later version may choose fewer or more rounds than this one, and its stores must not be written again for that."""
    old = serialize_key_and_certificates(b"name", key, certificates[0], certificates[1:], encryption)

    assert pkcs12_holds(old, private_pem(key), certificate_pem(certificates), PASSWORD) is read


def test_certificates_that_java_does_not_trust_are_no_trust_store(certificates, bundle):
    """OpenSSL writes such stores, and Java sees nothing in them."""
    plain = serialize_key_and_certificates(None, None, None, certificates, built())
    named = serialize_java_truststore([Named(each, b"ca") for each in certificates], built())

    assert not truststore_holds(plain, bundle, PASSWORD)
    assert truststore_holds(named, bundle, PASSWORD)


def test_a_store_that_asks_for_many_rounds_costs_nothing(key, value, certificates, bundle):
    """Somebody who may write the Secret could otherwise stop the operator for as long as they like."""
    old = serialize_key_and_certificates(None, key, certificates[0], [], built(rounds=20_000))
    hostile = old.replace(b"\x02\x02\x4e\x20", b"\x02\x02\x7f\xff")
    began = time.process_time()

    assert hostile != old
    assert not pkcs12_holds(hostile, value, certificate_pem(certificates[:1]), PASSWORD)
    assert time.process_time() - began < 1


def encoded(tag, content):
    """An element of DER, with its length in five bytes."""
    return bytes([tag, 0x84]) + len(content).to_bytes(4, "big") + content


@pytest.mark.parametrize("rounds", [b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"", b"\x7f" * 100_000])
@pytest.mark.parametrize("salt", [b"", b"x", b"x" * 64, b"x" * 2**20])
def test_a_check_of_a_store_costs_little_whatever_it_asks_for(value, bundle, store, rounds, salt):
    """The numbers of a store are those of whoever wrote it, and memory has an end, too."""
    version, safe, mac = der.read(store).inner
    seal = encoded(0x30, encoded(0x30, mac[0].content) + encoded(4, salt) + encoded(2, rounds))
    hostile = encoded(0x30, encoded(2, version.content) + encoded(0x30, safe.content) + seal)
    began = time.process_time()

    assert not pkcs12_holds(hostile, value, bundle, PASSWORD)
    assert time.process_time() - began < 1


@given(st.data())
def test_a_store_with_a_byte_changed_does_not_hold(value, bundle, store, data):
    """It is drift, and Java would refuse it."""
    at = data.draw(st.integers(0, len(store) - 1))
    flipped = bytes([store[at] ^ data.draw(st.integers(1, 255))])

    assert not pkcs12_holds(store[:at] + flipped + store[at + 1 :], value, bundle, PASSWORD)


@given(st.binary())
def test_any_old_bytes_do_not_hold(value, bundle, old):
    """Before the first write, and after somebody else's, the key holds anything."""
    assert not pkcs12_holds(old, value, bundle, PASSWORD)
    assert not truststore_holds(old, bundle, PASSWORD)
    assert read_store(b"\x30" + bytes([len(old)]) + old if len(old) < 128 else old, PASSWORD) is None


REFUSED = {
    "no certificate": (lambda value, bundle: (value, value, PASSWORD), "no certificate in PEM"),
    "no key": (lambda value, bundle: (bundle, bundle, PASSWORD), "no private key in PEM"),
    "a broken certificate": (
        lambda value, bundle: (value, bundle.replace(b"\nMI", b"\nM?"), PASSWORD),
        "a certificate cannot be read",
    ),
    "a key in place of a certificate": (
        lambda value, bundle: (value, value.replace(b"PRIVATE KEY", b"CERTIFICATE"), PASSWORD),
        "a certificate cannot be read",
    ),
    "another key": (
        lambda value, bundle: (private_pem(ec.generate_private_key(ec.SECP256R1())), bundle, PASSWORD),
        "the private key is not that of the first certificate",
    ),
    "another kind of key": (
        lambda value, bundle: (private_pem(MAKERS["ed25519"]()), bundle, PASSWORD),
        "the private key is not that of the first certificate",
    ),
    "no password": (lambda value, bundle: (value, bundle, b""), "the password is empty"),
    "umlaut": (lambda value, bundle: (value, bundle, "canäry".encode()), "printable ASCII"),
    "a line feed": (lambda value, bundle: (value, bundle, b"canary\n"), "printable ASCII"),
}


@pytest.mark.parametrize("make", [pkcs12, lambda *inputs: pkcs12_holds(b"", *inputs)])
@pytest.mark.parametrize(("inputs", "says"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_store_is_refused_without_a_word_of_it(value, bundle, make, inputs, says):
    """Java would say so at the start of a server, and its message names none of these causes."""
    with pytest.raises(ValueInvalid, match=says) as refused:
        make(*inputs(value, bundle))

    assert refused.value.__context__ is None
    assert "can" not in str(refused.value).split()


@pytest.mark.parametrize("make", [truststore, lambda *inputs: truststore_holds(b"", *inputs)])
def test_what_makes_no_trust_store_is_refused(value, bundle, make):
    """The rules are those of a key store."""
    with pytest.raises(ValueInvalid, match="no certificate in PEM"):
        make(value, PASSWORD)
    with pytest.raises(ValueInvalid, match="printable ASCII"):
        make(bundle, b"")


def test_a_store_does_not_print_what_it_holds(store):
    """A log line of some later error must not hold a private key."""
    assert repr(read_store(store, PASSWORD)) == "StoreContent()"


def test_content_is_told_apart(value, bundle, store, key, certificates):
    """Keys, certificates, and those of them that Java trusts."""
    content, trusted = read_store(store, PASSWORD), read_store(truststore(bundle, PASSWORD), PASSWORD)

    assert content.keys == (private_der(key),)
    assert content.certificates == trusted.certificates == trusted.trusted == tuple(certificate_der(certificates))
    assert (content.trusted, trusted.keys) == ((), ())


@pytest.mark.parametrize("library", ["cryptography.x509", "cryptography.hazmat.primitives.serialization.pkcs12"])
def test_without_the_extra_the_template_is_invalid(bundle, monkeypatch, library):
    """An installation by pip may lack it, and the status must name what to install."""
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(InvalidTemplate, match='the extra "crypto"') as invalid:
        truststore(bundle, PASSWORD)
    assert invalid.value.__context__ is None


def test_other_errors_than_a_missing_library_pass():
    """They are defects, and must not be taken for an installation that lacks something."""
    with pytest.raises(KeyError), needs_extra():
        raise KeyError
