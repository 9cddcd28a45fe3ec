"""Label selectors, against a table of what Kubernetes means by them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.label_selectors import LabelSelector


def fits(selector, labels):
    return LabelSelector.read(selector).fits(labels)


def expression(operator, *values):
    return {
        "matchExpressions": [{"key": "stage", "operator": operator, **({"values": list(values)} if values else {})}]
    }


@pytest.mark.parametrize(
    ("selector", "labels", "fitting"),
    [
        ({}, {}, True),
        ({}, {"stage": "test"}, True),
        ({"matchLabels": {"stage": "test"}}, {"stage": "test", "team": "a"}, True),
        ({"matchLabels": {"stage": "test"}}, {"stage": "live"}, False),
        ({"matchLabels": {"stage": "test"}}, {}, False),
        ({"matchLabels": {"stage": ""}}, {"stage": ""}, True),
        ({"matchLabels": {"stage": ""}}, {}, False),
        ({"matchLabels": {"stage": "test", "team": "a"}}, {"stage": "test"}, False),
        (expression("In", "test", "live"), {"stage": "live"}, True),
        (expression("In", "test", "live"), {"stage": "other"}, False),
        (expression("In", "test"), {}, False),
        (expression("NotIn", "live"), {"stage": "test"}, True),
        (expression("NotIn", "live"), {"stage": "live"}, False),
        # As Kubernetes means it: a label that is missing is not one of the values.
        (expression("NotIn", "live"), {}, True),
        (expression("Exists"), {"stage": ""}, True),
        (expression("Exists"), {}, False),
        (expression("DoesNotExist"), {}, True),
        (expression("DoesNotExist"), {"stage": ""}, False),
        ({"matchLabels": {"team": "a"}, **expression("Exists")}, {"team": "a"}, False),
        ({"matchLabels": {"team": "a"}, **expression("Exists")}, {"team": "a", "stage": "x"}, True),
    ],
)
def test_a_selector_means_what_kubernetes_means(selector, labels, fitting):
    """A Namespace is selected here as by a NetworkPolicy."""
    assert fits(selector, labels) is fitting


@pytest.mark.parametrize(
    "selector",
    [
        {"matchLabels": "team=a"},
        {"matchLabels": {"stage": None}},
        {"matchExpressions": {"key": "stage"}},
        {"matchExpressions": ["stage"]},
        {"matchExpressions": [{"operator": "Exists"}]},
        {"matchExpressions": [{"key": "stage"}]},
        {"matchExpressions": [{"key": "stage", "operator": "exists"}]},
        {"matchExpressions": [{"key": "stage", "operator": "Gt", "values": ["1"]}]},
        {"matchExpressions": [{"key": "stage", "operator": "In"}]},
        {"matchExpressions": [{"key": "stage", "operator": "NotIn", "values": []}]},
        {"matchExpressions": [{"key": "stage", "operator": "NotIn", "values": [1]}]},
        {"matchExpressions": [{"key": "stage", "operator": "NotIn", "values": "live"}]},
        {"matchExpressions": [{"key": "stage", "operator": "Exists", "values": ["x"]}]},
    ],
)
@given(labels=st.dictionaries(st.sampled_from(["stage", "team", ""]), st.sampled_from(["", "a", "live"]), max_size=2))
def test_a_selector_that_cannot_be_read_selects_nothing(selector, labels):
    """It is consent, so a mistake in it must not give any."""
    assert not fits(selector, labels)
