"""From the journal into the ledger: every finished call exactly once.

A batch of calls and the offset up to which its segment has been taken are committed in one
transaction, and a call is told apart by where it stood. So whatever is interrupted, and wherever,
is either done or done again without effect. A segment is deleted only when all of it is in the
database and its writer is gone; one with damage in it is set aside instead. While there is nothing
new, only the folder and the sizes of its segments are looked at.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from lockgate.core.clock import Clock, SystemClock
from lockgate.core.entry import Entry
from lockgate.core.errors import StoreError
from lockgate.store import tables
from lockgate.store.engine import Store
from lockgate.store.journal import LARGEST_FRAME, Scan, scan
from lockgate.store.segments import Folder, Listing

CHUNK = 4 * LARGEST_FRAME
"""Bytes of a segment that are taken in one transaction."""
_BIGGEST = (1 << 63) - 1
_INDEXED = 500  # characters; Postgres refuses a row whose indexed texts exceed 2704 bytes
_json = msgspec.json.Encoder().encode


class _Progress(msgspec.Struct, frozen=True):
    """How far a segment was taken.

    Attributes:
        offset: Up to where it is in the database.
        damaged: Damaged stretches up to there.
        known: The database has a row for it.
        looked: Up to where it was read; -1 if there is more to read.
    """

    offset: int = 0
    damaged: int = 0
    known: bool = False
    looked: int = -1


def to_stderr(line: str) -> None:
    """Write one line where operators look."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class Ingest:
    """Takes what is new in a folder's segments into a store; for one process at a time."""

    def __init__(
        self,
        store: Store,
        directory: Path | Folder,
        *,
        report: Callable[[str], object] = to_stderr,
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._folder = directory if isinstance(directory, Folder) else Folder(directory)
        self._report = report
        self._clock = clock or SystemClock()
        self._progress: dict[str, _Progress] = {}
        self._told: set[str] = set()
        self._listed = -1
        self._insert = _insert_statement(store)

    @property
    def behind(self) -> bool:
        """Say whether the last step left something unread."""
        return any(progress.looked < 0 for progress in self._progress.values())

    @property
    def quiet(self) -> bool:
        """Say whether nothing has been written since the last step, at a glance.

        That a writer has left can only be seen by a step.
        """
        try:
            return self._folder.changed_at() == self._listed and all(
                self._folder.size(name) <= progress.looked  # less: half a frame was taken back
                for name, progress in self._progress.items()
            )
        except OSError:
            return False

    def step(self) -> int:
        """Take the next stretch of every segment that has grown, and tidy up those that are done.

        Returns:
            How many calls were read; some of them may have been in the ledger already.

        Raises:
            StoreError: The database cannot be used now; nothing is lost, try again later.
        """
        self._listed, listed = -1, self._changed_at()
        listing = self._look()
        self._forget_all_but({segment.name for segment in listing.segments})
        read = 0
        for segment in listing.segments:
            with self._remembering(segment.name):
                read += self._take(segment.name, segment.size)
                self._finish(segment.name)
        self._listed = listed
        return read

    def _changed_at(self) -> int:
        with suppress(OSError):
            return self._folder.changed_at()
        return -1

    def _look(self) -> Listing:
        try:
            listing = self._folder.look()
        except OSError as error:
            raise StoreError(f"cannot list {self._folder.path}: {error.strerror}") from error
        for name in listing.strangers:
            self._tell_once(f"{self._folder.path / name} is no journal segment; left alone")
        return listing

    @contextmanager
    def _remembering(self, name: str) -> Generator[None]:
        """Report a file that cannot be used, once; after any failure ask the database again."""
        try:
            yield
        except OSError as error:
            self._progress.pop(name, None)
            self._tell_once(f"cannot use {self._folder.path / name}: {error.strerror}")
        except BaseException:
            self._progress.pop(name, None)
            raise

    def _take(self, name: str, size: int) -> int:
        """Take one stretch of a segment; do nothing if it has not grown."""
        progress = self._progress.get(name) or self._recall(name)
        if progress.looked >= size:
            return 0
        stretch = self._folder.read(name, progress.offset, CHUNK)
        found = scan(stretch, progress.offset)
        looked = progress.offset + len(stretch) if len(stretch) < CHUNK else -1
        if found.end > progress.offset:
            self._commit(name, found, progress.damaged + found.damaged)
            progress = _Progress(found.end, progress.damaged + found.damaged, known=True)
        self._progress[name] = msgspec.structs.replace(progress, looked=looked)
        return len(found.frames)

    def _recall(self, name: str) -> _Progress:
        row = tables.segments.c
        with self._store.read() as connection:
            kept = connection.execute(
                select(row.offset, row.damaged).where(row.name == name)
            ).one_or_none()
        return _Progress() if kept is None else _Progress(kept[0], kept[1], known=True)

    def _commit(self, name: str, found: Scan, damaged: int) -> None:
        rows = [_row(name, offset, entry) for offset, entry in found.frames]
        if not self._store.is_sqlite:
            rows = [tuple(_storable(value) for value in row) for row in rows]
        with self._store.write() as connection:
            new = connection.exec_driver_sql(self._insert, rows).rowcount if rows else 0
            _advance(connection, name, found.end, damaged)
        if new < len(rows):
            self._report(f"{len(rows) - new} calls of {name} were in the ledger already")

    def _finish(self, name: str) -> None:
        """Take a segment away if all of it is in the database and nobody writes to it any more."""
        progress = self._progress[name]
        if progress.looked < 0:
            return
        with self._folder.abandoned(name) as size:
            if size is None or size != progress.looked:
                return
            if progress.known:
                self._mark_finished(name)
            self._put_away(name, progress, size)
        del self._progress[name]

    def _mark_finished(self, name: str) -> None:
        """Note the end on disk, and with it every earlier commit, before the file may go."""
        done = update(tables.segments).where(tables.segments.c.name == name)
        with self._store.write(durable=True) as connection:
            connection.execute(done.values(finished_at=self._clock.now_ns()))

    def _put_away(self, name: str, progress: _Progress, size: int) -> None:
        torn = size - progress.offset
        if not torn and not progress.damaged:
            self._folder.remove(name)
            return
        kept = self._folder.set_aside(name)
        self._report(
            f"{name} has {progress.damaged} damaged stretches and {torn} bytes of an unfinished "
            f"record; everything else in it is in the ledger; kept as {kept}"
        )

    def _forget_all_but(self, names: set[str]) -> None:
        for name in self._progress.keys() - names:
            del self._progress[name]

    def _tell_once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._report(line)


def _insert_statement(store: Store) -> str:
    """Write the insert once; SQLAlchemy would spend more on each row than the database does."""
    if store.is_sqlite:
        statement, dialect = sqlite.insert(tables.calls), sqlite.dialect(paramstyle="qmark")
        return str(statement.on_conflict_do_nothing().compile(dialect=dialect))
    statement, dialect = postgresql.insert(tables.calls), postgresql.dialect(paramstyle="format")
    return str(statement.on_conflict_do_nothing().compile(dialect=dialect))


def _row(segment: str, offset: int, entry: Entry) -> tuple[Any, ...]:
    """Lay *entry* out in the order of the table's columns."""
    return (
        entry.id[:_INDEXED],
        segment,
        offset,
        entry.service[:_INDEXED],
        entry.surface,
        entry.release,
        entry.key_id,
        entry.tenant,
        entry.received_at,
        entry.seconds,
        entry.first_output,
        entry.outcome,
        entry.status,
        entry.code,
        entry.ended,
        entry.rung,
        entry.target,
        entry.confidence,
        min(entry.cost, _BIGGEST),
        min(entry.input_tokens, _BIGGEST),
        min(entry.output_tokens, _BIGGEST),
        _json(entry.attempts).decode(),
        _json(entry.verdicts).decode(),
        _json(entry.notes()).decode(),
    )


def _storable(value: Any) -> Any:
    """Replace what Postgres does not take in a text."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


def _advance(connection: Connection, name: str, offset: int, damaged: int) -> None:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {"name": name, "offset": offset, "damaged": damaged, "finished_at": None}
    statement = insert(tables.segments).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=row))
