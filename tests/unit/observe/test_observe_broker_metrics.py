"""What the broker counts, and what it leaves to the operator."""

import pytest

from keyturn.core.audit import Door, RecordOutcome
from keyturn.observe.broker_metrics import BrokerMetrics
from keyturn.observe.broker_rows import BROKER_TABLE, ClosedBecause, ReviewResult
from keyturn.observe.metric_rows import METRIC_TABLE, SHARED_TABLE
from support.broker_context import broker_metrics


def value(metrics: BrokerMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_the_broker_exposes_nothing_that_only_the_operator_does():
    """An alert on the leader must not count brokers."""
    text = broker_metrics().expose()[0].decode()

    assert "keyturn_leader" not in text
    assert "keyturn_items" not in text
    assert "keyturn_build_info" in text
    assert set(SHARED_TABLE) <= set(METRIC_TABLE)
    assert not {row.name for row in BROKER_TABLE} & {row.name for row in METRIC_TABLE}


def test_each_occasion_is_counted():
    """By words of ours alone."""
    metrics = broker_metrics()
    metrics.answered(Door.NATIVE, 200, seconds=0.01)
    metrics.answered("", 404, seconds=0.01)
    metrics.decided("read", RecordOutcome.DENIED, "NotGranted")
    metrics.reviewed(ReviewResult.ACCEPTED)
    metrics.recorded("written")
    metrics.clients(3)
    metrics.client_closed(ClosedBecause.TOO_SLOW)
    metrics.follow_grants(lambda: 7, lambda: 1.5)

    assert value(metrics, "keyturn_broker_requests_total", door="native", code="200") == 1
    assert value(metrics, "keyturn_broker_requests_total", door="other", code="404") == 1
    assert value(metrics, "keyturn_broker_request_duration_seconds_count", door="native") == 1
    decided = {"action": "read", "outcome": "denied", "reason": "NotGranted"}
    assert value(metrics, "keyturn_broker_decisions_total", **decided) == 1
    assert value(metrics, "keyturn_broker_token_reviews_total", result="accepted") == 1
    assert value(metrics, "keyturn_audit_records_total", result="written") == 1
    assert value(metrics, "keyturn_broker_connections") == 3
    assert value(metrics, "keyturn_broker_connections_closed_total", reason="too_slow") == 1
    assert value(metrics, "keyturn_broker_grants") == 7
    assert value(metrics, "keyturn_broker_grants_age_seconds") == 1.5


def test_the_last_use_of_a_grant_ends_with_the_grant():
    """So the number of series is that of grants."""
    metrics = broker_metrics()
    for number in range(1100):
        metrics.grant_used(f"team/{number}")
        metrics.grant_gone(f"team/{number}")
    metrics.grant_used("team/deploy")

    name = "keyturn_broker_grant_last_used_timestamp_seconds"
    assert value(metrics, name, grant="team/deploy") == pytest.approx(1893456000)
    assert value(metrics, name, grant="team/1") is None
