import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.observe.health import Bind, Heartbeat, parse_bind, report
from support.fake_time import FakeTime


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("0", None),
        (":8081", Bind(None, 8081)),
        ("127.0.0.1:0", Bind("127.0.0.1", 0)),
        ("localhost:8081", Bind("localhost", 8081)),
        ("[::1]:8080", Bind("::1", 8080)),
        ("[fe80::1%eth0]:1", Bind("fe80::1%eth0", 1)),
    ],
)
def test_addresses_are_read_as_the_official_operator_reads_them(text, bind):
    """An empty host means all interfaces, and a lone 0 means off."""
    assert parse_bind(text) == bind
    assert bind is None or str(bind) == text


@pytest.mark.parametrize(
    "text", ["", "8081", "::1:8080", "[::1]", "host:", "host:http", ":99999", "a b c", "http://x:1/"]
)
def test_a_text_that_is_no_address_is_refused_with_examples(text):
    """The error shows what to write."""
    with pytest.raises(ValueError, match="write :8081"):
        parse_bind(text)


@given(st.text(max_size=20))
def test_reading_an_address_gives_a_valid_port_or_a_clear_error(text):
    """No text leads to anything else."""
    try:
        bind = parse_bind(text)
    except ValueError:
        return
    assert bind is None or 0 <= bind.port <= 65535


def test_all_well_is_one_word_or_a_list():
    """As Kubernetes' own endpoints answer."""
    checks = {"poller": lambda: None, "watch": lambda: None}

    assert report("readyz", checks, verbose=False) == (200, "ok")
    assert report("readyz", checks, verbose=True) == (200, "[+]poller ok\n[+]watch ok\nreadyz check passed\n")


def test_a_detail_is_added_only_if_all_is_well():
    """The probe of a standby says what the standby is ready for."""
    good, bad = {"lease": lambda: None}, {"lease": lambda: "forbidden"}

    assert report("readyz", good, verbose=False, detail="standby") == (200, "ok: standby")
    assert report("readyz", good, verbose=True, detail="standby") == (
        200,
        "[+]lease ok\nreadyz check passed: standby\n",
    )
    assert report("readyz", bad, verbose=False, detail="standby") == (
        503,
        "[-]lease failed: forbidden\nreadyz check failed\n",
    )


def test_notes_are_listed_with_the_checks_and_change_nothing():
    """What concerns one tenant is for people to read, not for the kubelet."""
    notes = ["Connection team/work is Down"]

    assert report("readyz", {"a": lambda: None}, verbose=False, notes=notes) == (200, "ok")
    status, text = report("readyz", {"a": lambda: None}, verbose=True, notes=notes)
    assert (status, text) == (200, "[+]a ok\n[ ]Connection team/work is Down\nreadyz check passed\n")
    status, text = report("readyz", {"a": lambda: "no"}, verbose=False, notes=notes)
    assert (status, text) == (503, "[-]a failed: no\n[ ]Connection team/work is Down\nreadyz check failed\n")


def test_a_failed_check_says_why_and_hides_no_other():
    """The answer is 503 and lists every check without being asked to."""
    checks = {"poller": lambda: "Connect unreachable", "watch": lambda: None}

    assert report("readyz", checks, verbose=False) == (
        503,
        "[-]poller failed: Connect unreachable\n[+]watch ok\nreadyz check failed\n",
    )


def test_a_check_that_raises_fails_without_the_text_of_its_exception():
    """The text of an unexpected exception may hold anything."""

    def broken():
        raise RuntimeError("canary")

    status, text = report("healthz", {"odd": broken}, verbose=False)
    assert status == 503
    assert "RuntimeError" in text
    assert "canary" not in text


class Watched:
    def __init__(self):
        self.time = FakeTime()
        self.heartbeat = Heartbeat(time=self.time)


def test_a_loop_is_alive_until_its_limit_passes():
    """The time counts from its last beat."""
    watched = Watched()
    watched.heartbeat.expect("poller", 60)()
    watched.time.advance(60)
    assert watched.heartbeat.check() is None
    watched.time.advance(35)
    assert watched.heartbeat.check() == "poller has not moved for 95 s (limit 60 s)"


def test_a_loop_that_has_not_begun_is_not_stuck():
    """It may wait for an API server that cannot be reached, or for a right: a restart of the process would not help."""
    watched = Watched()
    beat = watched.heartbeat.expect("poller", 60)
    watched.time.advance(1000)
    assert watched.heartbeat.check() is None
    beat()
    watched.time.advance(61)
    assert watched.heartbeat.check() == "poller has not moved for 61 s (limit 60 s)"


def test_every_stuck_loop_is_named():
    """The beats of one loop do not hide that another is stuck."""
    watched = Watched()
    watched.heartbeat.expect("poller", 60)()
    alive = watched.heartbeat.expect("restarter", 60)
    watched.heartbeat.expect("watch", 10)()
    watched.time.advance(61)
    alive()

    problem = watched.heartbeat.check()
    assert "poller" in problem
    assert "watch" in problem
    assert "restarter" not in problem


def test_a_loop_that_ended_is_not_stuck():
    """A late beat does not bring it back."""
    watched = Watched()
    beat = watched.heartbeat.expect("poller", 60)
    beat()
    watched.heartbeat.forget("poller")
    beat()
    watched.time.advance(1000)

    assert watched.heartbeat.check() is None
