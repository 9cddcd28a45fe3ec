"""What no API server of ours can judge, judged by the code of those whom it concerns."""

from pathlib import Path

import pytest

from support.chart_values import EVERYTHING
from support.clients.speaking import Refused
from support.helm import of_kind

ROOT = Path(__file__).resolve().parents[2]
MONITORS = ("ServiceMonitor", "PodMonitor")


async def test_prometheus_reads_the_monitors(helm, judge):
    """A misspelt field of a monitor would silently scrape nothing."""
    manifests = helm.render(EVERYTHING)
    for kind in MONITORS:
        (monitor,) = of_kind(manifests, kind)
        await judge.strict(monitor)

        endpoints = "endpoints" if kind == "ServiceMonitor" else "podMetricsEndpoints"
        monitor["spec"][endpoints][0]["intervall"] = "1s"
        with pytest.raises(Refused, match="intervall"):
            await judge.strict(monitor)


async def test_kind_reads_its_configuration(judge, tmp_path):
    """`make kind-demo` cannot run where there is no Docker, but kind itself says whether it would begin."""
    await judge.kind_config(ROOT / "kind-config.yaml")

    wrong = tmp_path / "kind.yaml"
    wrong.write_text((ROOT / "kind-config.yaml").read_text().replace("role:", "rolle:"))
    with pytest.raises(Refused, match="rolle"):
        await judge.kind_config(wrong)
