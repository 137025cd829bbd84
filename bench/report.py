"""What was measured, as figures, tables and bars."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Round:
    """One gateway under one load for some seconds."""

    gateway: str
    connections: int
    per_second: float
    p50_us: float
    p99_us: float
    answered: int
    errors: dict[str, int]
    cpu_us: float
    worker_cpu_us: float


@dataclass(frozen=True, slots=True)
class Footprint:
    """Memory in bytes, and the share of one core used with nothing to do."""

    gateway: str
    idle_worker: int
    idle_all: int
    peak_worker: int
    peak_all: int
    idle_cpu: float


@dataclass(frozen=True, slots=True)
class Figures:
    """One gateway's medians over all rounds; latencies are what it adds to the direct way."""

    gateway: str
    one: float
    many: float
    added_p50_us: float
    added_p99_us: float
    cpu_us: float
    worker_cpu_us: float
    spread: str
    errors: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise about speed or size, and whether it was kept."""

    promise: str
    measured: float
    least: float | None = None
    most: float | None = None

    @property
    def kept(self) -> bool:
        """Say whether the measured value is on the right side."""
        high_enough = self.least is None or self.measured >= self.least
        return high_enough and (self.most is None or self.measured <= self.most)


def figures(rounds: list[Round], name: str, many: int) -> Figures:
    """Sum up the rounds of one gateway."""
    mine = [one for one in rounds if one.gateway == name]
    single = [one for one in mine if one.connections == 1]
    loaded = [one for one in mine if one.connections == many]
    direct = [one for one in rounds if one.gateway == "direct" and one.connections == 1]
    rates = sorted(one.per_second for one in loaded)
    return Figures(
        gateway=name,
        one=median(one.per_second for one in single),
        many=median(rates),
        added_p50_us=median(one.p50_us for one in single) - median(one.p50_us for one in direct),
        added_p99_us=median(one.p99_us for one in single) - median(one.p99_us for one in direct),
        cpu_us=median(one.cpu_us for one in loaded),
        worker_cpu_us=median(one.worker_cpu_us for one in loaded),
        spread=f"{rates[0]:,.0f}-{rates[-1]:,.0f}",
        errors=sum(sum(one.errors.values()) for one in mine),
    )


def bars(found: dict[str, Figures], sizes: dict[str, Footprint]) -> list[Bar]:
    """Hold Lockgate against what the project has promised; only what was measured counts."""
    mine = found.get("lockgate")
    if mine is None:
        return []
    kept = [Bar("calls lost or refused", mine.errors, most=0)]
    if envoy := found.get("envoy"):
        kept.append(Bar("throughput, x Envoy", mine.many / envoy.many, least=0.4))
    if litellm := found.get("litellm"):
        kept.append(Bar("throughput, x LiteLLM", mine.many / litellm.many, least=100))
    idle = sizes["lockgate"].idle_worker / 1e6
    return [*kept, Bar("idle memory of the worker, MB", idle, most=90)]


def by_processor(found: dict[str, Figures]) -> list[str]:
    """Compare calls per second of processor time: what a busy machine distorts least."""
    mine = found.get("lockgate")
    others = [one for name, one in found.items() if name not in {"lockgate", "direct"}]
    if mine is None:
        return []
    return [
        f"      calls per second of CPU time, x {one.gateway}: {one.cpu_us / mine.cpu_us:,.2f}"
        for one in others
    ]


def table(found: dict[str, Figures], sizes: dict[str, Footprint], many: int) -> str:
    """Lay the figures out as a Markdown table."""
    head = (
        f"| gateway | req/s @1 | req/s @{many} (min-max) | added p50 µs | added p99 µs "
        "| CPU µs/call worker/all | idle MB worker/all | peak MB worker/all | idle CPU | errors |"
    )
    lines = [head, "|---" + "|--:" * 9 + "|"]
    for name, figure in found.items():
        size = sizes.get(name)
        lines.append(
            f"| {name} | {figure.one:,.0f} | {figure.many:,.0f} ({figure.spread}) "
            f"| {figure.added_p50_us:,.0f} | {figure.added_p99_us:,.0f} "
            f"| {figure.worker_cpu_us:,.0f} / {figure.cpu_us:,.0f} "
            f"| {_pair(size, 'idle')} | {_pair(size, 'peak')} "
            f"| {f'{size.idle_cpu:.1%}' if size else '-'} | {figure.errors} |"
        )
    return "\n".join(lines)


def hot_spots(folded: str, most: int = 30) -> str:
    """Sum up folded stacks (`outer;inner count` a line): own and whole time of the hottest."""
    own, whole, total = Counter[str](), Counter[str](), 0
    for row in folded.splitlines():
        stack, _, count = row.rpartition(" ")
        frames = [_frame(frame) for frame in stack.split(";")]
        total += int(count)
        own[frames[-1]] += int(count)
        whole.update(dict.fromkeys(frames, int(count)))
    lines = ["   own  whole  function"]
    for frame, count in own.most_common(most):
        lines.append(f"{count / total:6.1%} {whole[frame] / total:6.1%}  {frame}")
    return "\n".join(lines)


def _frame(frame: str) -> str:
    """Cut a frame of py-spy's, `name (path/file.py:line)`, down to `name (file.py)`."""
    name, _, place = frame.partition(" (")
    return f"{name} ({place.rsplit('/', 1)[-1].split(':')[0].rstrip(')')})"


def _pair(size: Footprint | None, when: str) -> str:
    if size is None:
        return "-"
    worker, everything = (
        (size.idle_worker, size.idle_all) if when == "idle" else (size.peak_worker, size.peak_all)
    )
    return f"{worker / 1e6:.0f} / {everything / 1e6:.0f}"


def verdict(bar: Bar) -> str:
    """Write one bar as a line."""
    bound = f">= {bar.least:g}" if bar.least is not None else f"<= {bar.most:g}"
    return f"{'pass' if bar.kept else 'FAIL'}  {bar.promise}: {bar.measured:,.2f} ({bound})"
