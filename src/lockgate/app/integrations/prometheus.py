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
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from lockgate import __version__
from lockgate.app.integrations.exposition import Key, Numbers, expose
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


class _Service:
    """What the calls of one service come to; histograms as counts per bucket, and the sum."""

    __slots__ = ("confidence", "cost", "duration", "first_token", "outcomes", "read", "written")

    def __init__(self) -> None:
        self.outcomes: defaultdict[str, int] = defaultdict(int)
        self.duration: list[float] = [0] * (len(SECONDS) + 2)
        self.first_token: list[float] = [0] * (len(SECONDS) + 2)
        self.confidence: list[float] = [0] * (len(RATIOS) + 2)
        self.read = self.written = self.cost = 0

    def counts(self, name: str) -> Iterator[tuple[Key, float]]:
        """Give what has happened at all."""
        for outcome, count in self.outcomes.items():
            yield ("requests", name, outcome), count
        if self.read or self.written:
            yield ("tokens", name, "input"), self.read
            yield ("tokens", name, "output"), self.written
        if self.cost:
            yield ("cost", name), self.cost

    def histograms(self, name: str) -> Iterator[tuple[Key, list[float]]]:
        """Give those that have seen anything."""
        for metric in BOUNDS:
            cells: list[float] = getattr(self, metric)
            if any(cells[:-1]):
                yield (metric, name), cells


class Fold:
    """Calls, folded into numbers.

    Attributes:
        counts: Numbers that belong to no service, by metric and label values.
    """

    __slots__ = ("_services", "counts")

    def __init__(self) -> None:
        self._services: defaultdict[str, _Service] = defaultdict(_Service)
        self.counts: defaultdict[Key, float] = defaultdict(int)

    def add(self, entry: Entry) -> None:
        """Count one finished call."""
        service, seconds, counts = self._services[entry.service], entry.seconds, self.counts
        service.outcomes[entry.outcome] += 1
        service.duration[bisect_left(SECONDS, seconds)] += 1
        service.duration[-1] += seconds
        if (first := entry.first_output) is not None:
            service.first_token[bisect_left(SECONDS, first)] += 1
            service.first_token[-1] += first
        if (confidence := entry.confidence) is not None:
            service.confidence[bisect_left(RATIOS, confidence)] += 1
            service.confidence[-1] += confidence
        service.read += entry.input_tokens
        service.written += entry.output_tokens
        service.cost += entry.cost
        for attempt in entry.attempts:
            counts["attempts", attempt.target, attempt.result] += 1
        for verdict in entry.verdicts:
            counts["guard_actions", verdict.by, verdict.decision] += 1

    def numbers(self) -> Numbers:
        """Give everything as it is now."""
        counts, histograms = list(self.counts.items()), []
        for name, service in self._services.items():
            counts += service.counts(name)
            histograms += service.histograms(name)
        return Numbers(counts=counts, histograms=histograms)


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
            unfinished.write_bytes(msgspec.msgpack.encode(self._fold.numbers()))
            unfinished.replace(self._file)
        except OSError:
            self._plan()

    def render(self) -> bytes:
        """Write the numbers of all workers in Prometheus' text format."""
        everyone = [self._fold.numbers(), *self._others()]
        return expose(everyone, BOUNDS, {"version": __version__, "python": _python()})

    def _plan(self) -> None:
        self._due = True
        self._after(PUBLISH_S, self.publish)

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
