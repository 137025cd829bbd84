"""The folder of journal segments, as the steward sees it."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

SET_ASIDE = ".damaged"
_NAME = re.compile(r"[A-Za-z0-9_.-]+-[0-9a-f]{16}\.seg")


class Segment(msgspec.Struct, frozen=True):
    """A file that a worker writes its calls to: its name, and its size in bytes when last seen."""

    name: str
    size: int


class Listing(msgspec.Struct, frozen=True):
    """What lies in the folder, by name; strangers are what nobody here put there."""

    segments: list[Segment]
    strangers: list[str]


class Folder:
    """Segments on a disk; every method raises `OSError` as the disk does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def look(self) -> Listing:
        """List what is there; nothing if there is no folder yet."""
        segments: list[Segment] = []
        strangers: list[str] = []
        for name in sorted(self._names()):
            if (segment := self._segment(name)) is not None:
                segments.append(segment)
            elif not name.endswith(SET_ASIDE):
                strangers.append(name)
        return Listing(segments, strangers)

    def changed_at(self) -> int:
        """Tell when a file was last made or taken away here, nanoseconds; 0 without a folder."""
        try:
            return os.stat(self.path).st_mtime_ns  # noqa: PTH116 — as below
        except FileNotFoundError:
            return 0

    def size(self, name: str) -> int:
        """Measure a segment, bytes."""
        return os.stat(f"{self.path}/{name}").st_size  # noqa: PTH116 — as below

    def _names(self) -> list[str]:
        try:
            return os.listdir(self.path)  # noqa: PTH208 — ten times a second, also when idle
        except FileNotFoundError:
            return []

    def _segment(self, name: str) -> Segment | None:
        if not _NAME.fullmatch(name):
            return None
        path = self.path / name
        return Segment(name, path.stat().st_size) if path.is_file() else None

    def read(self, name: str, offset: int, limit: int) -> bytes:
        """Read at most *limit* bytes of a segment."""
        with (self.path / name).open("rb", buffering=0) as file:
            file.seek(offset)
            return file.read(limit)

    @contextmanager
    def abandoned(self, name: str) -> Generator[int | None]:
        """Hold a segment whose writer is gone, and give its final size; None if it has a writer."""
        with (self.path / name).open("rb", buffering=0) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield os.fstat(file.fileno()).st_size

    def remove(self, name: str) -> None:
        """Delete a segment."""
        (self.path / name).unlink()

    def set_aside(self, name: str) -> Path:
        """Rename a segment so that it is kept but not looked at again."""
        return (self.path / name).rename(self.path / (name + SET_ASIDE))
