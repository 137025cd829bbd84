"""API keys in the database: made, listed, revoked. Checking them is `keyring`."""

from __future__ import annotations

import os

import msgspec
from sqlalchemy import Connection, RowMapping, insert, select, update

from lockgate.core.clock import Clock, SystemClock
from lockgate.store import tables
from lockgate.store.engine import Store
from lockgate.store.generation import BUMP, NOTIFY
from lockgate.store.keyring import PREFIX, PUBLIC_CHARS, SECRET_CHARS, Keyring, digest

__all__ = ["Key", "Keyring", "Keys", "Minted"]

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # 32, so that every random byte gives five fair bits


class Minted(msgspec.Struct, frozen=True):
    """A new key; its secret exists only here.

    Attributes:
        secret_text: The whole key as callers send it, `lg-<public id>-<secret>`.
    """

    public_id: str
    secret_text: str


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """What may be known of a key. Times in nanoseconds since 1970 UTC."""

    public_id: str
    tenant: str
    note: str
    services: frozenset[str]
    created_at: int
    expires_at: int | None
    revoked_at: int | None


class Keys:
    """The keys of one store."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or SystemClock()

    def create(
        self,
        tenant: str,
        note: str = "",
        services: frozenset[str] = frozenset(),
        expires_at_ns: int | None = None,
    ) -> Minted:
        """Make a key for *services*, all of them if none is named.

        Raises:
            StoreError: The database cannot be written.
        """
        public_id, secret, salt = _letters(PUBLIC_CHARS), _letters(SECRET_CHARS), os.urandom(16)
        row = {
            "public_id": public_id,
            "salt": salt,
            "digest": digest(secret.encode(), salt),
            "tenant": tenant,
            "note": note,
            "services": msgspec.json.encode(sorted(services)).decode(),
            "created_at": self._clock.now_ns(),
            "expires_at": expires_at_ns,
        }
        with self._store.write() as connection:
            connection.execute(insert(tables.keys).values(row))
            bump(connection)
        return Minted(public_id, f"{PREFIX}{public_id}-{secret}")

    def list(self) -> list[Key]:
        """List all keys ever made, the oldest first.

        Raises:
            StoreError: The database cannot be read.
        """
        with self._store.read() as connection:
            rows = connection.execute(select(tables.keys).order_by(tables.keys.c.created_at))
            return [_key(row) for row in rows.mappings()]

    def revoke(self, public_id: str) -> bool:
        """Make a key invalid from now on; False if there is no such valid key.

        Raises:
            StoreError: The database cannot be written.
        """
        valid = (tables.keys.c.public_id == public_id) & tables.keys.c.revoked_at.is_(None)
        now = self._clock.now_ns()
        with self._store.write() as connection:
            done = connection.execute(update(tables.keys).where(valid).values(revoked_at=now))
            if done.rowcount:
                bump(connection)
        return bool(done.rowcount)


def bump(connection: Connection) -> None:
    """Raise the generation within a transaction; workers hear of it when that commits."""
    connection.exec_driver_sql(BUMP)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(NOTIFY)


def _letters(count: int) -> str:
    return "".join(_LETTERS[byte & 31] for byte in os.urandom(count))


def _key(kept: RowMapping) -> Key:
    return Key(
        public_id=kept["public_id"],
        tenant=kept["tenant"],
        note=kept["note"],
        services=msgspec.json.decode(kept["services"], type=frozenset[str]),
        created_at=kept["created_at"],
        expires_at=kept["expires_at"],
        revoked_at=kept["revoked_at"],
    )
