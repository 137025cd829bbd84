"""What the demo shows while it runs: one row a service, as its callers see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
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


def failures(told: Sequence[Told]) -> Iterator[str]:
    """Say in a line or two why the calls failed that the table shows as failed."""
    failed = [call for call in told if call.outcome == "failed"]
    cut = [call for call in failed if call.status == 200]
    refused = [call for call in failed if call.status != 200]
    if cut:
        yield (
            f"failed {len(cut)}: streams that had begun when the model was killed or slowed; "
            f"each ended with an error event ({_codes(cut)}), never with [DONE]"
        )
    if refused:
        yield f"failed {len(refused)}: no rung of the ladder could answer ({_codes(refused)})"


def _codes(calls: Sequence[Told]) -> str:
    return ", ".join(sorted({_code(call) for call in calls}))


def _code(call: Told) -> str:
    said = call.answer.get("error", call.answer) if isinstance(call.answer, dict) else None
    code = said.get("code") if isinstance(said, dict) else None
    return str(code or f"status {call.status}")


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
