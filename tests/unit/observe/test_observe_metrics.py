import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.health_states import HealthState
from keyturn.observe.metrics import METRIC_TABLE, Metrics
from keyturn.observe.registry import Label, LabelValues, Metric, MetricKind
from support.fake_time import START, FakeTime

CONNECT = "keyturn_connect"
PROVIDERS = {CONNECT: "Connect"}


@pytest.fixture
def time():
    return FakeTime()


@pytest.fixture
def metrics(time):
    return Metrics(version="1.2.3", time=time, providers=PROVIDERS)


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_every_metric_is_ours_named_and_explained(metrics):
    """Names begin with `keyturn_` but for the standard process metrics, and each has a help text."""
    for family in metrics.registry.collect():
        assert family.name.startswith(("keyturn_", "process_"))
        assert family.documentation.endswith(".")


def test_no_series_comes_twice(metrics):
    """The library would add the time of creation of each series, as a series that costs Prometheus as much again."""
    metrics.secret_written("created")
    metrics.polled(CONNECT, seconds=0.1, error=None)

    text, _ = metrics.expose("text/plain")
    series = [line.split("{")[0].split()[0] for line in text.decode().splitlines() if not line.startswith("#")]
    assert "keyturn_secret_writes_total" in series
    assert not [name for name in series if name.endswith("_created")]


def test_two_sets_of_metrics_count_separately(metrics, time):
    """Nothing is global."""
    other = Metrics(version="1", time=time, providers=PROVIDERS)
    metrics.secret_written("created")

    assert value(metrics, "keyturn_secret_writes_total", operation="created") == 1
    assert value(other, "keyturn_secret_writes_total", operation="created") is None


def test_each_occasion_is_counted(metrics):
    """Each method changes its own series."""
    metrics.vault_request(CONNECT, "/v1/vaults/{vault}/items", "200", 0.02)
    metrics.api_request("apply", "secrets", 200, 0.01)
    metrics.reconciled("Synced", seconds=0.1)
    metrics.queue(3, 1.5)
    metrics.restarted("Deployment", "done")
    metrics.pending_restarts(2)
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


def test_the_age_of_the_last_poll_grows_between_scrapes(metrics, time):
    """An alert on the age works without any event, also if no poll ever succeeded."""
    time.advance(30)
    assert value(metrics, "keyturn_last_successful_poll_age_seconds") == 30
    metrics.polled(CONNECT, seconds=2.0, error=None)
    time.advance(7)
    metrics.polled(CONNECT, seconds=1.0, error=TimeoutError("canary"))

    assert value(metrics, "keyturn_last_successful_poll_age_seconds") == 7
    assert value(metrics, "keyturn_last_successful_poll_timestamp_seconds") == START.timestamp() + 30
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
    """The series with the reason exists only while the server is down."""
    metrics.vault_is(CONNECT, "Unreachable")
    assert value(metrics, "keyturn_connect_up") == 0
    assert value(metrics, "keyturn_connect_trouble", reason="Unreachable") == 1
    metrics.vault_is(CONNECT, None)
    assert value(metrics, "keyturn_connect_up") == 1
    assert value(metrics, "keyturn_connect_trouble", reason="Unreachable") is None


def test_no_text_from_outside_becomes_a_label(metrics):
    """An item's title, a path with ids or a value in the wrong place is counted as `other`."""
    metrics.vault_request(CONNECT, "/v1/vaults/x/items?filter=title eq Payroll", "ok", 0.1)
    metrics.reconciled("my secret value!", seconds=0.1)
    metrics.items(managed=1, ready=0, failing={"hunter2 ": 1, "p w": 2})
    text, _ = metrics.expose()

    assert b"Payroll" not in text
    assert b"hunter2" not in text
    assert value(metrics, "keyturn_reconciles_total", reason="other") == 1
    assert value(metrics, "keyturn_items_failing", reason="other") == 3


@given(st.lists(st.text(max_size=8), max_size=200))
def test_a_label_takes_a_bounded_number_of_values(texts):
    """Whatever text comes, a label has at most as many values as its capacity and `other`, all of the right form."""
    allowed = LabelValues(r"[a-z]{1,3}", capacity=5)
    seen = {allowed(text) for text in texts}

    assert len(seen - {"other"}) <= 5
    assert all(re.fullmatch(r"[a-z]{1,3}", text) for text in seen - {"other"})


def test_metrics_are_exposed_in_both_formats(metrics):
    """Prometheus chooses OpenMetrics by its Accept header."""
    _, classic = metrics.expose()
    text, modern = metrics.expose("application/openmetrics-text; version=1.0.0")

    assert classic.startswith("text/plain")
    assert modern.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")
    assert b'keyturn_build_info{python="' in text


def test_a_standby_has_no_last_poll_and_raises_no_alert(metrics, time):
    """The age of the last poll is counted from when the process began to lead: before that, another process polls."""
    assert value(metrics, "keyturn_leader") == 1
    metrics.leads(leading=False)
    time.advance(3600)

    assert value(metrics, "keyturn_leader") == 0
    assert value(metrics, "keyturn_last_successful_poll_age_seconds") == 0
    metrics.leads(leading=True)
    time.advance(5)
    assert value(metrics, "keyturn_leader") == 1
    assert value(metrics, "keyturn_last_successful_poll_age_seconds") == 5


def test_a_label_with_an_enum_takes_no_other_value(metrics):
    """A word that no dashboard knows would be a series that nobody looks at."""
    metrics.secret_written("deleted")
    metrics.event("lost")

    assert value(metrics, "keyturn_secret_writes_total", operation="other") == 1
    assert value(metrics, "keyturn_events_total", outcome="other") == 1


def test_an_errors_label_is_the_reason_why_a_server_is_down(metrics):
    """Classes of errors can be renamed, and the public words stay."""

    class CredentialRefused(Exception):
        label = "Unauthorized"

    metrics.polled(CONNECT, seconds=1.0, error=CredentialRefused("canary"))

    assert value(metrics, "keyturn_connect_trouble", reason="Unauthorized") == 1


def test_a_new_metric_is_one_new_row(time):
    """A row is enough for the series and its help text, and for the test that compares the table with the documentation."""
    row = Metric(
        MetricKind.COUNTER, "keyturn_reads", "Reads through the broker, by result.", (Label("result", "[a-z]+"),)
    )
    metrics = Metrics(version="1", time=time, providers=PROVIDERS, table=[*METRIC_TABLE, row])

    assert "keyturn_reads_total" in {each.exposed_name for each in metrics.table}
    assert b"# HELP keyturn_reads_total Reads through the broker, by result.\n" in metrics.expose()[0]


def test_each_provider_has_metrics_of_its_own(time):
    """A second provider is a second prefix, and its server can be down while the first one is up."""
    metrics = Metrics(version="1", time=time, providers={**PROVIDERS, "keyturn_bitwarden": "Bitwarden"})
    metrics.vault_is(CONNECT, None)
    metrics.vault_is("keyturn_bitwarden", "RateLimited")
    metrics.vault_request("keyturn_bitwarden", "GET /api/sync", "200", 0.1)
    text, _ = metrics.expose()

    assert value(metrics, "keyturn_connect_up") == 1
    assert value(metrics, "keyturn_bitwarden_up") == 0
    assert value(metrics, "keyturn_bitwarden_trouble", reason="RateLimited") == 1
    assert value(metrics, "keyturn_bitwarden_requests_total", route="GET /api/sync", outcome="200") == 1
    assert b"# HELP keyturn_bitwarden_requests_total Requests to the Bitwarden server, by route" in text


def series(metrics, name):
    """Labels and value of each series of a metric."""
    families = [family for family in metrics.registry.collect() if family.name == name]
    return [(sample.labels, sample.value) for family in families for sample in family.samples]


def test_a_connection_is_in_one_state(metrics):
    """Its series has the present state alone."""
    metrics.connection_is("team-a/work", HealthState.UNKNOWN)
    metrics.connection_is("team-a/work", HealthState.UP)
    metrics.connection_is("team-a/work", HealthState.UP)
    metrics.connection_is("installation", HealthState.DOWN)

    assert series(metrics, "keyturn_connection_state") == [
        ({"connection": "team-a/work", "state": "Up"}, 1),
        ({"connection": "installation", "state": "Down"}, 1),
    ]


def test_what_is_said_of_the_installation_is_its_own_connections_alone(metrics):
    """An alert that fires at night must not be about a tenant's token."""
    metrics.polled(CONNECT, seconds=1.0, error=None)
    metrics.connection_is("team-a/work", HealthState.UP)
    metrics.polled(CONNECT, connection="team-a/work", seconds=1.0, error=TimeoutError())

    assert value(metrics, "keyturn_connect_up") == 1
    assert value(metrics, "keyturn_poll_duration_seconds_count") == 2
    assert value(metrics, "keyturn_last_successful_poll_timestamp_seconds") == START.timestamp()
    assert series(metrics, "keyturn_connection_last_successful_poll_timestamp_seconds") == []


def test_the_requests_of_a_connection_are_counted_against_its_quota(metrics, time):
    """A service account has so many a day."""
    metrics.connection_is("team-a/work", HealthState.UP)
    for _ in range(3):
        metrics.vault_request(CONNECT, "GET /v1/vaults", "200", 0.1, connection="team-a/work")
    metrics.polled(CONNECT, connection="team-a/work", seconds=1.0, error=None)

    assert value(metrics, "keyturn_connect_connection_requests_total", connection="team-a/work") == 3
    poll = "keyturn_connection_last_successful_poll_timestamp_seconds"
    assert value(metrics, poll, connection="team-a/work") == START.timestamp()


def test_a_connection_that_is_gone_leaves_no_series(metrics):
    """Also if an answer comes for it later."""
    metrics.connection_is("team-a/work", HealthState.UP)
    metrics.vault_request(CONNECT, "GET /v1/vaults", "200", 0.1, connection="team-a/work")
    metrics.polled(CONNECT, connection="team-a/work", seconds=1.0, error=None)
    metrics.connection_gone("team-a/work")
    metrics.connection_gone("team-a/never-there")
    metrics.vault_request(CONNECT, "GET /v1/vaults", "200", 0.1, connection="team-a/work")
    metrics.polled(CONNECT, connection="team-a/work", seconds=1.0, error=None)

    assert b"team-a" not in metrics.expose()[0]


def test_there_are_series_for_a_thousand_connections_and_the_rest_share_one(metrics):
    """Whatever comes and goes, and in whatever order."""
    names = [f"team/{number}" for number in range(1003)]
    for name in names:
        metrics.connection_is(name, HealthState.UP)
    metrics.connection_is(names[-1], HealthState.DOWN)
    assert value(metrics, "keyturn_connection_state", connection="other", state="Up") == 2
    assert value(metrics, "keyturn_connection_state", connection="other", state="Down") == 1
    assert len(series(metrics, "keyturn_connection_state")) == 1002

    metrics.connection_gone(names[0])
    metrics.connection_gone(names[-1])
    metrics.connection_is("team/late", HealthState.UP)
    assert value(metrics, "keyturn_connection_state", connection="team/late", state="Up") == 1
    assert value(metrics, "keyturn_connection_state", connection="other", state="Down") == 0
    assert value(metrics, "keyturn_connection_state", connection="other", state="Up") == 2


def test_a_name_that_no_connection_can_have_is_no_label(metrics):
    """Names come from the cluster, but a mistake of ours might put something else there."""
    metrics.connection_is("Team A/hunter2", HealthState.UP)

    assert value(metrics, "keyturn_connection_state", connection="other", state="Up") == 1


def test_an_installation_without_a_connection_of_its_own_raises_no_alert(time):
    """A series that says 0 would fire one for ever."""
    metrics = Metrics(version="1", time=time, providers=PROVIDERS, installed=[])
    metrics.polled(CONNECT, seconds=1.0, error=TimeoutError())
    time.advance(3600)

    assert value(metrics, "keyturn_connect_up") is None
    assert value(metrics, "keyturn_connect_trouble", reason="TimeoutError") is None
    assert value(metrics, "keyturn_last_successful_poll_age_seconds") == 0


def test_foreign_activity_is_counted_from_nothing_and_only_of_connections_that_there_are(metrics):
    """An alert sees an increase only between two numbers."""
    foreign = "keyturn_activity_foreign_total"
    metrics.foreign_activity("team/work")
    assert value(metrics, foreign, connection="team/work") is None

    metrics.connection_is("team/work", HealthState.UP)
    metrics.exports_activity("team/work")
    assert value(metrics, foreign, connection="team/work") == 0
    metrics.foreign_activity("team/work")
    metrics.activity_gap("team/work")
    assert value(metrics, foreign, connection="team/work") == 1
    assert value(metrics, "keyturn_activity_gaps_total", connection="team/work") == 1

    metrics.connection_gone("team/work")
    metrics.connection_gone("team/work")
    assert value(metrics, foreign, connection="team/work") is None
