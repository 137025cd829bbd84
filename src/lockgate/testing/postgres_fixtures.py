"""Fixtures with a real Postgres: `pytest_plugins = ("lockgate.testing.postgres_fixtures",)`."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from lockgate.testing.postgres import Postgres


@pytest.fixture(scope="session")
def postgres_server() -> Generator[Postgres]:
    """Run one real Postgres for the whole session."""
    with Postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> str:
    """Give the URL of an empty database of its own to each test."""
    return postgres_server.new_database()
