"""The blocks of a bundle, by kind, in order, and never a part of one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.pem import KINDS, blocks, pem
from keyturn.core.shape_errors import ValueInvalid


def block(label, body="AAAA"):
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"


LEAF, AUTHORITY = block("CERTIFICATE", "bGVhZg=="), block("CERTIFICATE", "Y2E=")
PKCS8, PKCS1, SEC1 = block("PRIVATE KEY"), block("RSA PRIVATE KEY"), block("EC PRIVATE KEY")
OPENSSH, ENCRYPTED, PUBLIC = block("OPENSSH PRIVATE KEY"), block("ENCRYPTED PRIVATE KEY"), block("PUBLIC KEY")
PARAMETERS, REQUEST = block("EC PARAMETERS"), block("CERTIFICATE REQUEST")


@pytest.mark.parametrize(
    ("value", "kind", "chosen"),
    [
        (LEAF + AUTHORITY + PKCS8, "CERTIFICATE", LEAF + AUTHORITY),
        (PKCS8 + LEAF + AUTHORITY, "CERTIFICATE", LEAF + AUTHORITY),
        (AUTHORITY + PKCS8 + LEAF, "CERTIFICATE", AUTHORITY + LEAF),
        (REQUEST + LEAF, "CERTIFICATE", LEAF),
        (LEAF + PKCS8, "PRIVATE KEY", PKCS8),
        (PKCS1 + PKCS8, "PRIVATE KEY", PKCS8),
        (LEAF + PKCS1, "KEY", PKCS1),
        (PARAMETERS + SEC1 + LEAF, "KEY", SEC1),
        (OPENSSH, "KEY", OPENSSH),
        (ENCRYPTED, "KEY", ENCRYPTED),
        (PUBLIC + PKCS8, "KEY", PKCS8),
        ("Bag Attributes\n  friendlyName: x\n" + LEAF + "subject=CN = x\n" + PKCS8, "CERTIFICATE", LEAF),
        (LEAF.replace("\n", "\r\n"), "CERTIFICATE", LEAF),
        ("  " + LEAF.replace("\n", "  \n  "), "CERTIFICATE", LEAF),
        (LEAF.rstrip(), "CERTIFICATE", LEAF),
        ("\N{ZERO WIDTH NO-BREAK SPACE}\n" + LEAF, "CERTIFICATE", LEAF),
        ("-----BEGIN -----\nAAAA\n-----END -----\n" + LEAF, "CERTIFICATE", LEAF),
    ],
)
def test_blocks_are_chosen_by_kind_in_their_order(value, kind, chosen):
    """Web servers take the first certificate for their own, and the one private key for that certificate's."""
    assert pem(value.encode(), kind).decode() == chosen


@pytest.mark.parametrize(
    ("value", "kind", "says"),
    [
        ("", "CERTIFICATE", "no PEM block of the kind CERTIFICATE"),
        (PKCS8, "CERTIFICATE", "no PEM block of the kind CERTIFICATE"),
        (PKCS1, "PRIVATE KEY", "no PEM block of the kind PRIVATE KEY"),
        (LEAF + PUBLIC, "KEY", "no PEM block of the kind KEY"),
        (LEAF.replace("\n", " "), "CERTIFICATE", "has lost its line breaks"),
        (LEAF + AUTHORITY[:-10], "CERTIFICATE", "has no end"),
        (LEAF[:-10] + "\n" + AUTHORITY, "CERTIFICATE", "has no end"),
        (LEAF + PKCS8[:-10], "CERTIFICATE", "has no end"),
        (LEAF.replace("END CERTIFICATE", "END PRIVATE KEY"), "CERTIFICATE", "has no end"),
    ],
)
def test_a_value_without_such_a_block_is_refused(value, kind, says):
    """A bundle that was cut on its way to the vault would otherwise become a shorter chain."""
    with pytest.raises(ValueInvalid, match=says):
        pem(value.encode(), kind)


@given(st.binary() | st.text("-BEGIN D\n\r").map(str.encode), st.sampled_from(KINDS))
def test_any_bytes_are_blocks_or_are_refused(value, kind):
    """A file of a vault is whatever somebody uploaded."""
    try:
        chosen = pem(value, kind)
    except ValueInvalid:
        return
    assert pem(chosen, kind) == chosen


@given(st.lists(st.sampled_from([LEAF, AUTHORITY, PKCS8, PKCS1, SEC1, PUBLIC, "text between\n"])))
def test_every_block_is_found_once_and_unchanged(parts):
    """What a bundle holds is what is in it, however often and in whatever order."""
    whole = [part for part in parts if part.startswith("-----")]

    assert [each.text.decode() for each in blocks("".join(parts).encode())] == whole


def test_many_beginnings_cost_one_pass():
    """A search for the end of each would take minutes for a hostile value of 1 MiB."""
    with pytest.raises(ValueInvalid):
        pem(b"-----BEGIN CERTIFICATE-----\n" * 40_000, "CERTIFICATE")
    assert len(list(blocks(LEAF.encode() * 10_000))) == 10_000


def test_a_block_does_not_print_what_it_holds():
    """It may be a private key."""
    [found] = blocks(PKCS8.encode())

    assert "AAAA" not in repr(found)
    assert found.body == b"\0\0\0"
