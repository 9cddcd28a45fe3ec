"""What is reported of a workload that is not restarted because a key is gone."""

import pytest

from keyturn.cluster import DEPLOYMENTS
from keyturn.control.restarts.gone import GoneKeys
from keyturn.core.metadata import ObjectMeta
from keyturn.core.restarts import Verdict
from support.fake_api import FakeApiServer
from support.fake_context import fake_context, posted_events
from support.restart_objects import add_pending

WEB = ObjectMeta.of({"metadata": {"namespace": "app", "name": "web", "uid": "web-uid"}})
VERDICT = Verdict(due={"login": ("password",)}, gone={"login": ("password",)})


@pytest.fixture(name="pending")
def _pending():
    [pending] = add_pending(FakeApiServer(), "login")
    return {"login": pending}


def test_a_case_is_posted_at_each_pass_and_logged_once(pending, caplog):
    """The poster of Events decides which repetition is worth a write; a log has nobody who does."""
    context = fake_context(FakeApiServer())
    gone = GoneKeys(context)
    for _ in range(3):
        gone.report(DEPLOYMENTS, WEB, VERDICT, pending)
        gone.forget_all_but_latest("app")

    assert {(about.name, event.reason, event.warning) for about, event in posted_events(context)} == {
        ("web", "KeyGone", True)
    }
    assert len(posted_events(context)) == 3
    assert len(caplog.records) == 1


def test_a_case_that_a_pass_did_not_find_is_over(pending, caplog):
    """If it comes back, it is logged again."""
    gone = GoneKeys(fake_context(FakeApiServer()))
    gone.report(DEPLOYMENTS, WEB, VERDICT, pending)
    for _ in range(2):
        gone.forget_all_but_latest("app")
    gone.report(DEPLOYMENTS, WEB, VERDICT, pending)

    assert len(caplog.records) == 2
