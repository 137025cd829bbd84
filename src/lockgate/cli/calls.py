"""`lockgate calls`: what has been asked lately, and how it ended."""

from __future__ import annotations

import sys
import time
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.table import Table
from rich.text import Text

from lockgate.cli.opened import (
    HERE,
    At,
    Duration,
    Json,
    console,
    facts,
    milliseconds,
    opened,
    print_json,
    shown,
    when,
)
from lockgate.core.entry import Entry
from lockgate.core.exchange import Outcome
from lockgate.core.money import usd
from lockgate.store.ledger import Ledger

_COLOURS = {
    Outcome.ANSWERED: "green",
    Outcome.CACHED: "green",
    Outcome.STALE: "yellow",
    Outcome.FALLBACK: "yellow",
    Outcome.UNCERTAIN: "yellow",
    Outcome.REFUSED: "magenta",
    Outcome.REJECTED: "red",
    Outcome.FAILED: "red",
}


def calls(
    *,
    service: str | None = None,
    outcome: Outcome | None = None,
    since: Duration | None = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=10_000))] = 20,
    as_json: Json = False,
    at: At = HERE,
) -> int:
    """List finished calls, the newest first.

    Example: `lockgate calls --service assistant --outcome fallback --since 1h`

    Args:
        service: Only calls to this service.
        outcome: Only calls that ended so.
        since: Only calls of the last `15m`, `1h`, `7d` …
        limit: At most so many.
        as_json: Print a JSON array, one call on each line.
        at: Which project.
    """
    with opened(at.loaded()) as store:
        page = Ledger(store).calls(
            since_ns=None if since is None else time.time_ns() - round(since * 1e9),
            service=service,
            outcome=outcome,
            limit=limit,
        )
    if as_json:
        print_json([facts(entry) for entry in page.calls])
    elif page.calls:
        console().print(_table(page.calls))
    else:
        print("no such calls in the ledger", file=sys.stderr)
    if page.following is not None:
        print(f"there are more than --limit {limit}", file=sys.stderr)
    return 0


def _table(entries: tuple[Entry, ...]) -> Table:
    table = Table("time", "id", "service", "outcome", "target")
    for name in ("confidence", "cost USD", "ms"):
        table.add_column(name, justify="right")
    for entry in entries:
        table.add_row(
            when(entry.received_at),
            entry.id,
            shown(entry.service),
            outcome_text(entry),
            shown(entry.target),
            "" if entry.confidence is None else f"{entry.confidence:.2f}",
            usd(entry.cost),
            milliseconds(entry.seconds).removesuffix(" ms"),
        )
    return table


def outcome_text(entry: Entry) -> Text:
    """Write a call's outcome in its colour, with the error's code if there was one."""
    colour = _COLOURS.get(Outcome(entry.outcome), "") if entry.outcome in _COLOURS else ""
    return Text(shown(f"{entry.outcome} {entry.code}".strip()), style=colour)
