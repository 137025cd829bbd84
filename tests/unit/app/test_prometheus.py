"""What workers count is what Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lockgate.app.integrations.prometheus import Metrics
from lockgate.core.entry import Entry
from lockgate.core.exchange import Attempt, Decision, Note, Verdict

ENTRY = Entry(
    id="c1",
    service="assistant",
    surface="chat",
    release="r1",
    key_id="k1",
    tenant="acme",
    received_at=1,
    seconds=0.004,
    first_output=0.002,
    outcome="answered",
    status=200,
    code="",
    ended="",
    rung="",
    target="small",
    confidence=0.97,
    cost=1_500_000,
    input_tokens=7,
    output_tokens=3,
    attempts=(Attempt(target="small", result="accepted", seconds=0.003),),
    verdicts=(Verdict(by="pii", decision=Decision.MEND),),
    trail=(Note("admit", "ran", "", 0.25), Note("call", "noted")),
)


class Later:
    """Remembers what is to be run later, and runs it when told."""

    def __init__(self) -> None:
        self.planned: list[Callable[[], None]] = []

    def __call__(self, seconds: float, run: Callable[[], None]) -> None:
        """Plan *run*."""
        self.planned.append(run)

    def comes(self) -> None:
        """Run everything that was planned."""
        planned, self.planned = self.planned, []
        for run in planned:
            run()


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    """Read Prometheus' text format with its own parser: values by name and label values.

    Labels are in the order of their names.
    """
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_every_metric_of_a_call_is_told() -> None:
    """One call shows up in every metric that it has something to say for."""
    metrics = Metrics(after=Later())
    metrics.record(ENTRY)
    got = samples(metrics.render())
    assert got["lockgate_requests_total", "answered", "assistant"] == 1
    assert got["lockgate_tokens_total", "input", "assistant"] == 7
    assert got["lockgate_tokens_total", "output", "assistant"] == 3
    assert got["lockgate_cost_usd_total", "assistant"] == pytest.approx(1.5e-6)
    assert got["lockgate_attempts_total", "accepted", "small"] == 1
    assert got["lockgate_guard_actions_total", "mend", "pii"] == 1
    assert got["lockgate_time_to_first_token_seconds_count", "assistant"] == 1
    assert got["lockgate_confidence_ratio_bucket", "0.95", "assistant"] == 0
    assert got["lockgate_confidence_ratio_bucket", "0.99", "assistant"] == 1


def test_buckets_are_running_totals() -> None:
    """A value falls into its bucket and all wider ones, on the bound included."""
    metrics = Metrics(after=Later())
    for seconds in (0.001, 0.004, 1000.0):
        metrics.record(msgspec.structs.replace(ENTRY, seconds=seconds))
    got = samples(metrics.render())
    name = "lockgate_request_duration_seconds_bucket"
    assert got[name, "0.001", "assistant"] == 1
    assert got[name, "0.005", "assistant"] == 2
    assert got[name, "120.0", "assistant"] == 2
    assert got[name, "+Inf", "assistant"] == 3
    assert got["lockgate_request_duration_seconds_sum", "assistant"] == pytest.approx(1000.005)


def test_any_worker_tells_for_all(tmp_path: Path) -> None:
    """Whichever worker is asked, it adds up what all have published, dead ones included."""
    later = Later()
    workers = [Metrics(tmp_path / "metrics", later) for _ in range(3)]
    for worker in workers:
        for _ in range(69):
            worker.record(ENTRY)
    later.comes()
    del workers[2]
    for worker in workers:
        got = samples(worker.render())
        assert got["lockgate_requests_total", "answered", "assistant"] == 3 * (69)
        assert got["lockgate_cost_usd_total", "assistant"] == pytest.approx(3 * (69) * 1.5e-6)


def test_an_idle_worker_writes_nothing(tmp_path: Path) -> None:
    """Files are written a second after there was something to write, once, and never otherwise."""
    later = Later()
    metrics = Metrics(tmp_path, later)
    metrics.record(ENTRY)
    metrics.record(ENTRY)
    assert len(later.planned) == 1
    later.comes()
    assert len(list(tmp_path.iterdir())) == 1
    metrics.render()
    assert later.planned == []


def test_requests_that_were_turned_away_are_counted() -> None:
    """A flood of wrong keys can be seen although none of it became a call."""
    metrics = Metrics(after=Later())
    metrics.turned_away("invalid_api_key")
    assert samples(metrics.render())["lockgate_turned_away_total", "invalid_api_key"] == 1


def test_a_file_that_is_not_one_of_ours_is_passed_over(tmp_path: Path) -> None:
    """Half a file, or a foreign one, hides no other numbers."""
    (tmp_path / "1-1.metrics").write_bytes(b"\x93half")
    metrics = Metrics(tmp_path, Later())
    metrics.record(ENTRY)
    assert samples(metrics.render())["lockgate_requests_total", "answered", "assistant"] == 1


def test_a_full_disk_costs_no_call_and_is_tried_again(tmp_path: Path) -> None:
    """Numbers that cannot be written now are written later."""
    later = Later()
    metrics = Metrics(tmp_path / "m", later)
    (tmp_path / "m").rmdir()
    metrics.record(ENTRY)
    later.comes()
    assert len(later.planned) == 1
    (tmp_path / "m").mkdir()
    later.comes()
    assert later.planned == []
    assert len(list((tmp_path / "m").iterdir())) == 1
