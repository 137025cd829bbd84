"""Where the database is, and the plainest way to reach it.

Workers need no more than this: keys, the generation and one read for readiness. SQLAlchemy
(24 MB, a quarter of a second) is only loaded by `lockgate.store.engine`.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import unquote

from lockgate.core.errors import StoreError

BUSY_MS = 30_000
"""How long SQLite waits for another writer, milliseconds."""

_PG_OPTIONS: dict[str, str | int] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "application_name": "lockgate",
}


class Dialect(StrEnum):
    """The databases Lockgate keeps its state in."""

    SQLITE = "sqlite"
    POSTGRES = "postgresql"


class Rows(Protocol):
    """What a statement gave."""

    def fetchone(self) -> tuple[Any, ...] | None: ...
    def fetchall(self) -> list[tuple[Any, ...]]: ...


class Plain(Protocol):
    """A database connection without SQLAlchemy, in autocommit mode."""

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Rows: ...
    def close(self) -> None: ...


class Address:
    """A database URL, understood.

    Attributes:
        dialect: Which database it is.
        url: The URL without a driver's name; may hold a password.
        path: SQLite's file; None for Postgres.
        shown: The URL without its password, for messages.
    """

    def __init__(self, url: str) -> None:
        """Understand *url*: `sqlite:///file` or `postgresql://user@host/name`.

        Raises:
            StoreError: It is neither.
        """
        scheme, separator, rest = url.partition("://")
        kind = scheme.partition("+")[0]
        if not separator or kind not in ("sqlite", "postgresql", "postgres"):
            raise StoreError(
                f"cannot use the store {_without_password(url)!r}: write sqlite:///FILE or "
                "postgresql://USER@HOST/NAME"
            )
        self.dialect = Dialect.SQLITE if kind == "sqlite" else Dialect.POSTGRES
        self.url = f"{self.dialect}://{rest}"
        self.shown = _without_password(self.url)
        self.path = _sqlite_path(rest) if self.dialect is Dialect.SQLITE else None

    @property
    def is_sqlite(self) -> bool:
        """Tell SQLite from Postgres."""
        return self.path is not None

    def exists(self) -> bool:
        """Say whether there may be a database; of Postgres only asking would tell."""
        return self.path is None or self.path.exists()

    def connect(self, *, busy_ms: int = BUSY_MS) -> Plain:
        """Open a plain connection in autocommit mode; may block for as long as the database does.

        Raises:
            StoreError: There is no database, or it does not let us in.
        """
        with self.translated():
            if self.path is not None:
                return cast("Plain", _connect_sqlite(self.path, busy_ms))
            return cast("Plain", _connect_postgres(self.url))

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own and give all rows.

        Raises:
            StoreError: It did not work.
        """
        with self.translated(), closing(self.connect()) as plain:
            return plain.execute(statement, values).fetchall()

    @contextmanager
    def translated(self) -> Generator[None]:
        """Turn what the drivers raise into `StoreError`."""
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(self.explain(error)) from error
        except StoreError:
            raise
        except Exception as error:  # psycopg is optional, so its errors have no name here
            if not type(error).__module__.startswith("psycopg"):
                raise
            raise StoreError(self.explain(error)) from error

    def explain(self, error: BaseException) -> str:
        """Say what went wrong, where, and what to do about it."""
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        if "no such table" in first or "does not exist" in first:
            first += " (the tables are made by `lockgate serve` or `lockgate key create`)"
        return f"{self.shown}: {first}"


def _without_password(url: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", re.sub(r"(password=)[^&]*", r"\1***", url))


def _sqlite_path(rest: str) -> Path:
    path = unquote(rest.partition("?")[0].removeprefix("/"))
    if path in ("", ":memory:"):
        raise StoreError("an in-memory store cannot be shared by processes: write sqlite:///FILE")
    return Path(path)


def _connect_sqlite(path: Path, busy_ms: int) -> sqlite3.Connection:
    if not path.exists():
        raise StoreError(
            f"there is no database at {path} yet: `lockgate serve` and `lockgate key create` "
            "make it"
        )
    connection = sqlite3.connect(
        f"file:{_quoted(path)}?mode=rw",
        uri=True,
        timeout=busy_ms / 1000,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _connect_postgres(url: str) -> object:
    try:
        import psycopg
    except ImportError as error:
        raise StoreError("Postgres needs a driver: pip install 'lockgate[postgres]'") from error
    return psycopg.connect(url, autocommit=True, **postgres_options(url))


def postgres_options(url: str) -> dict[str, Any]:
    """Give libpq's settings for a line that notices a dead peer, but for those in *url*."""
    return {name: value for name, value in _PG_OPTIONS.items() if f"{name}=" not in url}
