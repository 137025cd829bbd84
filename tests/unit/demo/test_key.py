"""The demo's key."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate.demo.play import demo_key
from lockgate.store.engine import Store, open_store
from lockgate.store.keys import Keys


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Give the store of a demo."""
    opened = open_store(f"sqlite:///{tmp_path / '.lockgate' / 'lockgate.db'}")
    yield opened
    opened.close()


def test_only_the_last_key_is_valid_and_for_a_day(tmp_path: Path, store: Store) -> None:
    """Keys of earlier demos are revoked, others are not, and none outlives a day."""
    demo_key(store, tmp_path)
    Keys(store).create("me", note="mine")
    last = demo_key(store, tmp_path)

    valid = {key.note: key for key in Keys(store).list() if key.revoked_at is None}
    assert len(valid) == 2
    made = valid["made by lockgate demo"]
    assert made.public_id in last
    assert made.expires_at is not None
    assert made.expires_at <= time.time_ns() + 86_400_000_000_000
    assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / ".lockgate").iterdir())
