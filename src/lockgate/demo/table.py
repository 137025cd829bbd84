"""What the demo shows while it runs: one row a service, as its callers see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from rich.table import Table

from lockgate.core.money import pico, usd
from lockgate.demo.traffic import Told

SERVICES = ("assistant", "router", "screening")
_STYLE = {
    "answered": "green",
    "cached": "cyan",
    "stale": "yellow",
    "fallback": "yellow",
    "uncertain": "magenta",
    "refused": "red",
    "rejected": "red",
    "failed": "red",
}


def table(told: Sequence[Told], title: str) -> Table:
    """Draw the table of all calls so far."""
    grid = Table(title=title, title_justify="left", title_style="bold", expand=False)
    for name in ("service", "calls", "outcomes", "p50 ms", "p99 ms", "cost USD", "confidence"):
        grid.add_column(name, justify="left" if name in ("service", "outcomes") else "right")
    for service in SERVICES:
        grid.add_row(*_row(service, [call for call in told if call.service == service]))
    return grid


def _row(service: str, calls: Sequence[Told]) -> tuple[str, ...]:
    times = sorted(call.seconds * 1000 for call in calls)
    sure = [call.confidence for call in calls if call.confidence is not None]
    cost = sum(pico(Decimal(call.cost)) for call in calls if call.cost)
    return (
        service,
        str(len(calls)),
        _outcomes(calls),
        _quantile(times, 0.5),
        _quantile(times, 0.99),
        f"{Decimal(usd(cost)):.6f}",
        f"{sum(sure) / len(sure):.2f}" if sure else "-",
    )


def _outcomes(calls: Sequence[Told]) -> str:
    counts = Counter(call.outcome or "lost" for call in calls)
    return "  ".join(
        f"[{_STYLE.get(outcome, 'red')}]{outcome} {count}[/]"
        for outcome, count in counts.most_common()
    )


def _quantile(times: Sequence[float], share: float) -> str:
    if not times:
        return "-"
    return f"{times[min(len(times) - 1, int(share * len(times)))]:.0f}"
