"""Addresses: what they mean, and what they never tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.core.errors import StoreError
from lockgate.store.address import Address, Dialect, postgres_options


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////var/lock/gate.db", "/var/lock/gate.db"),
        ("sqlite:///gate.db", "gate.db"),
        ("sqlite:///a%20b.db?mode=rw", "a b.db"),
        ("sqlite+pysqlite:///gate.db", "gate.db"),
    ],
)
def test_sqlite_urls_name_a_file(url: str, path: str) -> None:
    """Three slashes begin a relative path, four an absolute one."""
    address = Address(url)
    assert (address.dialect, address.path) == (Dialect.SQLITE, Path(path))


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgres_has_several_names(scheme: str) -> None:
    """All the usual spellings mean the same server."""
    address = Address(f"{scheme}://me@db/gate")
    assert (address.dialect, address.url) == (Dialect.POSTGRES, "postgresql://me@db/gate")
    assert address.exists()


@pytest.mark.parametrize("url", ["mysql://db/gate", "gate.db", "sqlite:gate.db", "", "http://x"])
def test_other_urls_are_refused_with_the_way_to_write_them(url: str) -> None:
    """The message shows both kinds."""
    with pytest.raises(StoreError, match="sqlite:///FILE or postgresql://USER@HOST/NAME"):
        Address(url)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_store_in_memory_is_refused(url: str) -> None:
    """Processes could not share it."""
    with pytest.raises(StoreError, match="in-memory"):
        Address(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cret@127.0.0.1:1/gate",
        "postgresql://127.0.0.1:1/gate?user=me&password=s3cret",
        "mysql://me:s3cret@db/gate",
    ],
)
def test_passwords_are_never_told(url: str) -> None:
    """No message has the password in it, wherever in the URL it stood."""
    with pytest.raises(StoreError) as caught:
        Address(url).connect()
    assert "s3cret" not in str(caught.value)


def test_a_missing_database_is_not_made_by_looking(tmp_path: Path) -> None:
    """Reading where there is nothing says what makes a database, and makes none."""
    address = Address(f"sqlite:///{tmp_path}/gate.db")
    with pytest.raises(StoreError, match="lockgate key create"):
        address.query("SELECT 1")
    assert not address.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_tables_says_how_to_get_them(tmp_path: Path) -> None:
    """An empty file is told apart from a broken statement."""
    (tmp_path / "gate.db").touch()
    with pytest.raises(StoreError, match="the tables are made by"):
        Address(f"sqlite:///{tmp_path}/gate.db").query("SELECT * FROM calls")


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    """It is named, and not touched."""
    (tmp_path / "gate.db").write_bytes(b"something else entirely" * 100)
    with pytest.raises(StoreError, match=r"gate\.db: file is not a database"):
        Address(f"sqlite:///{tmp_path}/gate.db").query("SELECT * FROM calls")


def test_settings_in_the_url_win() -> None:
    """A user's own time limits are not overridden."""
    assert "connect_timeout" in postgres_options("postgresql://db/gate")
    assert "connect_timeout" not in postgres_options("postgresql://db/gate?connect_timeout=60")
