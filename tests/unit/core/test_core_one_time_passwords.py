"""One-time passwords, by the table of RFC 6238."""

from base64 import b32encode

import pytest

from keyturn.core.one_time_passwords import one_time_password

SEEDS = {"SHA1": b"1234567890" * 2, "SHA256": b"1234567890" * 4, "SHA512": b"1234567890" * 7}
LENGTHS = {"SHA1": 20, "SHA256": 32, "SHA512": 64}


def seed(algorithm: str, digits: int = 8) -> str:
    key = b32encode(SEEDS[algorithm][: LENGTHS[algorithm]]).decode().rstrip("=")
    return f"otpauth://totp/test:ada?secret={key}&algorithm={algorithm}&digits={digits}&period=30"


@pytest.mark.parametrize(
    ("at", "algorithm", "code"),
    [
        (59, "SHA1", "94287082"),
        (59, "SHA256", "46119246"),
        (59, "SHA512", "90693936"),
        (1111111109, "SHA1", "07081804"),
        (1111111111, "SHA256", "67062674"),
        (1234567890, "SHA512", "93441116"),
        (20000000000, "SHA1", "65353130"),
    ],
)
def test_the_codes_of_the_standard(at, algorithm, code):
    """A code is that of the RFC's appendix, and its last six digits if six are wanted."""
    assert one_time_password(seed(algorithm), at) == code
    assert one_time_password(seed(algorithm, 6), at) == code[2:]


def test_the_bare_key_is_a_seed():
    """1Password's apps take the key alone, in groups and in lower case."""
    assert one_time_password("gezd gnbv-gy3t qojq gezd gnbv gy3t qojq", 59) == "287082"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no seed!",
        "otpauth://hotp/x?secret=GEZDGNBVGY3TQOJQ",
        "otpauth://totp/x",
        "otpauth://totp/x?secret=1",
        "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ&digits=0",
        "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ&digits=99",
        "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ&period=0",
        "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ&algorithm=MD5",
        "otpauth://[/x?secret=GEZDGNBVGY3TQOJQ",
        "otpauth://totp/x?" + "a=b&" * 50,
    ],
)
def test_what_is_no_seed(text):
    """Anything else gives no code, rather than a wrong one."""
    assert one_time_password(text, 59) is None
