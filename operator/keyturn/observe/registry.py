"""A metric as data, and the Prometheus registry that is built from a table of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

# In the classic format the library adds a series with its time of creation to each series, which is of no use here.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library gives it no types

OTHER = "other"
"""The value of a label in place of one that is not allowed."""


class MetricKind(StrEnum):
    """What Prometheus calls the type of a metric."""

    INFO = "info"
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


_SUFFIXES = {MetricKind.INFO: "_info", MetricKind.COUNTER: "_total"}


@dataclass(frozen=True, slots=True)
class Label:
    """One label of a metric.

    Attributes:
        name: as a query writes it.
        values: an enum of all values; or, for values that come from outside our code, a regular expression for them.
        capacity: the largest number of different values of a regular expression.
    """

    name: str
    values: type[StrEnum] | str
    capacity: int = 60


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: a row of the table that the registry is built from.

    Attributes:
        kind: its type.
        name: without the suffix of its kind. `{provider}` stands for the prefix of a provider of vaults.
        help: one sentence. `{label}` stands for the name of a provider in messages.
        labels: in the order in which values are given.
        buckets: upper bounds of a histogram.
    """

    kind: MetricKind
    name: str
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def of_provider(self) -> bool:
        """Whether every provider of vaults has a metric of its own made from this row."""
        return "{provider}" in self.name

    def filled(self, provider: str, label: str) -> Metric:
        """The row of one provider.

        Args:
            provider: the prefix of its metrics.
            label: its name in help texts.
        """
        return replace(self, name=self.name.format(provider=provider), help=self.help.format(label=label))

    @property
    def exposed_name(self) -> str:
        """The name that a query uses; of a histogram, the name without `_bucket`, `_count` and `_sum`."""
        return self.name + _SUFFIXES.get(self.kind, "")


def expanded(table: Iterable[Metric], providers: Mapping[str, str]) -> tuple[Metric, ...]:
    """The table with the rows of each provider in place of those that all providers share.

    Args:
        table: rows.
        providers: per prefix of a provider's metrics, its name in help texts.
    """
    return tuple(
        filled
        for row in table
        for filled in ([row.filled(*each) for each in providers.items()] if row.of_provider else [row])
    )


class LabelValues:
    """The values that one label may take: those of an enum, or those of a form, but never more than `capacity` of these.

    Each value of a label costs Prometheus a time series, and a label that takes any text may publish what must stay secret.

    Args:
        allowed: an enum, or a regular expression.
        capacity: the largest number of different values of a regular expression.
    """

    def __init__(self, allowed: type[StrEnum] | str, *, capacity: int = 60) -> None:
        self._form = re.compile(allowed) if isinstance(allowed, str) else None
        self._capacity = capacity
        self._known = set[str]() if isinstance(allowed, str) else {member.value for member in allowed}

    def __call__(self, text: str) -> str:
        """The text itself, or `other`."""
        if text in self._known:
            return text
        if text == OTHER or self._form is None or len(self._known) >= self._capacity or not self._form.fullmatch(text):
            return OTHER
        self._known.add(text)
        return text

    def forget(self, text: str) -> None:
        """A value of a regular expression is not used any more, so that another one may take its place."""
        if self._form is not None:
            self._known.discard(text)


class Registry:
    """The collectors of a table. Each process has its own, so that two operators in one process count separately.

    Args:
        table: rows, without any that stand for every provider.
    """

    def __init__(self, table: Iterable[Metric]) -> None:
        self.collectors = CollectorRegistry()
        ProcessCollector(registry=self.collectors)
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._infos: dict[str, Info] = {}
        self._values: dict[str, list[LabelValues]] = {}
        for row in table:
            self._build(row)

    def _build(self, row: Metric) -> None:
        names = [label.name for label in row.labels]
        self._values[row.name] = [LabelValues(label.values, capacity=label.capacity) for label in row.labels]
        match row.kind:
            case MetricKind.INFO:
                self._infos[row.name] = Info(row.name, row.help, registry=self.collectors)
            case MetricKind.COUNTER:
                self._counters[row.name] = Counter(row.name, row.help, names, registry=self.collectors)
            case MetricKind.GAUGE:
                self._gauges[row.name] = Gauge(row.name, row.help, names, registry=self.collectors)
            case MetricKind.HISTOGRAM:
                self._histograms[row.name] = Histogram(
                    row.name, row.help, names, buckets=row.buckets, registry=self.collectors
                )

    def count(self, metric: Metric, *labels: str, number: int = 1) -> None:
        """Add to a counter; 0 has its series begin."""
        counter = self._counters[metric.name]
        (counter.labels(*self._allowed(metric, labels)) if labels else counter).inc(number)

    def add(self, metric: Metric, number: float, *labels: str) -> None:
        """Add to a gauge. Values that are not allowed add up in `other`."""
        gauge = self._gauges[metric.name]
        (gauge.labels(*self._allowed(metric, labels)) if labels else gauge).inc(number)

    def set(self, metric: Metric, number: float, *labels: str) -> None:
        """Set a gauge."""
        gauge = self._gauges[metric.name]
        (gauge.labels(*self._allowed(metric, labels)) if labels else gauge).set(number)

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Add one observation to a histogram."""
        histogram = self._histograms[metric.name]
        (histogram.labels(*self._allowed(metric, labels)) if labels else histogram).observe(seconds)

    def inform(self, metric: Metric, *labels: str) -> None:
        """Set the labels of an info."""
        names = [label.name for label in metric.labels]
        self._infos[metric.name].info(dict(zip(names, self._allowed(metric, labels), strict=True)))

    def clear(self, metric: Metric) -> None:
        """Remove all series of a gauge with labels."""
        self._gauges[metric.name].clear()

    def remove(self, metric: Metric, **labels: str) -> None:
        """Remove all series of a counter or gauge whose labels have these values, which others may then take the place of."""
        collectors: Mapping[str, Counter | Gauge] = (
            self._counters if metric.kind is MetricKind.COUNTER else self._gauges
        )
        collectors[metric.name].remove_by_labels(labels)
        for label, values in zip(metric.labels, self._values[metric.name], strict=True):
            if label.name in labels:
                values.forget(labels[label.name])

    def follow(self, metric: Metric, read: Callable[[], float]) -> None:
        """Read a gauge at each scrape."""
        self._gauges[metric.name].set_function(read)

    def expose(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics as text and its content type: OpenMetrics if `accept` asks for it, else the classic format."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.collectors), content_type

    def _allowed(self, metric: Metric, labels: tuple[str, ...]) -> list[str]:
        return [allow(text) for allow, text in zip(self._values[metric.name], labels, strict=True)]
