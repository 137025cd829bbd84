"""The store on SQLite and on a real Postgres: the same promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.testing.conformance.store import StorePromises

pytest_plugins = ("lockgate.testing.postgres_fixtures",)


class TestSqlite(StorePromises):
    """SQLite, in a folder that is not there yet."""

    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        """Give the URL of a file that does not exist."""
        return f"sqlite:///{tmp_path}/state of things/lock%25gate.db"


class TestPostgres(StorePromises):
    """A real Postgres."""

    @pytest.fixture
    def store_url(self, postgres_url: str) -> str:
        """Give the URL of an empty database."""
        return postgres_url
