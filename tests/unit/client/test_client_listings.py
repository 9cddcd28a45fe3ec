"""What `items`, `grants` and `sync` print, whatever the broker answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.client.failures import ImplausibleAnswer
from keyturn.client.listings import grants_table, items_table, sync_errors, sync_line, table

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["items", "grants", "label", "domains", "fields", "sync_summary", "added", "errors", "code"]
            ),
            children,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(answer=JSON, listing=st.sampled_from([items_table, grants_table, sync_line]))
def test_every_answer_is_listed_or_refused(answer, listing):
    """A newer broker may say more, and something between may say anything."""
    try:
        text = listing(answer)
    except ImplausibleAnswer:
        return
    assert text.endswith("\n")
    assert all(line.isprintable() for line in text[:-1].split("\n"))


@given(answer=JSON)
def test_errors_of_a_sync_are_one_line_each(answer):
    """They become one line of the log."""
    assert all(each.isprintable() for each in sync_errors(answer))


@pytest.mark.parametrize(
    ("errors", "lines"),
    [
        ([{"connectionId": "a/b", "code": "unavailable"}], ["a/b: unavailable"]),
        ([{"connectionId": "a/b", "code": "c", "message": "m"}], ["a/b: c: m"]),
        ({"a/b": "unavailable"}, ["a/b: unavailable"]),
        (["text\n"], ["text "]),
        (None, []),
    ],
)
def test_errors_of_a_sync(errors, lines):
    """Each names its connection."""
    assert sync_errors({"errors": errors}) == lines


def test_columns_stand_below_each_other():
    """As kubectl prints them."""
    assert table(("A", "LONG"), [("xxx", "y"), ("", "\x1b[31m")]) == "A     LONG\nxxx   y\n-      [31m\n"
