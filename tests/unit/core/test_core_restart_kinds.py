"""Which further kinds may be restarted, and how they are written."""

import pytest

from keyturn.core.restart_kinds import BadKind, KindReference, parse_kinds

ROLLOUT = KindReference("argoproj.io", "v1alpha1", "Rollout", ("spec", "template"))


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        pytest.param("", (), id="none"),
        pytest.param("argoproj.io/v1alpha1/Rollout", (ROLLOUT,), id="the worked example"),
        pytest.param(
            "a.b/v1/Thing=spec.pod.template , argoproj.io/v1alpha1/Rollout,",
            (KindReference("a.b", "v1", "Thing", ("spec", "pod", "template")), ROLLOUT),
            id="several, one with its template elsewhere",
        ),
        pytest.param("argoproj.io/v1alpha1/Rollout,argoproj.io/v1alpha1/Rollout", (ROLLOUT,), id="once is enough"),
    ],
)
def test_kinds_are_read(text, kinds):
    """By group, version and kind, as manifests name them; the API server knows the plural."""
    assert parse_kinds(text) == kinds


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Rollout", "group/version/Kind"),
        ("v1/Pod", "group/version/Kind"),
        ("argoproj.io/v1alpha1/rollouts", "group/version/Kind"),
        ("argoproj.io/v1alpha1/Rollout=", "group/version/Kind"),
        ("argoproj.io/v1alpha1/Rollout=spec..template", "group/version/Kind"),
        ("a.b/v1/Thing=metadata.template", "metadata"),
        ("batch/v1/Job", "never runs"),
        ("batch/v1/CronJob", "never runs"),
        ("batch.volcano.sh/v1alpha1/Job", "never runs"),
        ("apps/v1/Deployment", "need not"),
        ("apps/v1/ReplicaSet", "keeps its pods"),
    ],
)
def test_what_cannot_be_restarted_is_refused(text, why):
    """In one line that quotes it, when the operator starts and not when a Secret changes."""
    with pytest.raises(BadKind, match=why) as refused:
        parse_kinds(f"argoproj.io/v1alpha1/Rollout,{text}")

    assert repr(text) in str(refused.value)
