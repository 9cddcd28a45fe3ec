"""Which workloads declined a restart, and for how long that is remembered."""

import pytest

from keyturn.cluster import SECRETS
from keyturn.control.restarts.declined import DeclinedMemory, DeclinedRestart
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import RESTART_DECLINED, RESTART_MANAGER
from support.fake_api import FakeApiServer
from support.restart_objects import add_pending, seen_again

WEB = ObjectMeta.of({"metadata": {"namespace": "app", "name": "web", "uid": "web-uid"}})


def pending(name="login", recorded="", manager=RESTART_MANAGER):
    """A Secret at revision 2."""
    api = FakeApiServer()
    [found] = add_pending(api, name)
    if recorded:
        patch = {"metadata": {"annotations": {RESTART_DECLINED: recorded}}}
        api.edit(SECRETS, "app", name, patch, manager=manager)
    return seen_again(api, found)


def test_what_was_declined_is_found_by_workload_and_by_secret():
    """A verdict needs the one, the record on the Secret the other."""
    memory = DeclinedMemory()
    memory.remember([DeclinedRestart("Deployment", WEB, pending()), DeclinedRestart("Deployment", WEB, pending("tls"))])

    assert memory.by("web-uid") == {"login-uid": 2, "tls-uid": 2}
    assert memory.of("tls-uid") == {"web-uid": 2}
    assert (memory.by("another"), memory.of("another")) == ({}, {})


@pytest.mark.parametrize(
    ("recorded", "by_web"),
    [
        pytest.param("web-uid=1", {"login-uid": 1}, id="what an earlier leader recorded"),
        pytest.param("web-uid=9", {}, id="beyond the Secret's revision"),
        pytest.param("web-uid=x", {}, id="no number"),
        pytest.param("other-uid=2", {}, id="of another workload"),
        pytest.param("", {}, id="nothing"),
    ],
)
def test_what_a_secret_records_is_read(recorded, by_web):
    """The leader before us may have seen a switch that is turned on since."""
    memory = DeclinedMemory()
    memory.read([pending(recorded=recorded)])

    assert memory.by("web-uid") == by_web


def test_a_record_that_somebody_else_wrote_does_not_count():
    """It could decline a restart for a workload that nobody asked."""
    memory = DeclinedMemory()
    memory.read([pending(recorded="web-uid=2", manager="kubectl-edit")])

    assert memory.by("web-uid") == {}


def test_what_is_known_wins_over_the_record():
    """Our picture of the record may be older than what we know."""
    memory = DeclinedMemory()
    memory.remember([DeclinedRestart("Deployment", WEB, pending())])
    memory.read([pending(recorded="web-uid=1")])

    assert memory.by("web-uid") == {"login-uid": 2}


def test_what_is_done_is_forgotten():
    """Else a long-lived operator remembers every workload that ever declined."""
    memory = DeclinedMemory()
    memory.remember([DeclinedRestart("Deployment", WEB, pending()), DeclinedRestart("Deployment", WEB, pending("tls"))])

    memory.forget_all_but({"tls-uid"})
    assert memory.by("web-uid") == {"tls-uid": 2}
    memory.forget_all_but(set())
    assert memory.by("web-uid") == {}
