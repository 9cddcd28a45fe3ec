"""How the results of the parts of a pass become one."""

import pytest

from keyturn.cluster import TooManyRequests, Unavailable
from keyturn.control.restarts.results import KindResult, PassResult

FAILED = PassResult(failed=True, retry_after=7.0)
PROGRESS = PassResult(progress=True)


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        pytest.param([], PassResult(), id="nothing to do"),
        pytest.param([PassResult(), PROGRESS], PROGRESS, id="progress of one"),
        pytest.param([FAILED, PROGRESS], PassResult(progress=True, failed=True, retry_after=7.0), id="and a failure"),
        pytest.param([FAILED, PassResult(failed=True, retry_after=3.0)], FAILED, id="the longest Retry-After"),
    ],
)
def test_a_pass_is_as_good_as_its_parts(parts, whole):
    """Any failure is tried again; any progress ends the growth of delays."""
    assert PassResult.merged(parts) == whole


@pytest.mark.parametrize(
    ("error", "retry_after"), [(TooManyRequests("busy", retry_after=7.0), 7.0), (Unavailable("away"), 0.0)]
)
def test_an_error_says_when_to_come_back(error, retry_after):
    """If it does."""
    assert PassResult.failure(error) == PassResult(failed=True, retry_after=retry_after)


def test_workloads_are_added_up():
    """By the name of the Secret; one kind that could not be listed makes the whole incomplete."""
    deployments = KindResult(PROGRESS, left={"login": 1}, done={"login": 2, "tls": 1})
    daemonsets = KindResult(FAILED, left={"login": 1}, complete=False)

    assert KindResult.merged([deployments, daemonsets]) == KindResult(
        PassResult(progress=True, failed=True, retry_after=7.0),
        left={"login": 2},
        done={"login": 2, "tls": 1},
        complete=False,
    )
    assert KindResult.merged([]) == KindResult()
