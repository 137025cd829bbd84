"""SQLite's transactions: who will write waits its turn from the beginning."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import text

from lockgate.store.engine import open_store
from lockgate.store.generation import Generation
from lockgate.store.migrate import migrate


def test_reading_first_and_writing_later_is_never_told_locked(tmp_path: Path) -> None:
    """Another writer waits until who began before it is done; neither fails, no update is lost."""
    store = open_store(f"sqlite:///{tmp_path}/lockgate.db")
    migrate(store)

    def add_ten() -> None:
        own = open_store(store.url)
        with own.write() as connection:
            connection.execute(text("UPDATE generation SET number = number + 10"))
        own.close()

    other = threading.Thread(target=add_ten)
    with store.write() as connection:
        known = connection.execute(text("SELECT number FROM generation")).scalar_one()
        other.start()
        other.join(0.3)  # time enough to get in between, were that possible
        connection.execute(text(f"UPDATE generation SET number = {known + 1}"))
    other.join()
    assert Generation(store).read() == 12
    store.close()


def test_durable_writes_wait_for_the_disk(tmp_path: Path) -> None:
    """A write that must survive a power cut is synchronised; the others are not slowed down."""
    store = open_store(f"sqlite:///{tmp_path}/lockgate.db")
    migrate(store)
    levels: list[int] = []
    for durable in (True, False, True):
        with store.write(durable=durable) as connection:
            levels.append(connection.exec_driver_sql("PRAGMA synchronous").scalar_one())
    assert levels == [2, 1, 2]
    assert store.query("PRAGMA journal_mode") == [("wal",)]
    store.close()


def test_a_closed_store_can_be_used_again(tmp_path: Path) -> None:
    """Closing gives up connections, not the store."""
    store = open_store(f"sqlite:///{tmp_path}/lockgate.db")
    migrate(store)
    for _ in range(2):
        with store.read() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
        store.close()
    assert not list(tmp_path.glob("*-wal"))
