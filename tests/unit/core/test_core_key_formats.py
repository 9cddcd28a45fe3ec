"""Private keys in another format: the same key, and nothing that is not one."""

import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import PrivateFormat, load_pem_private_key, load_ssh_private_key
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.key_formats import openssh, openssh_holds, pkcs8
from keyturn.core.private_keys import read_private_key
from keyturn.core.shape_errors import InvalidTemplate, ValueInvalid
from support.key_material import MAKERS, certificate, certificate_pem, private_der, private_pem, public_pem

PKCS8, TRADITIONAL, OPENSSH = PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL, PrivateFormat.OpenSSH


@pytest.fixture(scope="module")
def keys():
    return {kind: make() for kind, make in MAKERS.items()}


def formats(kind):
    """The formats in which a kind of key exists."""
    return [PKCS8, OPENSSH] if kind == "ed25519" else [PKCS8, TRADITIONAL, OPENSSH]


each_format = pytest.mark.parametrize(("kind", "form"), [(kind, form) for kind in MAKERS for form in formats(kind)])


@each_format
def test_a_key_is_the_same_key_in_openssh_format(keys, kind, form):
    """1Password stores SSH keys as PKCS#8, which Git, Argo CD and older ssh do not read."""
    made = openssh(private_pem(keys[kind], form))

    assert made.startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert private_der(load_ssh_private_key(made, None)) == private_der(keys[kind])


@each_format
def test_a_key_is_the_same_bytes_as_pkcs8(keys, kind, form):
    """These have nothing random, so equal keys need no look at the old bytes."""
    assert pkcs8(private_pem(keys[kind], form)) == private_pem(keys[kind], PKCS8)


@pytest.mark.parametrize("convert", [openssh, pkcs8])
@pytest.mark.parametrize("form", [PKCS8, OPENSSH])
def test_a_key_that_is_in_the_format_passes_unchanged(keys, convert, form):
    """Somebody who stored an OpenSSH key wants these bytes, with the comment in them."""
    once = convert(private_pem(keys["p256"], form))

    assert convert(once) == once


def test_line_ends_become_what_ssh_reads(keys):
    """OpenSSH refuses a key without a line feed at its end, which fields of a vault lose."""
    key = private_pem(keys["ed25519"], OPENSSH)

    assert openssh(key) == key
    assert openssh(key.strip()) == key
    assert openssh(b"\r\n" + key.replace(b"\n", b"\r\n")) == key


def test_what_stands_beside_a_private_key_is_left_out(keys):
    """Bundles of a key and its certificate are common, and OpenSSL puts the name of the curve before a key."""
    bundle = certificate_pem([certificate("x", keys["p256"])]) + private_pem(keys["p256"], TRADITIONAL)
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"

    assert pkcs8(parameters + bundle + public_pem(keys["p256"])) == private_pem(keys["p256"])


@each_format
def test_old_bytes_hold_as_long_as_the_key_is_the_same(keys, kind, form):
    """The format has random bytes: without this, each pass would write the Secret and restart its workloads."""
    value, other = private_pem(keys[kind], form), private_pem(MAKERS["ed25519"]())
    old = openssh(value)

    assert openssh_holds(old, value)
    assert not openssh_holds(old, other)
    assert openssh_holds(openssh(private_pem(keys[kind], PKCS8)), private_pem(keys[kind], PKCS8))


def test_two_calls_differ_and_both_hold(keys):
    """The reason why old bytes are checked, and not made again."""
    value = private_pem(keys["ed25519"])
    first, second = openssh(value), openssh(value)

    assert first != second
    assert openssh_holds(first, value)
    assert openssh_holds(second, value)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda old: b"",
        lambda old: old + b"\n",
        lambda old: b"# mine\n" + old,
        lambda old: old.replace(b"\n", b"\r\n"),
        lambda old: old.strip(),
        lambda old: old[: len(old) // 2],
        lambda old: old.replace(b"OPENSSH ", b""),
        lambda old: b"\xff" + old,
    ],
)
def test_old_bytes_that_somebody_changed_do_not_hold(keys, spoil):
    """They are drift, and ssh may refuse them."""
    value = private_pem(keys["p256"])

    assert not openssh_holds(spoil(openssh(value)), value)


def test_an_openssh_key_holds_only_as_it_is(keys):
    """It passes unchanged, so any other bytes are not it, also if they are of the same key."""
    value = private_pem(keys["p256"], OPENSSH)

    assert openssh_holds(value, value)
    assert not openssh_holds(openssh(private_pem(keys["p256"])), value)


def broken_rsa(key):
    """A key whose numbers do not belong together, in a form that is otherwise whole."""
    numbers = key.private_numbers()
    wrong = rsa.RSAPrivateNumbers(
        p=numbers.p,
        q=numbers.q,
        d=numbers.d - 2,
        dmp1=numbers.dmp1,
        dmq1=numbers.dmq1,
        iqmp=numbers.iqmp,
        public_numbers=numbers.public_numbers,
    )
    return private_pem(wrong.private_key(unsafe_skip_rsa_key_validation=True))


REFUSED = {
    "nothing": (lambda keys: b"", "no private key in PEM"),
    "a password": (lambda keys: b"canary", "no private key in PEM"),
    "a public key": (lambda keys: public_pem(keys["p256"]), "no private key in PEM"),
    "two keys": (lambda keys: private_pem(keys["p256"]) * 2, "several private keys"),
    "cut": (lambda keys: private_pem(keys["p256"])[:100], "has no end"),
    "encrypted PKCS#8": (lambda keys: private_pem(keys["p256"], PKCS8, "canary"), "is encrypted"),
    "encrypted PEM": (lambda keys: private_pem(keys["p256"], TRADITIONAL, "canary"), "is encrypted"),
    "encrypted OpenSSH": (lambda keys: private_pem(keys["p256"], OPENSSH, "canary"), "is encrypted"),
    "no base64": (lambda keys: private_pem(keys["p256"]).replace(b"MI", b"??"), "cannot be read"),
    "a byte missing": (lambda keys: private_pem(keys["p256"]).replace(b"\nMI", b"\nM"), "cannot be read"),
    "an OpenSSH key with a byte missing": (
        lambda keys: private_pem(keys["p256"], OPENSSH).replace(b"b3Blbn", b"b3Bln"),
        "cannot be read",
    ),
    "a block of nothing": (
        lambda keys: b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        "cannot be read",
    ),
    "a certificate under a false name": (
        lambda keys: certificate_pem([certificate("x", keys["p256"])]).replace(b"CERTIFICATE", b"PRIVATE KEY"),
        "none of RSA",
    ),
    "RSA numbers that do not fit": (lambda keys: broken_rsa(keys["rsa"]), "cannot be read"),
    "X25519": (lambda keys: private_pem(x25519.X25519PrivateKey.generate()), "none of RSA"),
    "another label": (
        lambda keys: b"-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n",
        "none of RSA",
    ),
    "too large": (
        lambda keys: b"-----BEGIN RSA PRIVATE KEY-----\n" + b"A" * 8192 + b"\n-----END RSA PRIVATE KEY-----\n",
        "larger than 8192 bytes",
    ),
}


@pytest.mark.parametrize("convert", [openssh, pkcs8, lambda value: openssh_holds(b"", value)])
@pytest.mark.parametrize(("make", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_private_key_is_refused_without_a_word_of_it(keys, convert, make, says):
    """The message stands in a status, which more people may read than the Secret; and nothing is silenced."""
    value = make(keys)

    with pytest.raises(ValueInvalid, match=says) as refused:
        convert(value)

    assert refused.value.__context__ is None
    assert refused.value.__cause__ is None
    assert "canary" not in str(refused.value)
    assert all(line.decode() not in str(refused.value) for line in value.splitlines() if line)


def test_a_dsa_key_is_not_even_read():
    """Its public half would be computed, in a time that whoever made the key chooses."""
    numbers = dsa.DSAParameterNumbers(p=2**1023 + 1155, q=2**159 + 525, g=2)
    public = dsa.DSAPublicNumbers(y=4, parameter_numbers=numbers)
    key = dsa.DSAPrivateNumbers(x=2, public_numbers=public)

    with pytest.raises(ValueInvalid, match="none of RSA"):
        pkcs8(private_pem(key.private_key()))


@pytest.mark.parametrize("make", [ed448.Ed448PrivateKey.generate, lambda: ec.generate_private_key(ec.SECP256K1())])
def test_kinds_that_openssh_lacks_are_refused(make):
    """The key is good, and no format of OpenSSH can hold it."""
    value = private_pem(make())

    assert pkcs8(value) == value
    with pytest.raises(ValueInvalid, match="OpenSSH has no private keys of this kind") as refused:
        openssh(value)
    assert refused.value.__context__ is None


@given(st.binary(), st.sampled_from(["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY"]))
def test_any_bytes_are_a_key_or_are_refused(body, label):
    """A value of a vault is whatever somebody typed, and an error of a library may quote it."""
    value = b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (label.encode(), body, label.encode())

    with pytest.raises(ValueInvalid) as refused:
        openssh(value)

    assert refused.value.__context__ is None


def test_a_key_does_not_print_itself(keys):
    """A log line of some later error must not hold it."""
    assert repr(read_private_key(private_pem(keys["p256"]))) == "PrivateKey(block=Block(label='PRIVATE KEY'))"


@pytest.mark.parametrize("convert", [openssh, pkcs8])
def test_without_the_extra_the_template_is_invalid(keys, monkeypatch, convert):
    """An installation by pip may lack it, and the status must name what to install."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)

    with pytest.raises(InvalidTemplate, match=r'the extra "crypto" .* install keyturn\[crypto\]') as invalid:
        convert(private_pem(keys["ed25519"]))
    assert invalid.value.__context__ is None


@pytest.mark.parametrize("form", [PKCS8, TRADITIONAL])
def test_a_large_rsa_key_is_read_without_testing_its_primes(keys, form):
    """The test would hold Python's lock for a quarter of a minute, and with it the Lease."""
    value = private_pem(keys["rsa"], form)

    assert private_der(load_pem_private_key(value, None)) == read_private_key(value).encoded
