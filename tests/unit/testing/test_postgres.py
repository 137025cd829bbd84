"""The Postgres for tests: it starts as whoever we are, and leaves nothing behind."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from lockgate.core.errors import StoreError
from lockgate.store.address import Address
from lockgate.testing.postgres import Postgres


def test_it_leaves_nothing_behind() -> None:
    """Neither a process nor a file outlives the block."""
    with Postgres() as server:
        pid, address = server.pid, Address(server.new_database())
        home = Path(address.url.partition("host=")[2])
        assert address.query("SELECT 1") == [(1,)]
        assert home.exists()
    assert not psutil.pid_exists(pid)
    assert not home.exists()
    with pytest.raises(StoreError):
        address.query("SELECT 1")


def test_it_runs_as_an_ordinary_user() -> None:
    """As root the server runs as somebody else; as anybody else it runs as that."""
    with Postgres() as server:
        owner = psutil.Process(server.pid).uids().effective
    assert owner != 0
    assert os.geteuid() in {0, owner}


def test_it_listens_on_no_network() -> None:
    """Only who can open the socket's file gets in."""
    with Postgres() as server:
        lines = psutil.Process(server.pid).net_connections("inet")
        assert lines == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to make a copy")
def test_files_that_the_server_may_not_read_are_copied() -> None:
    """A virtual environment in a closed folder, root's own say, works too."""

    class Closed(Postgres):
        """As if the installed files were out of the server's reach."""

        def _runs(self, binaries: Path) -> bool:
            return False

    with Closed() as server:
        command = Path(psutil.Process(server.pid).exe())
        assert command.is_relative_to(server.url().partition("host=")[2])
        assert Address(server.new_database()).query("SELECT 1") == [(1,)]
