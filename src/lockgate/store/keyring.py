"""Who calls: API keys, checked in memory in about a microsecond.

A key reads `lg-<public id>-<secret>`. The secret has 160 random bits, so a fast keyed hash is all
the stretching it needs; every row has a salt of its own. An unknown id costs as much as a wrong
secret.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from lockgate.core.clock import Clock, SystemClock
from lockgate.core.errors import StoreError, Unauthenticated
from lockgate.core.exchange import Caller
from lockgate.store.address import Address

PREFIX = "lg-"
PUBLIC_CHARS = 10
SECRET_CHARS = 32
DIGEST_BYTES = 64
_SPLIT = len(PREFIX) + PUBLIC_CHARS
_NEVER = 1 << 63

_ROWS = "SELECT public_id, salt, digest, tenant, services, expires_at, revoked_at FROM keys"


def digest(secret: bytes, salt: bytes) -> bytes:
    """Hash a key's secret as it is kept in the database."""
    return blake2b(secret, key=salt).digest()


class _Lock(msgspec.Struct, frozen=True):
    """What a presented key must fit."""

    salt: bytes
    digest: bytes
    expires_at: int
    caller: Caller


_NOBODY = _Lock(b"\0" * 16, b"\0" * DIGEST_BYTES, _NEVER, Caller(key_id="", tenant=""))


class Keyring:
    """Every valid key of the database at an address; `refresh` swaps in what is valid now.

    Attributes:
        unused: No key was ever made, revoked and expired ones included.
    """

    def __init__(self, address: Address, clock: Clock | None = None) -> None:
        self._address = address
        self._now_ns = (clock or SystemClock()).now_ns
        self._locks: Mapping[str, _Lock] | None = None
        self.unused = False

    @property
    def known(self) -> bool:
        """Whether the keys have been read at least once."""
        return self._locks is not None

    def __call__(self, presented: str | None) -> Caller:
        """Identify the holder of an API key.

        Raises:
            Unauthenticated: Nothing was presented, or nothing valid.
            StoreError: The keys have not been read yet.
        """
        if self._locks is None:
            raise StoreError("the API keys have not been read from the database yet")
        if presented is None:
            raise Unauthenticated(
                "no API key was sent: add the header `Authorization: Bearer lg-…` "
                "(make one with `lockgate key create`)"
            )
        lock = self._locks.get(presented[3:_SPLIT], _NOBODY)
        secret = presented[_SPLIT + 1 :].encode("utf-8", "replace")
        fits = hmac.compare_digest(blake2b(secret, key=lock.salt).digest(), lock.digest)
        if not fits or self._now_ns() >= lock.expires_at:
            raise Unauthenticated(
                "the API key is not valid: it is unknown, revoked or expired "
                "(see `lockgate key list`)"
            )
        return lock.caller

    def refresh(self) -> None:
        """Read the keys again; may block.

        Raises:
            StoreError: The database cannot be read; the keys stay as they were.
        """
        rows = self._address.query(_ROWS)
        self._locks = {row[0]: _lock(row) for row in rows if row[6] is None}
        self.unused = not rows


def _lock(row: tuple[object, ...]) -> _Lock:
    public_id, salt, kept, tenant, services, expires_at, _ = row
    allowed = msgspec.json.decode(str(services), type=frozenset[str])
    caller = Caller(key_id=str(public_id), tenant=str(tenant), services=allowed)
    until = msgspec.convert(expires_at, int | None)
    return _Lock(
        msgspec.convert(salt, bytes),
        msgspec.convert(kept, bytes),
        _NEVER if until is None else until,
        caller,
    )
