"""Hashes of passwords: another one at each call, and an old one is kept while it fits."""

import re
import sys

import pytest
from bcrypt import checkpw, gensalt, hashpw
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.core.password_hashes import bcrypt, bcrypt_holds, htpasswd, htpasswd_holds
from keyturn.core.shape_errors import InvalidTemplate, ValueInvalid

# A hash takes 60 ms.
few = settings(max_examples=3)
passwords = st.binary(max_size=72).filter(lambda password: b"\0" not in password)


@given(passwords)
@few
def test_a_hash_fits_its_password_and_no_other(password):
    """A server must let in who knows the password."""
    made = bcrypt(password)

    assert re.fullmatch(rb"\$2b\$10\$[./A-Za-z0-9]{53}", made)
    assert checkpw(password, made)
    assert bcrypt_holds(made, password)
    assert not bcrypt_holds(made, password[:71] + b"x" if password[71:] != b"x" else b"y")


def test_two_calls_differ_and_both_hold():
    """The reason why old bytes are checked, and not made again."""
    first, second = bcrypt(b"secret"), bcrypt(b"secret")

    assert first != second
    assert bcrypt_holds(first, b"secret")
    assert bcrypt_holds(second, b"secret")


def test_a_line_names_its_user():
    """Apache, nginx and Traefik read such lines, and know the algorithm by Apache's prefix."""
    line = htpasswd(b"secret", "zoë".encode())

    user, hashed = line.split(b":")
    assert (user.decode(), hashed[:7]) == ("zoë", b"$2y$10$")
    assert checkpw(b"secret", hashed)
    assert htpasswd_holds(line, b"secret", user)
    assert not htpasswd_holds(line, b"other", user)
    assert not htpasswd_holds(line, b"secret", b"zo")
    assert not htpasswd_holds(line + b"\n", b"secret", user)
    assert not htpasswd_holds(line.replace(b"$2y$", b"$2b$"), b"secret", user)


@pytest.mark.parametrize(
    "old",
    [
        b"",
        b"secret",
        hashpw(b"secret", gensalt(4)),
        hashpw(b"secret", gensalt(4)).replace(b"$04$", b"$31$"),
        b"$2b$10$" + b"9" * 53,
        b"$2b$10$" + b"." * 53,
        b"$2b$10$" + b"." * 52,
        b"$2b$10$" + b"\xff" * 53,
        bcrypt(b"secret") + b"\n",
        bcrypt(b"secret").replace(b"$2b$", b"$2a$"),
        bcrypt(b"secret").replace(b"$2b$", b"$2y$"),
    ],
    ids=range(11),
)
def test_what_is_not_such_a_hash_does_not_hold(old):
    """A hash with another cost is drift, and to check one with the highest cost takes a day."""
    assert not bcrypt_holds(old, b"secret")
    assert not htpasswd_holds(old, b"secret", b"ada")


@given(st.binary(), st.binary(min_size=1))
def test_any_old_bytes_do_not_hold(old, password):
    """Before the first write, and after somebody else's, the key holds anything."""
    try:
        assert not bcrypt_holds(old, password)
        assert not htpasswd_holds(old, password, b"ada")
    except ValueInvalid:
        assert len(password) > 72 or b"\0" in password


@pytest.mark.parametrize(
    ("password", "user", "says"),
    [
        (b"canary" * 13, b"ada", "longer than 72 bytes"),
        ("ü".encode() * 37, b"ada", "longer than 72 bytes"),
        (b"can\0ary", b"ada", "zero byte"),
        (b"canary", b"", "user's name is empty"),
        (b"canary", b"a:b", "has a colon"),
        (b"canary", b"a\nb", "a line break"),
        (b"canary", b"a\0", "a control character"),
    ],
)
def test_what_a_hash_would_not_cover_is_refused(password, user, says):
    """Whoever knew the first 72 bytes would be let in; and a name with a line break could add a user."""
    for call in (lambda: htpasswd(password, user), lambda: htpasswd_holds(b"", password, user)):
        with pytest.raises(ValueInvalid, match=says) as refused:
            call()
        assert "canary" not in str(refused.value)
        assert refused.value.__context__ is None


def test_72_bytes_are_taken():
    """The limit of bcrypt itself."""
    assert bcrypt_holds(bcrypt(b"x" * 72), b"x" * 72)


def test_without_the_extra_the_template_is_invalid(monkeypatch):
    """An installation by pip may lack it, and the status must name what to install."""
    monkeypatch.setitem(sys.modules, "bcrypt", None)

    for call in (lambda: bcrypt(b"x"), lambda: bcrypt_holds(b"", b"x")):
        with pytest.raises(InvalidTemplate, match='the extra "crypto"') as invalid:
            call()
        assert invalid.value.__context__ is None
