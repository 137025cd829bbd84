"""Metrics for Prometheus: what every worker of a server has seen, in any worker's answer.

A finished call is folded into plain numbers at once, while it is at hand, and once a second these
are written to one small file per worker. Whoever is asked adds the files up. prometheus_client's
own multi-process mode would cost two to four microseconds for each of some twenty observations per
call; this costs two for all of them. A worker that is killed takes at
most its last second of metrics with it, never a call: the ledger has them all.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec

from lockgate import __version__
from lockgate.app.integrations.exposition import Numbers, expose
from lockgate.core.entry import Entry

PUBLISH_S: Final = 1.0

SECONDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0),
)
RATIOS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
BOUNDS: Final = {"duration": SECONDS, "first_token": SECONDS, "confidence": RATIOS}

After = Callable[[float, Callable[[], None]], object]
"""Runs something after so many seconds."""


def after(seconds: float, run: Callable[[], None]) -> object:
    """Run something later on the current event loop."""
    return asyncio.get_running_loop().call_later(seconds, run)


class Fold:
    """Calls, folded into numbers.

    Attributes:
        counts: Numbers by metric and label values.
        histograms: Counts per bucket, beyond the last one, and the sum at the end; by metric and
            label values.
    """

    __slots__ = ("counts", "histograms")

    def __init__(self) -> None:
        self.counts: defaultdict[tuple[str, ...], float] = defaultdict(int)
        self.histograms: dict[tuple[str, ...], list[float]] = {}

    def add(self, entry: Entry) -> None:
        """Count one finished call."""
        counts, service = self.counts, entry.service
        counts["requests", service, entry.outcome] += 1
        self._observe("duration", service, entry.seconds)
        if entry.first_output is not None:
            self._observe("first_token", service, entry.first_output)
        if entry.confidence is not None:
            self._observe("confidence", service, entry.confidence)
        if entry.input_tokens or entry.output_tokens:
            counts["tokens", service, "input"] += entry.input_tokens
            counts["tokens", service, "output"] += entry.output_tokens
        if entry.cost:
            counts["cost", service] += entry.cost
        for attempt in entry.attempts:
            counts["attempts", attempt.target, attempt.result] += 1
        for verdict in entry.verdicts:
            counts["guard_actions", verdict.by, verdict.decision] += 1

    def _observe(self, metric: str, service: str, value: float) -> None:
        bounds = BOUNDS[metric]
        cells = self.histograms.get((metric, service))
        if cells is None:
            cells = self.histograms[metric, service] = [0] * (len(bounds) + 2)
        cells[bisect_left(bounds, value)] += 1
        cells[-1] += value


class Metrics:
    """Keeps the numbers of one worker, and tells those of all."""

    def __init__(self, folder: Path | None = None, after: After = after) -> None:
        """Share numbers with other workers through *folder*; keep them to itself without one."""
        self._fold = Fold()
        self._after = after
        self._due = False
        self._folder = folder
        self._file: Path | None = None
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = folder / f"{os.getpid()}-{time.time_ns()}.metrics"

    def record(self, entry: Entry) -> None:
        """Count *entry*; the other workers see it within a second."""
        self._fold.add(entry)
        if not self._due:
            self._plan()

    def turned_away(self, code: str) -> None:
        """Count a request that ended before it became a call."""
        self._fold.counts["turned_away", code] += 1
        if not self._due:
            self._plan()

    def publish(self) -> None:
        """Write this worker's numbers where the others find them.

        A disk that is full is not worth a call: the next second tries again.
        """
        self._due = False
        if self._file is None:
            return
        unfinished = self._file.with_suffix(".new")
        try:
            unfinished.write_bytes(msgspec.msgpack.encode(self._numbers()))
            unfinished.replace(self._file)
        except OSError:
            self._plan()

    def render(self) -> bytes:
        """Write the numbers of all workers in Prometheus' text format."""
        everyone = [self._numbers(), *self._others()]
        return expose(everyone, BOUNDS, {"version": __version__, "python": _python()})

    def _plan(self) -> None:
        self._due = True
        self._after(PUBLISH_S, self.publish)

    def _numbers(self) -> Numbers:
        return Numbers(
            counts=list(self._fold.counts.items()),
            histograms=list(self._fold.histograms.items()),
        )

    def _others(self) -> Iterable[Numbers]:
        if self._folder is None:
            return
        for file in sorted(self._folder.glob("*.metrics")):
            if file != self._file:
                try:
                    yield msgspec.msgpack.decode(file.read_bytes(), type=Numbers)
                except (OSError, msgspec.DecodeError):
                    continue


def _python() -> str:
    return ".".join(str(part) for part in sys.version_info[:3])
