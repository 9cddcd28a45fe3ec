"""Rewrite rules are followed backwards, from the name in a template to the label in the vault."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.convert.errors import NotConvertible
from keyturn.convert.rewrites import label_behind, read_rewrites


def regexp(source, target):
    return {"regexp": {"source": source, "target": target}}


def transform(template):
    return {"transform": {"template": template}}


@pytest.mark.parametrize(
    ("rules", "name", "label"),
    [
        ([], "password", "password"),
        ([regexp("(.*)", "db_$1")], "db_password", "password"),
        ([regexp("^(.+)$", "db_${1}")], "db_password", "password"),
        ([regexp(".*", "db_$0")], "db_password", "password"),
        ([regexp("(.*)", "${1}_main")], "password_main", "password"),
        ([regexp("^", "db_")], "db_password", "password"),
        ([regexp("$", "_main")], "password_main", "password"),
        ([regexp("(.*)", "db_$1")], "password", None),
        ([regexp("(.*)", "db_$1")], "db_", None),
        ([regexp("(.*)", "a_$1"), regexp("(.*)", "b_$1")], "b_a_password", "password"),
        ([regexp("[^a-zA-Z0-9 -]", "_"), regexp("(.*)", "db_$1")], "db_pass_word", "pass_word"),
        ([regexp("[^a-z]", "_")], "PASS", None),
        ([regexp("^password$", "TOKEN")], "TOKEN", "password"),
        ([regexp("^password$", "TOKEN")], "user", "user"),
        ([regexp("^password$", "TOKEN")], "password", None),
        ([transform("db_{{ .value }}")], "db_password", "password"),
        ([transform("{{ .value }}_main")], "password_main", "password"),
        ([transform("a_{{ .value }}_b")], "a_password_b", "password"),
        ([transform("{{ .value }}")], "password", "password"),
    ],
)
def test_the_label_behind_a_name(rules, name, label):
    """Prefixes and suffixes dissolve; a name that the rules cannot make has no label."""
    assert label_behind(name, read_rewrites(rules, "rewrite")) == label


@pytest.mark.parametrize(
    "rule",
    [
        regexp("(.*)", "$1_main"),
        regexp("(.*)", "a"),
        regexp("^db_(.*)$", "$1"),
        regexp("(.*)", "$1$1"),
        regexp("[z-a]", "_"),
        regexp("(.*)", 1),
        transform("{{ .value | upper }}"),
        transform("{{ if .value }}"),
        {"merge": {"into": "a"}},
        {"regexp": {"source": "(.*)", "target": "a_$1", "more": 1}},
        {},
    ],
)
def test_another_rule_is_refused(rule):
    """The first one looks like a suffix, but Go reads a group of the name `1_main`, which is empty."""
    with pytest.raises(NotConvertible, match=r"^rewrite\[1\]: a rule that does not just put a prefix or suffix"):
        read_rewrites([regexp("(.*)", "a_$1"), rule], "rewrite")


LABELS = st.text(alphabet="abAB01 _-", min_size=1, max_size=8)
AFFIXES = st.tuples(st.sampled_from(["", "p_", "q-"]), st.sampled_from(["", "_s"]))


@given(LABELS, st.lists(AFFIXES, max_size=3))
def test_what_the_rules_make_of_a_label_leads_back_to_it(label, affixes):
    """As the rules themselves would go forwards."""
    rules = [regexp("(.*)", f"{before}${{1}}{after}") for before, after in affixes]
    name = label
    for before, after in affixes:
        name = re.sub(r"^(.*)$", rf"{before}\g<1>{after}", name)

    assert label_behind(name, read_rewrites(rules, "rewrite")) == label
