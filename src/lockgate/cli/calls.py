"""`lockgate calls`: what has been asked lately, and how it ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.table import Table
from rich.text import Text

from lockgate.app.api.frames import CHAT_ID
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
from lockgate.store.ledger import Ledger, Page, Place

NO = 3
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


@Parameter(name="*")
@dataclass(frozen=True)
class Wanted:
    """Which calls a listing is about.

    Attributes:
        service: Only calls to this service.
        outcome: Only calls that ended so.
        since: Only calls of the last `15m`, `1h`, `7d` …
        before: Only calls older than the one with this id, or than this time in UTC
            (`2026-03-03T14:03`).
    """

    service: str | None = None
    outcome: Outcome | None = None
    since: Duration | None = None
    before: str | None = None

    def pages(self, ledger: Ledger, limit: int) -> Iterator[Page]:
        """Read at most *limit* of them.

        Raises:
            LookupError: There is no call, and no time, that they could be older than.
        """
        return ledger.pages(
            since_ns=None if self.since is None else time.time_ns() - round(self.since * 1e9),
            service=self.service,
            outcome=self.outcome,
            limit=limit,
            before=None if self.before is None else _place(ledger, self.before),
        )


_ALL: Final = Wanted()


def calls(
    *,
    wanted: Wanted = _ALL,
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    as_json: Json = False,
    at: At = HERE,
) -> int:
    """List finished calls, the newest first.

    However many are asked for, they are read and printed a thousand at a time. If there are more,
    the last line says which `--before` goes on from there.

    Example: `lockgate calls --service assistant --outcome fallback --since 1h`

    Args:
        wanted: Which calls.
        limit: At most so many.
        as_json: Print a JSON array, one call on each line.
        at: Which project.
    """
    with opened(at.loaded()) as store:
        try:
            listing = _Listing(wanted.pages(Ledger(store), limit))
        except LookupError as error:
            print(f"error: {error}", file=sys.stderr)
            return NO
        listing.show(as_json=as_json)
    more = listing.following
    if more is not None:
        print(f"there are more than --limit {limit}: --before {more.id}", file=sys.stderr)
    return 0


class _Listing:
    """Prints pages one after the other.

    Attributes:
        following: Where the last one ended, if there is more.
    """

    def __init__(self, pages: Iterator[Page]) -> None:
        self._pages = pages
        self.following: Place | None = None

    def show(self, *, as_json: bool) -> None:
        """Print everything: JSON as one array, for people a table per page."""
        if as_json:
            print_json(facts(entry) for page in self._read() for entry in page.calls)
            return
        for page in self._read():
            if page.calls:
                console().print(_table(page.calls))
            else:
                print("no such calls in the ledger", file=sys.stderr)

    def _read(self) -> Iterator[Page]:
        for page in self._pages:
            self.following = page.following
            yield page


def _place(ledger: Ledger, before: str) -> Place:
    """Find the place in the ledger that is a call's, or a time's.

    Raises:
        LookupError: It is neither.
    """
    call = ledger.call(before.removeprefix(CHAT_ID))
    if call is not None:
        return Place(call.received_at, call.id)
    try:
        moment = datetime.fromisoformat(before.removesuffix(" UTC"))
    except ValueError as error:
        raise LookupError(f"{shown(before)!r} is no call in the ledger, and no time") from error
    return Place(round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1e9), "")


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
