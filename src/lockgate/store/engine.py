"""The database through SQLAlchemy Core: one place where transactions begin and errors translate."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from lockgate.core.errors import StoreError
from lockgate.store.address import BUSY_MS, Address, postgres_options


class Store(Address):
    """A database that can be read and written in short transactions; opens nothing until used."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine, made at the first use."""
        if self._engine is None:
            self._engine = _sqlite(self) if self.is_sqlite else _postgres(self)
        return self._engine

    @contextmanager
    def read(self) -> Generator[Connection]:
        """Begin a transaction that only reads: it waits for no writer and stops none.

        Raises:
            StoreError: The database cannot be used.
        """
        with self._translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = False) -> Generator[Connection]:
        """Begin a transaction that writes; it commits at the end, or undoes everything.

        Args:
            durable: Be on disk before going on, also under SQLite's quicker setting.

        Raises:
            StoreError: The database cannot be used.
        """
        writing = self.engine.execution_options(lockgate_write=True, lockgate_durable=durable)
        with self._translated(), writing.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection. The store opens new ones if it is used again."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @contextmanager
    def _translated(self) -> Generator[None]:
        with self.translated():
            try:
                yield
            except SQLAlchemyError as error:
                cause = getattr(error, "orig", None) or error
                raise StoreError(self.explain(cause)) from error


def open_store(url: str) -> Store:
    """Open the database at *url*: `sqlite:///file` or `postgresql://user@host/name`.

    Raises:
        StoreError: The URL is neither.
    """
    return Store(url)


def _sqlite(store: Store) -> Engine:
    engine = create_engine("sqlite://", creator=lambda: store.connect(busy_ms=BUSY_MS))
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _postgres(store: Store) -> Engine:
    url = store.url.replace("postgresql://", "postgresql+psycopg://", 1)
    options = postgres_options(store.url)
    return create_engine(url, connect_args=options, pool_size=2, max_overflow=8)


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: Connection) -> None:
    """Begin as SQLite must be told to: who will write asks for the lock first and waits its turn.

    A transaction that reads first and writes later is the one that SQLite ends with "locked".
    """
    options: dict[str, Any] = dict(connection.get_execution_options())
    if not options.get("lockgate_write"):
        connection.exec_driver_sql("BEGIN")
        return
    level = "FULL" if options.get("lockgate_durable") else "NORMAL"
    connection.exec_driver_sql(f"PRAGMA synchronous={level}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
