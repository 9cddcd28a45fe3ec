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


def test_a_guess_among_names_that_are_all_near_takes_milliseconds_too():
    """Whoever has a vault of his own chooses its titles."""
    began = time.process_time()

    assert closest("a" * 100, ["a" * 98 + "bc"] * 50_000) == "a" * 98 + "bc"

    assert time.process_time() - began < 0.5


def distance(one, other):
    """The whole table, by the definition: letters added, left out, replaced, or exchanged with their neighbour."""
    table = {
        (row, column): row + column
        for row in range(len(one) + 1)
        for column in range(len(other) + 1)
        if not row * column
    }
    for row, letter in enumerate(one, 1):
        for column, against in enumerate(other, 1):
            steps = [
                table[row - 1, column] + 1,
                table[row, column - 1] + 1,
                table[row - 1, column - 1] + (letter != against),
            ]
            if row > 1 and column > 1 and (letter, one[row - 2]) == (other[column - 2], against):
                steps.append(table[row - 2, column - 2] + 1)
            table[row, column] = min(steps)
    return table[len(one), len(other)]


@given(st.text("abc", min_size=1, max_size=14), st.text("abc", min_size=1, max_size=14))
def test_a_guess_is_as_near_as_the_definition_says(name, known):
    """Only a part of the table is computed."""
    allowed = min(2, len(name) // 4)
    comparable = abs(len(name) - len(known)) <= allowed and (name[0] == known[0] or name[-1] == known[-1])

    assert (closest(name, [known]) == known) is (comparable and distance(name, known) <= allowed)
