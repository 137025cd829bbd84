"""The metrics Lockgate has, and how their numbers are put in Prometheus' words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any, Final, NamedTuple

import msgspec
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

Key = tuple[str, ...]
PICO: Final = 10**12


class Numbers(msgspec.Struct, frozen=True, array_like=True):
    """What one worker has counted: by metric and label values."""

    counts: list[tuple[Key, float]]
    histograms: list[tuple[Key, list[float]]]


class Kind(NamedTuple):
    """A metric: its name in Prometheus, what it says, and its labels."""

    name: str
    says: str
    labels: tuple[str, ...]


COUNTERS: Final = {
    "requests": Kind("lockgate_requests", "Finished calls by outcome.", ("service", "outcome")),
    "tokens": Kind("lockgate_tokens", "Tokens read and written.", ("service", "direction")),
    "cost": Kind("lockgate_cost_usd", "US dollars spent on models.", ("service",)),
    "guard_actions": Kind("lockgate_guard_actions", "Verdicts of guards.", ("guard", "action")),
    "attempts": Kind("lockgate_attempts", "Attempts at models by result.", ("target", "result")),
    "turned_away": Kind(
        "lockgate_turned_away", "Requests that ended before they became calls.", ("code",)
    ),
}
HISTOGRAMS: Final = {
    "duration": Kind(
        "lockgate_request_duration_seconds", "From arrival to the end of the answer.", ("service",)
    ),
    "first_token": Kind(
        "lockgate_time_to_first_token_seconds",
        "From arrival to a stream's first output.",
        ("service",),
    ),
    "confidence": Kind(
        "lockgate_confidence_ratio", "Probability that the answer is right.", ("service",)
    ),
}


def expose(
    everyone: Iterable[Numbers],
    bounds: Mapping[str, tuple[float, ...]],
    build: Mapping[str, str],
) -> bytes:
    """Add up what *everyone* counted, and write it in Prometheus' text format."""
    counts: defaultdict[Key, float] = defaultdict(float)
    histograms: dict[Key, list[float]] = {}
    for numbers in everyone:
        for key, value in numbers.counts:
            counts[key] += value
        _add(histograms, numbers.histograms)
    families = (
        *_counters(counts),
        *_histograms(histograms, bounds),
        _build(build),
    )
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Given(families))
    return generate_latest(registry)


class _Given(Collector):
    """Gives what it was given."""

    def __init__(self, families: tuple[Metric, ...]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _add(sums: dict[Any, list[float]], cells_by_key: Iterable[tuple[Any, list[float]]]) -> None:
    for key, cells in cells_by_key:
        before = sums.get(key)
        sums[key] = cells if before is None else [a + b for a, b in zip(before, cells, strict=True)]


def _counters(counts: Mapping[Key, float]) -> Iterator[Metric]:
    for metric, kind in COUNTERS.items():
        counter = CounterMetricFamily(kind.name, kind.says, labels=kind.labels)
        for key, value in counts.items():
            if key[0] == metric:
                counter.add_metric(key[1:], value / PICO if metric == "cost" else value)
        yield counter


def _histograms(
    histograms: Mapping[Key, list[float]], bounds: Mapping[str, tuple[float, ...]]
) -> Iterator[Metric]:
    for metric, kind in HISTOGRAMS.items():
        histogram = HistogramMetricFamily(kind.name, kind.says, labels=kind.labels)
        for key, cells in histograms.items():
            if key[0] == metric:
                histogram.add_metric(key[1:], _buckets(cells, bounds[metric]), cells[-1])
        yield histogram


def _build(build: Mapping[str, str]) -> Metric:
    gauge = GaugeMetricFamily("lockgate_build_info", "What is running.", labels=tuple(build))
    gauge.add_metric(tuple(build.values()), 1)
    return gauge


def _buckets(cells: list[float], bounds: tuple[float, ...]) -> list[tuple[str, float]]:
    """Give the running totals that Prometheus wants, by upper bound."""
    names = [*(str(bound) for bound in bounds), "+Inf"]
    return list(zip(names, accumulate(cells[:-1]), strict=True))
