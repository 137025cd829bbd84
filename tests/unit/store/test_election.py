"""Elections: one holder at a time, and a dead one holds nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from lockgate.core.errors import StoreError
from lockgate.store.address import Address
from lockgate.store.election import Election, FileElection, SessionElection
from lockgate.testing.conformance.store import PATIENCE_S
from lockgate.testing.postgres import Postgres

pytest_plugins = ("lockgate.testing.postgres_fixtures",)


def _take_turns(one: Election, other: Election) -> None:
    assert one.won()
    assert one.won()
    assert not other.won()
    one.resign()
    one.resign()
    assert other.won()
    assert not one.won()
    other.resign()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """The seat is held until its holder resigns."""
    _take_turns(FileElection(tmp_path / "a" / "lock"), FileElection(tmp_path / "a" / "lock"))


def test_one_node_at_a_time(postgres_url: str) -> None:
    """The same among nodes that share a Postgres."""
    address = Address(postgres_url)
    _take_turns(SessionElection(address, "steward"), SessionElection(address, "steward"))


def test_seats_are_told_apart(postgres_url: str) -> None:
    """Who holds one seat does not keep others from another."""
    address = Address(postgres_url)
    one, other = SessionElection(address, "steward"), SessionElection(address, "scribe")
    assert one.won()
    assert other.won()
    one.resign()
    other.resign()


def test_a_cut_line_is_a_lost_seat(postgres_url: str) -> None:
    """A holder whose session Postgres has ended finds out before it acts again."""
    address = Address(postgres_url)
    holder, heir = SessionElection(address, "steward"), SessionElection(address, "steward")
    assert holder.won()
    ended = address.query(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    assert ended == [(True,)]
    assert heir.won()
    assert not holder.won()
    heir.resign()
    assert holder.won()
    holder.resign()


def test_a_frozen_server_still_holds_the_seat(postgres_server: Postgres, postgres_url: str) -> None:
    """Asking whether the seat is held neither blocks nor gives it up while Postgres is frozen."""
    holder = SessionElection(Address(postgres_url), "steward")
    assert holder.won()
    postgres_server.freeze()
    try:
        assert all(holder.won() for _ in range(10))
    finally:
        postgres_server.thaw()
    assert holder.won()
    holder.resign()


def test_no_server_is_an_error(tmp_path: Path) -> None:
    """A seat that cannot be asked for is neither won nor lost."""
    with pytest.raises(StoreError):
        SessionElection(Address(f"postgresql:///gate?host={tmp_path}"), "steward").won()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot make"):
        FileElection(tmp_path / "file" / "lock").won()


@pytest.mark.timeout(PATIENCE_S)
def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    """The kernel gives the seat back at once."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover — this process is killed
        FileElection(tmp_path / "lock").won()
        os.write(writer, b".")
        signal.pause()
    os.read(reader, 1)
    heir = FileElection(tmp_path / "lock")
    assert not heir.won()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert heir.won()
    heir.resign()
    os.close(reader)
    os.close(writer)
