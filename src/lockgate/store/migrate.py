"""Brings a database to the newest tables; many processes may try at once."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection

from lockgate.core.errors import StoreError
from lockgate.store.address import BUSY_MS
from lockgate.store.engine import Store

SCRIPTS = Path(__file__).parent / "migrations"
_ADVISORY_KEY = 0x10C6A7E
_VERSION = "SELECT version_num FROM alembic_version"


def newest() -> str:
    """Give the revision that this version of Lockgate works with."""
    return max(script.name[:4] for script in (SCRIPTS / "versions").glob("[0-9]*_*.py"))


def current(store: Store) -> str | None:
    """Read the database's revision; None if it has none, or there is no database yet.

    Raises:
        StoreError: Postgres cannot be reached.
    """
    if not store.exists():
        return None
    store.connect().close()
    with suppress(StoreError):  # it can be reached, so it is the table that is missing
        return next((str(row[0]) for row in store.query(_VERSION)), None)
    return None


def migrate(store: Store) -> None:
    """Make the database if there is none, and bring its tables up to date.

    Raises:
        StoreError: It cannot be done, or a newer Lockgate has been here.
    """
    found = current(store)
    if found == newest():
        return
    if found is not None and found > newest():
        raise StoreError(
            f"{store.shown} is at revision {found}, this Lockgate knows {newest()}: upgrade "
            "Lockgate, or restore the backup made before the last upgrade"
        )
    if store.path is not None:
        _make(store.path)
    with _alone(store), store.write(durable=True) as connection:
        if store.path is None:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_KEY})")
        _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _make(path: Path) -> None:
    """Make SQLite's file, readable only by us, in the mode in which readers never wait."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreError(f"cannot make the database {path}: {error.strerror}") from error


@contextmanager
def _alone(store: Store) -> Generator[None]:
    """Keep other processes of this machine from migrating the same SQLite file."""
    if store.path is None:
        yield
        return
    name = store.path.with_name(store.path.name + ".lock")
    with os.fdopen(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with store.translated():
            connection = sqlite3.connect(store.path, timeout=BUSY_MS / 1000)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
        yield
