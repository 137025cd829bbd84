"""Who is the one steward: a lock that the kernel or Postgres gives back when its holder dies.

Neither kind writes anything while it is held.
"""

from __future__ import annotations

import fcntl
import os
import select
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, cast

from lockgate.core.errors import StoreError
from lockgate.store.address import Address, Plain


class Election(Protocol):
    """A seat that one process at a time can hold."""

    def won(self) -> bool:
        """Try to take the seat, or say that it is still held.

        Raises:
            StoreError: The seat cannot be asked for.
        """
        ...

    def resign(self) -> None:
        """Leave the seat to others. Calling it again does nothing."""
        ...


class FileElection:
    """The seat among the processes of one machine: an exclusive `flock` on a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def won(self) -> bool:
        """Try to take the seat, or say that it is still held.

        Raises:
            StoreError: The file cannot be made.
        """
        if self._fd >= 0:
            return True
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"cannot make {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def resign(self) -> None:
        """Leave the seat to others."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class SessionElection:
    """The seat among the nodes that share a Postgres: an advisory lock of a session of its own."""

    def __init__(self, address: Address, seat: str) -> None:
        self._address = address
        self._key = zlib.crc32(f"lockgate/{seat}".encode())
        self._plain: Plain | None = None

    def won(self) -> bool:
        """Try to take the seat, or say that it is still held.

        A server that is frozen still holds our lock; one that closed the line does not.

        Raises:
            StoreError: Postgres cannot be reached.
        """
        if self._plain is not None:
            if not _cut(self._plain, self._address):
                return True
            self.resign()
        plain = self._address.connect()
        try:
            with self._address.translated():
                row = plain.execute("SELECT pg_try_advisory_lock(%s)", (self._key,)).fetchone()
        except StoreError:
            plain.close()
            raise
        if row != (True,):
            plain.close()
            return False
        self._plain = plain
        return True

    def resign(self) -> None:
        """Leave the seat to others."""
        if self._plain is not None:
            with suppress(StoreError), self._address.translated():
                self._plain.close()
            self._plain = None


def _cut(plain: Plain, address: Address) -> bool:
    """Say whether the server has ended the session; asks it only if it has something to say."""
    readable, _, _ = select.select([cast("Any", plain).fileno()], [], [], 0)
    if not readable:
        return False
    try:
        with address.translated():
            plain.execute("SELECT 1").fetchone()
    except StoreError:
        return True
    return False
