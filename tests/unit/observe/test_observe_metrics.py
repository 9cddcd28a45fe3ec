import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.observe.metrics import Metrics, Words


class Clock:
    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def metrics(clock):
    return Metrics(version="1.2.3", now=clock)


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_every_metric_is_ours_named_and_explained(metrics):
    """Names begin with `keyturn_` but for the standard process metrics, and each has a help text."""
    for family in metrics.registry.collect():
        assert family.name.startswith(("keyturn_", "process_"))
        assert family.documentation.endswith(".")


def test_no_series_comes_twice(metrics):
    """The library would tell of each when it was first seen, in a series that costs Prometheus as much again."""
    metrics.secret_written("created")
    metrics.polled(seconds=0.1, error=None)

    text, _ = metrics.expose("text/plain")
    series = [line.split("{")[0].split()[0] for line in text.decode().splitlines() if not line.startswith("#")]
    assert "keyturn_secret_writes_total" in series
    assert not [name for name in series if name.endswith("_created")]


def test_two_sets_of_metrics_count_separately(metrics):
    """Nothing is global."""
    other = Metrics(version="1")
    metrics.secret_written("created")

    assert value(metrics, "keyturn_secret_writes_total", operation="created") == 1
    assert value(other, "keyturn_secret_writes_total", operation="created") is None


def test_counts_what_it_is_told(metrics):
    """Each method ends up in its own series."""
    metrics.connect_request("/v1/vaults/{vault}/items", "200", 0.02)
    metrics.api_request("apply", "secrets", 200, 0.01)
    metrics.reconciled("Synced", seconds=0.1)
    metrics.queue(3, 1.5)
    metrics.restarted("Deployment", "done")
    metrics.restarts_owed(2)
    metrics.event("posted")

    assert value(metrics, "keyturn_connect_requests_total", route="/v1/vaults/{vault}/items", outcome="200") == 1
    assert value(metrics, "keyturn_connect_request_duration_seconds_sum", route="/v1/vaults/{vault}/items") == 0.02
    assert value(metrics, "keyturn_apiserver_requests_total", verb="apply", resource="secrets", code="200") == 1
    assert value(metrics, "keyturn_reconciles_total", reason="Synced") == 1
    assert value(metrics, "keyturn_queue_depth") == 3
    assert value(metrics, "keyturn_queue_oldest_age_seconds") == 1.5
    assert value(metrics, "keyturn_restarts_total", kind="Deployment", outcome="done") == 1
    assert value(metrics, "keyturn_restarts_owed") == 2
    assert value(metrics, "keyturn_events_total", outcome="posted") == 1


def test_the_age_of_the_last_poll_grows_between_scrapes(metrics, clock):
    """An alert on the age works without any event, also while no poll ever succeeded."""
    clock.now += 30
    assert value(metrics, "keyturn_last_successful_poll_age_seconds") == 30
    metrics.polled(seconds=2.0, error=None)
    clock.now += 7
    metrics.polled(seconds=1.0, error=TimeoutError("canary"))

    assert value(metrics, "keyturn_last_successful_poll_age_seconds") == 7
    assert value(metrics, "keyturn_last_successful_poll_timestamp_seconds") == 1030
    assert value(metrics, "keyturn_poll_duration_seconds_count") == 2
    assert value(metrics, "keyturn_connect_up") == 0
    assert value(metrics, "keyturn_connect_trouble", reason="TimeoutError") == 1
    assert b"canary" not in metrics.expose()[0]


def test_a_reason_that_no_longer_fails_disappears(metrics):
    """Failing items are a state, not a history."""
    metrics.items(managed=3, ready=1, failing={"VaultNotFound": 2})
    metrics.items(managed=3, ready=2, failing={"ItemNotFound": 1})

    assert value(metrics, "keyturn_items_failing", reason="VaultNotFound") is None
    assert value(metrics, "keyturn_items_failing", reason="ItemNotFound") == 1


def test_connect_is_up_or_down_for_one_reason(metrics):
    """The reason of the trouble is there only as long as the trouble."""
    metrics.connect_is("Unreachable")
    assert value(metrics, "keyturn_connect_up") == 0
    assert value(metrics, "keyturn_connect_trouble", reason="Unreachable") == 1
    metrics.connect_is(None)
    assert value(metrics, "keyturn_connect_up") == 1
    assert value(metrics, "keyturn_connect_trouble", reason="Unreachable") is None


def test_nothing_foreign_becomes_a_label(metrics):
    """An item's title, a path with ids or a value in the wrong place is counted as `other`."""
    metrics.connect_request("/v1/vaults/x/items?filter=title eq Payroll", "ok", 0.1)
    metrics.reconciled("my secret value!", seconds=0.1)
    metrics.items(managed=1, ready=0, failing={"hunter2 ": 1, "p w": 2})
    text, _ = metrics.expose()

    assert b"Payroll" not in text
    assert b"hunter2" not in text
    assert value(metrics, "keyturn_reconciles_total", reason="other") == 1
    assert value(metrics, "keyturn_items_failing", reason="other") == 3


@given(st.lists(st.text(max_size=8), max_size=200))
def test_a_label_takes_a_bounded_number_of_values(texts):
    """Whatever flows in, a label never has more values than its capacity and `other`, all of the right form."""
    words = Words(r"[a-z]{1,3}", capacity=5)
    seen = {words(text) for text in texts}

    assert len(seen - {"other"}) <= 5
    assert all(re.fullmatch(r"[a-z]{1,3}", word) for word in seen - {"other"})


def test_is_exposed_in_both_formats(metrics):
    """Prometheus chooses OpenMetrics by its Accept header."""
    _, classic = metrics.expose()
    text, modern = metrics.expose("application/openmetrics-text; version=1.0.0")

    assert classic.startswith("text/plain")
    assert modern.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")
    assert b'keyturn_build_info{python="' in text


def test_a_standby_has_no_last_poll_and_alarms_nobody(metrics, clock):
    """The age of the last poll is counted from when a process began to lead: before, polling is another's business."""
    assert value(metrics, "keyturn_leader") == 1
    metrics.leads(leading=False)
    clock.now += 3600

    assert value(metrics, "keyturn_leader") == 0
    assert value(metrics, "keyturn_last_successful_poll_age_seconds") == 0
    metrics.leads(leading=True)
    clock.now += 5
    assert value(metrics, "keyturn_leader") == 1
    assert value(metrics, "keyturn_last_successful_poll_age_seconds") == 5
