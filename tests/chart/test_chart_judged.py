"""Parts of the chart that our API server cannot judge, checked by the code of the programs that read them."""

from pathlib import Path

import pytest
from promql_parser import VectorSelector, parse, walk

from keyturn.observe.broker_rows import BROKER_TABLE
from keyturn.observe.metrics import METRIC_TABLE
from keyturn.observe.registry import expanded
from keyturn.providers.registry import PROVIDERS
from support.chart_values import EVERYTHING
from support.clients.speaking import Refused
from support.helm import of_kind

ROOT = Path(__file__).resolve().parents[2]
MONITORS = ("ServiceMonitor", "PodMonitor")


async def test_prometheus_reads_the_monitors(helm, judge):
    """A misspelt field of a monitor would silently scrape nothing."""
    manifests = helm.render(EVERYTHING)
    for kind in MONITORS:
        monitors = of_kind(manifests, kind)
        for monitor in monitors:
            await judge.strict(monitor)

        monitor = monitors[0]
        endpoints = "endpoints" if kind == "ServiceMonitor" else "podMetricsEndpoints"
        monitor["spec"][endpoints][0]["intervall"] = "1s"
        with pytest.raises(Refused, match="intervall"):
            await judge.strict(monitor)


async def test_cert_manager_reads_the_certificate(helm, judge):
    """A misspelt field would make a certificate for other names, or none at all."""
    (certificate,) = of_kind(helm.render(EVERYTHING), "Certificate")
    await judge.strict(certificate)

    certificate["spec"]["dnsName"] = ["example.com"]
    with pytest.raises(Refused, match="dnsName"):
        await judge.strict(certificate)


async def test_prometheus_reads_the_alerts(helm, judge):
    """An alert that is misspelt, or uses a metric that does not exist, would never fire."""
    (rule,) = of_kind(helm.render(EVERYTHING), "PrometheusRule")
    await judge.strict(rule)
    (group,) = rule["spec"]["groups"]
    exposed = {
        row.exposed_name
        for row in expanded([*METRIC_TABLE, *BROKER_TABLE], {each.metrics_prefix: each.label for each in PROVIDERS})
    }

    assert len({alert["alert"] for alert in group["rules"]}) == len(group["rules"])
    for alert in group["rules"]:
        looked_for = selected(parse(alert["expr"]))
        assert looked_for
        assert set(looked_for) <= exposed
        assert alert["labels"] == {"severity": alert["labels"]["severity"], "team": "platform"}
        alert["expresion"] = "1"
    with pytest.raises(Refused, match="expresion"):
        await judge.strict(rule)


def selected(expression):
    """The names of the metrics that an expression looks for."""
    found = []
    walk(expression, pre_visit=lambda node: found.append(node.name) if isinstance(node, VectorSelector) else None)
    return found


async def test_kind_reads_its_configuration(judge, tmp_path):
    """`make kind-demo` cannot run without Docker, but kind itself says whether it would begin."""
    await judge.kind_config(ROOT / "kind-config.yaml")

    wrong = tmp_path / "kind.yaml"
    wrong.write_text((ROOT / "kind-config.yaml").read_text().replace("role:", "rolle:"))
    with pytest.raises(Refused, match="rolle"):
        await judge.kind_config(wrong)
