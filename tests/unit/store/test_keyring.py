"""Keys: who holds one is known in memory, everyone else learns nothing."""

from __future__ import annotations

import hmac
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.core.errors import StoreError, Unauthenticated
from lockgate.store import keyring as module
from lockgate.store.engine import Store, open_store
from lockgate.store.keyring import Keyring
from lockgate.store.keys import Keys
from lockgate.store.migrate import migrate
from lockgate.testing.fakes import FakeClock


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Generator[Store]:
    """Give a store with one key in it, that of `acme`."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('keys')}/lockgate.db")
    migrate(store)
    yield store
    store.close()


@pytest.fixture(scope="module")
def secret(store: Store) -> str:
    """Give the key of `acme`."""
    return Keys(store).create("acme").secret_text


@pytest.fixture(scope="module")
def ring(store: Store, secret: str) -> Keyring:
    """Give a keyring that knows it."""
    ring = Keyring(store)
    ring.refresh()
    assert ring(secret).tenant == "acme"
    return ring


def test_every_character_of_a_key_counts(ring: Keyring, secret: str) -> None:
    """A key with anything changed, added or left out is not valid."""
    for place in range(len(secret)):
        other = "7" if secret[place] != "7" else "8"
        wrong = secret[:place] + other + secret[place + 1 :]
        if place not in {0, 1, 2, 13}:  # the letters around id and secret are not secret
            with pytest.raises(Unauthenticated):
                ring(wrong)
    for wrong in (secret[:-1], secret + "0", secret.upper(), f" {secret}", ""):
        with pytest.raises(Unauthenticated):
            ring(wrong)


@given(st.text(max_size=100))
def test_nothing_presented_breaks_the_ring(ring: Keyring, presented: str) -> None:
    """Whatever is presented, the answer is yes or no."""
    with pytest.raises(Unauthenticated):
        ring(presented)


def test_no_key_is_refused(ring: Keyring) -> None:
    """Who presents nothing is told how to."""
    with pytest.raises(Unauthenticated, match="Authorization: Bearer"):
        ring(None)


def test_an_unknown_id_costs_as_much_as_a_wrong_secret(
    ring: Keyring, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are one hash and one comparison in constant time, so that ids cannot be probed for."""
    done: list[str] = []

    class Watched:
        """The standard library's comparison, and a note that it was used."""

        @staticmethod
        def compare_digest(left: bytes, right: bytes) -> bool:
            done.append(f"compare {len(left)} {len(right)}")
            return hmac.compare_digest(left, right)

    monkeypatch.setattr(module, "hmac", Watched)
    wrong = secret[:-1] + ("7" if secret[-1] != "7" else "8")
    unknown = "lg-" + "0" * 10 + secret[13:]
    for presented in (secret, wrong, unknown):
        try:
            ring(presented)
        except Unauthenticated:
            done.append("refused")
    assert done == ["compare 64 64", "compare 64 64", "refused", "compare 64 64", "refused"]


def test_a_key_expires_to_the_nanosecond(store: Store) -> None:
    """A key is valid before its end, and no longer at it."""
    clock = FakeClock()
    minted = Keys(store, clock).create("beta", expires_at_ns=clock.now_ns() + 1)
    ring = Keyring(store, clock)
    ring.refresh()
    assert ring(minted.secret_text).tenant == "beta"
    late = Keys(store, clock).create("late", expires_at_ns=clock.now_ns())
    ring.refresh()
    with pytest.raises(Unauthenticated):
        ring(late.secret_text)


def test_unread_keys_are_not_unknown_keys(store: Store, secret: str) -> None:
    """Before the keys have been read nobody is told that theirs is wrong."""
    with pytest.raises(StoreError, match="not been read"):
        Keyring(store)(secret)


def test_a_failed_refresh_keeps_the_keys(tmp_path: Path) -> None:
    """A database that goes away takes no key with it."""
    store = open_store(f"sqlite:///{tmp_path}/lockgate.db")
    migrate(store)
    ring = Keyring(store)
    ring.refresh()
    assert ring.unused
    minted = Keys(store).create("acme")
    ring.refresh()
    assert not ring.unused
    store.close()
    assert store.path is not None
    store.path.rename(tmp_path / "away")
    with pytest.raises(StoreError):
        ring.refresh()
    assert ring(minted.secret_text).tenant == "acme"
    assert not ring.unused
