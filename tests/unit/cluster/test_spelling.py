"""How bodies are spelled: YAML, as which the API server parses a server-side apply, refuses what JSON allows."""

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keyturn.cluster.spelling import respelled

_ANY = st.characters(codec=None)  # also halves of characters, unlike text() alone
_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(_ANY),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(_ANY), inner, max_size=4),
    max_leaves=12,
)


def in_go(text):
    """The text as Go's JSON parser reads it: whole characters, and U+FFFD for each half."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("plain", '"plain"'),
        ("🔑", '"🔑"'),
        ("\U0010ffff", '"\U0010ffff"'),
        ("é\u2028\x85\x7f\ufeff\x00", '"\\u00e9\\u2028\\u0085\\u007f\\ufeff\\u0000"'),
        ("\ud83d", '"\\ufffd"'),
        ("\udd11\ud83d", '"\\ufffd\\ufffd"'),
        ("\ud83d🔑", '"\\ufffd🔑"'),
        ("\\ud83d\\udd11", '"\\\\ud83d\\\\udd11"'),
        ("\\🔑", '"\\\\🔑"'),
    ],
    ids=["plain", "astral", "last", "refused raw", "half", "two halves", "half and whole", "backslashes", "backslash"],
)
def test_only_surrogate_escapes_are_spelled_otherwise(text, spelled):
    """What is escaped may stay so; raw, YAML would refuse some of it and read the rest as line breaks."""
    assert respelled(json.dumps(text)) == spelled


@given(_TREES)
@example({"\\": "\\\\\ud83d", "a": ["\udd11", "\\\\🔑\\"]})
def test_every_tree_says_the_same_and_fits_utf8(tree):
    """A title may hold anything; a body with it must arrive as it would have by JSON."""
    spelled = respelled(json.dumps(tree))

    assert spelled.encode().decode() == spelled
    assert json.loads(spelled) == json.loads(in_go(json.dumps(tree, ensure_ascii=False)))
    assert not re.search(r"\\ud[89a-f]", spelled.replace("\\\\", ""))
