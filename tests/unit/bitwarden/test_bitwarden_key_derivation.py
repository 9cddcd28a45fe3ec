"""The costs of a key derivation are the server's choice, within bounds."""

import pytest

from keyturn.providers.bitwarden.key_derivation import ARGON2ID, PBKDF2, KeyDerivation, derive
from support.bitwarden_server.sealing import Key


@pytest.mark.parametrize(
    "how",
    [KeyDerivation(PBKDF2, 5_000), KeyDerivation(ARGON2ID, 1, 15, 1)],
    ids=["pbkdf2", "argon2id"],
)
def test_the_derived_key_is_the_right_one(how):
    """It opens what the test server's own derivation sealed; that one is judged by the real client."""
    sealer = Key.derived(
        "pässword",
        "robot@example.com",
        kind=how.kind,
        iterations=how.iterations,
        memory=how.memory,
        parallelism=how.parallelism,
    )

    assert derive("pässword", "robot@example.com", how).open_text(sealer.seal("text")) == "text"


def test_a_salt_that_is_no_text_is_no_crash():
    """JSON can carry half a character."""
    derive("password", "\ud800", KeyDerivation(PBKDF2, 5_000))


@pytest.mark.parametrize(
    ("how", "refusal"),
    [
        (KeyDerivation(PBKDF2, 600_000), None),
        (KeyDerivation(PBKDF2, 5_000), None),
        (KeyDerivation(PBKDF2, 2_000_000), None),
        (KeyDerivation(PBKDF2, 4_999), "4999 as iterations; 5000 to 2000000 is possible"),
        (KeyDerivation(PBKDF2, 2_000_001), "2000001 as iterations"),
        (KeyDerivation(ARGON2ID, 3, 64, 4), None),
        (KeyDerivation(ARGON2ID, 10, 128, 16), None),
        (KeyDerivation(ARGON2ID, 11, 64, 4), "11 as iterations; 1 to 10 is possible"),
        (KeyDerivation(ARGON2ID, 3, 129, 4), "129 as memory in MiB; 15 to 128 is possible"),
        (KeyDerivation(ARGON2ID, 3, 14, 4), "14 as memory in MiB"),
        (KeyDerivation(ARGON2ID, 3, 64, 17), "17 as parallelism; 1 to 16 is possible"),
        (KeyDerivation(ARGON2ID, 3, 64, 0), "0 as parallelism"),
        (KeyDerivation(2, 600_000), "unknown kind 2"),
        (KeyDerivation(-1, 600_000), "unknown kind -1"),
    ],
)
def test_a_derivation_out_of_bounds_is_refused(how, refusal):
    """A hostile server would take all memory and CPU with one answer."""
    found = how.refusal()

    assert (found is None) if refusal is None else (refusal in found)
