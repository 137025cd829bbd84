"""Checks of the machine: Python, SQLite, disk, clock, limits, folders that must be writable."""

from __future__ import annotations

import errno
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from lockgate.cli.examination import Check, Ground, Level, Line
from lockgate.processes.serving import FOLDER

OLDEST_PYTHON = (3, 11)
OLDEST_SQLITE = (3, 35)
"""From here on SQLite has RETURNING and upserts as the store uses them."""
LEAST_DISK, LITTLE_DISK = 200_000_000, 2_000_000_000
FEW_FILES = 4096
_JUMP_SECONDS = 0.05


def _python(_ground: Ground) -> Iterator[Line]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        mend = "install Python 3.11 or newer, and Lockgate into it"
        yield Line("python", Level.FAIL, f"{version} is too old", mend)
    else:
        yield Line("python", Level.OK, f"{version} at {sys.executable}")


def _sqlite(ground: Ground) -> Iterator[Line]:
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        mend = "use a Python that is built with SQLite 3.35 or newer"
        yield Line("sqlite", Level.FAIL, f"{version} is too old", mend)
        return
    mode = _journal_mode(_state(ground))
    if mode == "wal":
        yield Line("sqlite", Level.OK, f"{version}, with a write-ahead log in {_state(ground)}")
    else:
        said = f"{version} cannot keep a write-ahead log in {_state(ground)} (mode {mode})"
        mend = "move the project to a local disk (network folders cannot), or use Postgres"
        yield Line("sqlite", Level.FAIL, said, mend)


def _journal_mode(folder: Path) -> str:
    with (
        tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as place,
        closing(sqlite3.connect(Path(place) / "trial.db")) as trial,
    ):
        return str(trial.execute("PRAGMA journal_mode=WAL").fetchone()[0])


def _writable(ground: Ground) -> Iterator[Line]:
    folder = _state(ground)
    try:
        with tempfile.NamedTemporaryFile(prefix=".doctor-", dir=folder):
            yield Line("state folder", Level.OK, f"{folder} can be written to")
    except OSError as error:
        said = f"{folder} cannot be written to ({error.strerror})"
        yield Line("state folder", Level.FAIL, said, _make_writable(ground, error.errno))


def _make_writable(ground: Ground, number: int | None) -> str:
    """Say what helps: another owner does not where nothing can be written at all."""
    if number == errno.EROFS:
        return "mount it writable, or copy the project to a folder that is"
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"make room: du -sh {ground.root / FOLDER}/*"
    return f"chown -R $USER {ground.root / FOLDER}"


def _sockets(_ground: Ground) -> Iterator[Line]:
    place = tempfile.gettempdir()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="lockgate-") as folder,
            socket.socket(socket.AF_UNIX) as trial,
        ):
            trial.bind(f"{folder}/trial.sock")
        yield Line("run folder", Level.OK, f"sockets can be made below {place}")
    except OSError as error:
        said = f"no sockets can be made below {place} ({error.strerror or error})"
        yield Line("run folder", Level.FAIL, said, "export TMPDIR=/tmp")


def _disk(ground: Ground) -> Iterator[Line]:
    folder = _state(ground)
    free = shutil.disk_usage(folder).free
    said = f"{_size(free)} free at {folder}"
    mend = f"make room: du -sh {ground.root / FOLDER}/*"
    if free < LEAST_DISK:
        yield Line("disk", Level.FAIL, f"only {said}", mend)
    elif free < LITTLE_DISK:
        yield Line("disk", Level.WARN, f"only {said}", mend)
    else:
        yield Line("disk", Level.OK, said)


def _size(count: float) -> str:
    """Write a number of bytes: in GB from one on, in MB below."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _clock(_ground: Ground) -> Iterator[Line]:
    drift = _drift(0.2)
    now = datetime.now(UTC)
    mend = "timedatectl set-ntp true"
    if not 2025 <= now.year < 2100:
        yield Line("clock", Level.FAIL, f"it says {now:%Y-%m-%d}, which cannot be", mend)
    elif abs(drift) > _JUMP_SECONDS:
        yield Line("clock", Level.WARN, f"it moved by {drift:+.3f} s while it was watched", mend)
    else:
        yield Line("clock", Level.OK, f"{now:%Y-%m-%d %H:%M:%S} UTC, and steady")


def _drift(seconds: float) -> float:
    """Watch both clocks for some seconds; give how far the wall clock left the other one."""
    wall, steady = time.time(), time.monotonic()
    time.sleep(seconds)
    return (time.time() - wall) - (time.monotonic() - steady)


def _open_files(_ground: Ground) -> Iterator[Line]:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    if hard != resource.RLIM_INFINITY and hard < FEW_FILES:
        said = f"at most {hard} may be open, one for every connection"
        yield Line("open files", Level.WARN, said, "ulimit -Hn 65536, or LimitNOFILE= in systemd")
    else:
        said = f"{soft} now; the server raises its own limit as far as it may ({most})"
        yield Line("open files", Level.OK, said)


def _state(ground: Ground) -> Path:
    """Give the state folder, or the nearest one above it that exists already."""
    folder = ground.root / FOLDER
    return next(path for path in (folder, *folder.parents) if path.is_dir())


MACHINE = (
    Check("python", _python),
    Check("state folder", _writable),
    Check("sqlite", _sqlite),
    Check("run folder", _sockets),
    Check("disk", _disk),
    Check("open files", _open_files),
    Check("clock", _clock),
)
"""In the order in which they are shown."""
