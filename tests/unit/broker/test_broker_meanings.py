"""What a reference means in an item: names, sections, one-time passwords."""

from datetime import UTC, datetime

import pytest

from keyturn.broker.errors import Ambiguous, UnreadableRequest
from keyturn.broker.meanings import ReferenceValue, means_bytes, meant_by, value_text
from keyturn.core.references import Fields
from keyturn.core.secret_references import parse_secret_reference
from keyturn.core.vault import Field, FieldKind, Item
from support.fake_vaults import item_ref

# The seed and the time of a test vector of RFC 6238.
SEED = "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&digits=8"
NOW = datetime.fromtimestamp(59, tz=UTC)

PASSWORD = Field("p", "password", value="pass 0189")
TOKEN = Field("t", "seed", value=SEED)
HOST = Field("h", "host", value="db", section="net", section_id="n")
TWINS = (Field("1", "twin", value="a"), Field("2", "twin", value="b"))
CERT = Field("c", "cert.pem", kind=FieldKind.FILE, size=3)
FIELDS = Fields(Item(item_ref("a", "db"), fields=(PASSWORD, TOKEN, HOST, *TWINS, CERT)), "")


def reference(text):
    return parse_secret_reference(f"op://Prod/db/{text}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password", PASSWORD),
        ("PASSWORD", PASSWORD),
        ("net/host", HOST),
        ("cert.pem", CERT),
        ("absent", None),
        ("absent/password", None),
    ],
)
def test_a_reference_means_a_field_or_a_file(text, expected):
    """As the command line of 1Password reads it."""
    assert meant_by(reference(text), FIELDS) == expected


def test_a_name_of_several_fields_means_none_of_them():
    """The error says nothing of the item: a caller may not be told what else it holds."""
    with pytest.raises(Ambiguous) as raised:
        meant_by(reference("twin"), FIELDS)
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "meant", "expected"),
    [("cert.pem", CERT, True), ("cert.pem?attribute=otp", CERT, False), ("x", HOST, False)],
)
def test_only_a_file_has_bytes_to_fetch(text, meant, expected):
    """A file gives no one-time password, so it is not fetched for one."""
    assert means_bytes(reference(text), meant) is expected


@pytest.mark.parametrize(
    ("text", "meant", "expected"),
    [
        ("password", PASSWORD, b"pass 0189"),
        ("seed", TOKEN, SEED.encode()),
        ("seed?attribute=otp", TOKEN, b"94287082"),
        ("none", Field("n", "none"), b""),
        ("odd", Field("o", "odd", value="\ud800"), b"\xed\xa0\x80"),
    ],
)
def test_the_text_of_a_field(text, meant, expected):
    """Whatever a vault holds comes out as it is."""
    assert value_text(reference(text), meant, now=NOW) == expected


@pytest.mark.parametrize("meant", [PASSWORD, CERT, Field("n", "none")])
def test_what_is_no_seed_gives_no_password(meant):
    """The error does not show what stands there."""
    with pytest.raises(UnreadableRequest) as raised:
        value_text(reference("x?attribute=otp"), meant, now=NOW)
    assert "0189" not in str(raised.value)


def test_a_value_is_not_shown():
    """Else a line of the log could show it."""
    assert "pass" not in repr(ReferenceValue(b"pass", "1"))
