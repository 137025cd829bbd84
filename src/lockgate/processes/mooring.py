"""The unix socket a runner is reached by: for its own user alone, and only ever one runner's."""

from __future__ import annotations

import os
import socket
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from lockgate.core.errors import LockgateError

BACKLOG: Final = 1024
_LONGEST: Final = 103 if sys.platform == "darwin" else 107  # sun_path, without its final zero


class CannotServe(LockgateError):
    """The runner cannot listen on its socket."""

    code = "cannot_serve"


class Mooring:
    """The place of one runner's socket.

    Raises:
        CannotServe: The path is longer than the system allows.
    """

    def __init__(self, path: Path) -> None:
        length = len(os.fsencode(path))
        if length > _LONGEST:
            raise CannotServe(
                f"the socket's path has {length} bytes, {_LONGEST} are allowed: {path}; "
                "use a shorter --run folder or model name"
            )
        self.path = path
        self._inode = 0

    def listen(self) -> socket.socket:
        """Listen there.

        Raises:
            CannotServe: Somebody else does, or the system says no.
        """
        self.clear()
        door = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            door.bind(str(self.path))
            door.listen(BACKLOG)
        except OSError as error:
            door.close()
            raise CannotServe(f"cannot listen on {self.path}: {error.strerror}") from error
        finally:
            os.umask(before)
        self.moored()
        return door

    def clear(self) -> None:
        """Make the folder if there is none; remove a socket that a dead runner left behind.

        Raises:
            CannotServe: Another runner answers there, or something that is no socket is.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.path.lexists(self.path):
                return
            self._refuse_foreign()
            self.path.unlink()
        except OSError as error:
            raise CannotServe(f"cannot use {self.path}: {error.strerror}") from error

    def moored(self) -> None:
        """Remember the socket that now is there as this runner's."""
        self._inode = self.path.lstat().st_ino

    def leave(self) -> None:
        """Remove the socket, unless it has become another runner's."""
        with suppress(OSError):
            if self._inode and self.path.lstat().st_ino == self._inode:
                self.path.unlink()
        self._inode = 0

    def _refuse_foreign(self) -> None:
        if not stat.S_ISSOCK(self.path.lstat().st_mode):
            raise CannotServe(f"{self.path} is in the way and is not a socket: move it elsewhere")
        with socket.socket(socket.AF_UNIX) as visitor:
            visitor.settimeout(1.0)
            if visitor.connect_ex(str(self.path)) == 0:
                raise CannotServe(f"another runner serves on {self.path}: end it first")
