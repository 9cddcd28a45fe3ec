import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.hints import closest


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("databse", ["web", "database"], "database"),
        ("dtaabase", ["database"], "database"),
        ("Database ", ["database"], "database"),
        ("databases", ["database", "databased"], "database"),
        ("prod-db-1", ["prod-db-2", "prod-db-10"], "prod-db-10"),
        ("dbs", ["db"], None),
        ("DB", ["dc", "db"], "db"),
        ("datxxxse", ["database"], None),
        ("qatabasq", ["database"], None),
        ("", ["a", ""], None),
        ("x" * 200, ["x" * 199], None),
    ],
)
def test_only_a_slip_is_answered(name, known, meant):
    """The nearest of several, by the alphabet if two are as near; never a name that only resembles."""
    assert closest(name, known) == meant


@given(st.text(min_size=5, max_size=30), st.integers(0, 29), st.characters())
def test_one_wrong_letter_in_the_middle_is_found(name, place, letter):
    """Whatever the alphabet."""
    place = 1 + place % (len(name) - 2)
    if letter.casefold() == letter and len(name.casefold()) == len(name):
        assert closest(name[:place] + letter + name[place + 1 :], [name]) == name


def test_a_guess_among_many_names_takes_milliseconds():
    """It is made in the event loop."""
    known = [f"service-{number:05}-password" for number in range(50_000)]
    began = time.process_time()

    closest("service-xxxxx-passwrod", known)

    assert time.process_time() - began < 0.5
