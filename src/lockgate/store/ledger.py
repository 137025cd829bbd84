"""Questions to the ledger. Readers take no lock that a writer waits for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, RowMapping, func, select, tuple_

from lockgate.core.entry import IN_NOTES, Entry
from lockgate.store.engine import Store
from lockgate.store.ping import Ping
from lockgate.store.tables import calls

PAGE = 1000
"""Calls that are read at once; with their trails, about 2 MB."""
_DETAILS = ("attempts", "verdicts", "trail")
_FIELDS = tuple(name for name in Entry.__struct_fields__ if name not in IN_NOTES)


class Place(msgspec.Struct, frozen=True):
    """Where a page of the ledger ended: the next one goes on with what is older than this call."""

    received_at: int
    id: str


class Page(msgspec.Struct, frozen=True):
    """Some calls, the newest first, and where the next page begins; None after the last."""

    calls: tuple[Entry, ...]
    following: Place | None


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What a service's calls come to.

    Attributes:
        outcomes: Number of calls by outcome.
        cost: Pico-dollars.
    """

    service: str
    calls: int
    outcomes: dict[str, int]
    cost: int
    input_tokens: int
    output_tokens: int


class Ledger:
    """The finished calls of one store."""

    def __init__(self, store: Store, *, ping_s: float = 1.0) -> None:
        self._store = store
        self._ping = Ping(store, within_s=ping_s)

    async def ping(self) -> None:
        """Read one row, without holding up the event loop.

        Raises:
            StoreError: It did not work, or not in time.
        """
        await self._ping()

    def calls(
        self,
        *,
        since_ns: int | None = None,
        service: str | None = None,
        outcome: str | None = None,
        limit: int = 20,
        before: Place | None = None,
    ) -> Page:
        """List calls, the newest first.

        Args:
            since_ns: Only those received then or later, nanoseconds since 1970 UTC.
            service: Only those to this service.
            outcome: Only those that ended so.
            limit: At most so many.
            before: Only those older than this place.

        Raises:
            StoreError: The database cannot be read.
        """
        wanted = _matching(since_ns, service, outcome) + _older(before)
        query = select(calls).where(*wanted).order_by(calls.c.received_at.desc(), calls.c.id.desc())
        with self._store.read() as connection:
            rows = connection.execute(query.limit(limit + 1)).mappings().all()
        found = tuple(_entry(row) for row in rows[:limit])
        more = len(rows) > limit > 0
        return Page(found, Place(found[-1].received_at, found[-1].id) if more else None)

    def pages(
        self,
        *,
        since_ns: int | None = None,
        service: str | None = None,
        outcome: str | None = None,
        limit: int = 20,
        before: Place | None = None,
    ) -> Iterator[Page]:
        """List calls as `calls` does, however many, a page of at most `PAGE` at a time.

        Calls that arrive meanwhile are newer, so that they are not among them.
        """
        while limit > 0:
            page = self.calls(
                since_ns=since_ns,
                service=service,
                outcome=outcome,
                limit=min(limit, PAGE),
                before=before,
            )
            yield page
            limit, before = limit - len(page.calls), page.following
            if before is None:
                return

    def call(self, call_id: str) -> Entry | None:
        """Find one call by its request id; None if it is not (yet) in the ledger.

        Raises:
            StoreError: The database cannot be read.
        """
        with self._store.read() as connection:
            query = select(calls).where(calls.c.id == call_id)
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else _entry(row)

    def count(self) -> int:
        """Count all calls.

        Raises:
            StoreError: The database cannot be read.
        """
        with self._store.read() as connection:
            return connection.execute(select(func.count()).select_from(calls)).scalar_one()

    def totals(self, *, since_ns: int | None = None) -> tuple[Totals, ...]:
        """Add up the calls of each service, by its name.

        Raises:
            StoreError: The database cannot be read.
        """
        sums = (
            func.count(),
            func.sum(calls.c.cost),
            func.sum(calls.c.input_tokens),
            func.sum(calls.c.output_tokens),
        )
        query = (
            select(calls.c.service, calls.c.outcome, *sums)
            .where(*_matching(since_ns, None, None))
            .group_by(calls.c.service, calls.c.outcome)
            .order_by(calls.c.service, calls.c.outcome)
        )
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        by_service: dict[str, list[Sequence[Any]]] = {}
        for row in rows:
            by_service.setdefault(row[0], []).append(tuple(row)[1:])
        return tuple(_totals(service, parts) for service, parts in by_service.items())


def _totals(service: str, parts: Sequence[Sequence[Any]]) -> Totals:
    """Add up rows of outcome, calls, cost, input and output tokens."""
    return Totals(
        service=service,
        calls=sum(int(part[1]) for part in parts),
        outcomes={part[0]: int(part[1]) for part in parts},
        cost=sum(int(part[2]) for part in parts),
        input_tokens=sum(int(part[3]) for part in parts),
        output_tokens=sum(int(part[4]) for part in parts),
    )


def _matching(
    since_ns: int | None, service: str | None, outcome: str | None
) -> tuple[ColumnElement[bool], ...]:
    wanted = (
        None if since_ns is None else calls.c.received_at >= since_ns,
        None if service is None else calls.c.service == service,
        None if outcome is None else calls.c.outcome == outcome,
    )
    return tuple(part for part in wanted if part is not None)


def _older(before: Place | None) -> tuple[ColumnElement[bool], ...]:
    if before is None:
        return ()
    # As one comparison of rows, or the databases would read everything newer again for each page.
    place = tuple_(calls.c.received_at, calls.c.id)
    return (place < (before.received_at, before.id),)


def _entry(row: RowMapping) -> Entry:
    kept = {name: row[name] for name in _FIELDS}
    details = {name: msgspec.json.decode(row[name]) for name in _DETAILS}
    return msgspec.convert([*(kept | details).values()], Entry)
