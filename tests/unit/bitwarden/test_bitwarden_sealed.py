"""Only what is whole, and sealed with the right key in a known way, is opened."""

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.providers.bitwarden.sealed import AccountPrivateKey, SymmetricKey, Undecipherable, UnsupportedSeal
from support.bitwarden_server.sealing import Key, private_key, seal_for_account

SEALER = Key(bytes(range(64)))
KEY = SymmetricKey(SEALER.material)
CANARY = "canary-9f2"


@given(st.text())
def test_a_sealed_text_is_opened(text):
    """Whatever its length: the padding is removed."""
    text = text.encode("utf-8", "replace").decode()

    assert KEY.open_text(SEALER.seal(text)) == text


@given(st.binary(max_size=200))
def test_a_sealed_file_is_opened(content):
    """Also one without any bytes."""
    assert KEY.open_file(SEALER.seal_file(content)) == content


@given(st.data())
def test_a_text_with_any_changed_bit_is_refused(data):
    """The server, or whoever sits in front of it, changes nothing unnoticed."""
    parts = [base64.b64decode(part) for part in SEALER.seal(CANARY).removeprefix("2.").split("|")]
    which = data.draw(st.integers(0, 2))
    bit = data.draw(st.integers(0, 8 * len(parts[which]) - 1))
    changed = bytearray(parts[which])
    changed[bit // 8] ^= 1 << bit % 8
    parts[which] = bytes(changed)
    sealed = "2." + "|".join(base64.b64encode(part).decode() for part in parts)

    with pytest.raises(Undecipherable) as error:
        KEY.open_text(sealed)

    assert str(error.value) == "it was changed, or sealed with another key"


@given(st.data())
def test_a_file_with_any_changed_byte_is_refused(data):
    """Its type, IV, MAC and content."""
    sealed = bytearray(SEALER.seal_file(b"content"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))

    with pytest.raises(Undecipherable):
        KEY.open_file(bytes(sealed))


@given(st.integers(0, 64))
def test_a_file_that_is_cut_short_is_refused(length):
    """A download that ends early is no file."""
    with pytest.raises(Undecipherable):
        KEY.open_file(SEALER.seal_file(b"c")[:length])


@given(st.text(max_size=80) | st.text(alphabet="0123456789.|=AZaz+/", max_size=80))
def test_whatever_is_not_sealed_is_refused_without_a_word_of_it(text):
    """A server that sends values in clear must not find them in a status."""
    for attempt in (KEY.open_text, AccountPrivateKey(private_key()).open_key):
        with pytest.raises(Undecipherable) as error:
            attempt(f"{CANARY}{text}{CANARY}")

        assert CANARY not in str(error.value)
        assert error.value.__context__ is None


@pytest.mark.parametrize(
    ("sealed", "reason"),
    [
        (SEALER.seal_without_mac(CANARY), r"without authentication \(type 0\)"),
        ("7.g1gdowE6AAERbwMYZQRQ", r"newer way \(type 7\)"),
    ],
    ids=["type 0", "type 7"],
)
def test_texts_of_other_types_are_refused_by_name(sealed, reason):
    """Type 0 could be changed unnoticed; type 7 is not known here."""
    with pytest.raises(UnsupportedSeal, match=reason):
        KEY.open_text(sealed)


@pytest.mark.parametrize(
    "sealed",
    ["", "2.", "2.|", "2.||", "2.a|b|c", "2.AAAA|AAAA", "2.AAAA|AAAA|AAAA|AAAA", "1.AAAA|AAAA|AAAA", "99.AAAA", "²."],
)
def test_damaged_texts_are_refused(sealed):
    """One kind of error, whatever the damage."""
    with pytest.raises(Undecipherable):
        KEY.open_text(sealed)


def test_a_text_of_another_key_is_refused():
    """As after a change of the account's key."""
    with pytest.raises(Undecipherable):
        KEY.open_text(Key().seal("text"))


def test_bytes_that_are_no_text_are_refused_without_a_word_of_them():
    """The error of the codec would quote them."""
    with pytest.raises(Undecipherable, match="it is not text") as error:
        KEY.open_text(SEALER.seal(b"\xff" + CANARY.encode()))

    assert error.value.__context__ is None


@pytest.mark.parametrize("kind", [3, 4])
def test_the_key_of_an_organisation_is_opened(kind):
    """With either hash."""
    key = AccountPrivateKey(private_key()).open_key(seal_for_account(SEALER, kind=kind))

    assert key.open_text(SEALER.seal("text")) == "text"


def test_the_key_of_an_organisation_for_another_account_is_refused():
    """It is not ours to open."""
    sealed = seal_for_account(SEALER)
    damaged = "4." + base64.b64encode(bytes(256)).decode()

    for wrong in (damaged, sealed.replace("4.", "3.", 1), SEALER.seal("text")):
        with pytest.raises(Undecipherable):
            AccountPrivateKey(private_key()).open_key(wrong)


def test_a_key_seals_a_key():
    """As the account's key seals those of items."""
    assert KEY.open_key(SEALER.seal(Key(bytes(64)).material)).open_text(Key(bytes(64)).seal("text")) == "text"


@pytest.mark.parametrize("length", [0, 32, 63, 65])
def test_a_key_of_another_length_is_refused(length):
    """Those of 32 bytes encrypt without authentication; longer ones are of a newer kind."""
    with pytest.raises(UnsupportedSeal):
        KEY.open_key(SEALER.seal(bytes(length)))


def test_what_is_no_private_key_is_refused():
    """The account's own key says that it is one; it may be of another kind."""
    with pytest.raises(UnsupportedSeal):
        AccountPrivateKey(b"no key")


def test_a_key_shows_nothing():
    """Neither in a repr nor after it was wiped."""
    key = SymmetricKey(bytes([65]) * 64)
    assert "A" * 8 not in repr(key)
    sealed = Key(bytes([65]) * 64).seal("text")
    key.wipe()

    with pytest.raises(Undecipherable):
        key.open_text(sealed)


@pytest.mark.parametrize("damage", ["iv", "length", "padding"])
def test_what_is_authentic_but_damaged_is_refused(damage):
    """As a client with a defect might seal it."""
    iv, ciphertext, _ = SEALER._parts(b"x" * 16)
    if damage == "iv":
        iv = iv[:8]
    elif damage == "length":
        ciphertext = ciphertext[:-1]
    else:
        # The first block alone has no padding.
        ciphertext = ciphertext[:16]
    mac = hmac.digest(SEALER.material[32:], iv + ciphertext, "sha256")
    sealed = "2." + "|".join(base64.b64encode(part).decode() for part in (iv, ciphertext, mac))

    with pytest.raises(Undecipherable, match="it is damaged"):
        KEY.open_text(sealed)
