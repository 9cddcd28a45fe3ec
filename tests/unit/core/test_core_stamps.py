"""Revision stamps: what an object carries of the Secrets that it has seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core import names
from keyturn.core.stamps import RevisionStamp, read_stamps, written_stamps

STAMP = st.builds(RevisionStamp, st.text("abc0", min_size=1), st.integers(1, 10**18 - 1))


@given(st.dictionaries(st.text("ab.-", min_size=1), STAMP, min_size=1))
def test_stamps_are_read_back_as_they_were_written(stamps):
    """What is not read back would be one more restart, again and again."""
    written = written_stamps({name: str(stamp) for name, stamp in stamps.items()})

    found = read_stamps({names.REVISION: written})

    assert {name: RevisionStamp.parse(text) for name, text in found.items()} == stamps


@pytest.mark.parametrize(
    ("text", "stamp"),
    [
        ("cafe.2", RevisionStamp("cafe", 2)),
        ("cafe", RevisionStamp("cafe", 0)),
        ("cafe.two", RevisionStamp("cafe", 0)),
        ("cafe.1.2", RevisionStamp("cafe", 0)),
        ("", RevisionStamp("", 0)),
    ],
)
def test_text_of_another_form_is_a_stamp_of_no_revision(text, stamp):
    """Anyone may have edited it."""
    assert RevisionStamp.parse(text) == stamp


@pytest.mark.parametrize(
    ("annotation", "stamps"),
    [
        ("a=x.1,b=y.2", {"a": "x.1", "b": "y.2"}),
        ("a=x.1,nonsense,=", {"a": "x.1", "": ""}),
        ("", {}),
    ],
)
def test_an_annotation_holds_a_stamp_for_each_secret(annotation, stamps):
    """In one annotation, under the names of the Secrets."""
    assert read_stamps({"under": annotation}, "under") == stamps


def test_a_stamp_tells_a_recreated_secret_from_the_one_before():
    """Its revisions count from 1 again."""
    assert str(RevisionStamp.of("cafe-1", 2)) == "cafe.2"
    assert RevisionStamp.of("cafe-1", 2) != RevisionStamp.of("beef-1", 2)
