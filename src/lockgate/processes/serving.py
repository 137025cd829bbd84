"""What a running server leaves beside its manifest: a lock, and who and where it is.

`.lockgate/serve.lock` is held as long as the supervisor lives; `.lockgate/run.json` says the rest.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from lockgate.core.errors import LockgateError

FOLDER = ".lockgate"
_PREFIX = "lockgate-"
_LONGEST_SOCKET_PATH = 103  # sun_path has 104 bytes on macOS, 108 on Linux, with the final NUL


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """A server that is running.

    Attributes:
        run_dir: Private folder of the runners' sockets.
        started: Seconds since 1970 UTC.
        ready: All workers accept, and every runner has had its first chance.
        children: Process ids by name: `worker 0`, `steward`, `runner small-0`.
    """

    pid: int
    url: str
    run_dir: str
    started: float
    ready: bool = False
    children: dict[str, int] = {}


class AlreadyServing(LockgateError):
    """Another supervisor serves from the same folder."""

    code = "already_serving"


class NoStateFolder(LockgateError):
    """The folder beside the manifest cannot be written to."""

    code = "state_folder_unusable"


def recorded(root: Path) -> Serving | None:
    """Read what the last server wrote, whether it lives or not."""
    try:
        return msgspec.json.decode((root / FOLDER / "run.json").read_bytes(), type=Serving)
    except (OSError, msgspec.DecodeError):
        return None


def running(root: Path) -> Serving | None:
    """Find the server of the manifest in *root*; None if it does not run."""
    found = recorded(root)
    return found if found is not None and _alive(found.pid) else None


def write(root: Path, serving: Serving) -> None:
    """Replace `run.json` in one step, readable by this user only."""
    path = root / FOLDER / "run.json"
    draft = path.with_suffix(f".{serving.pid}")
    draft.touch(mode=0o600)
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(serving)))
    draft.replace(path)


def forget(root: Path) -> None:
    """Take `run.json` away."""
    (root / FOLDER / "run.json").unlink(missing_ok=True)


@contextmanager
def only_one(root: Path) -> Generator[None]:
    """Hold the lock of the state folder; a dead server's remains are cleared away.

    Raises:
        AlreadyServing: Somebody else holds it.
        NoStateFolder: It cannot be made or written to.
    """
    lock = _open_lock(root)
    try:
        _lock(lock, root)
        _clear_after_death(root)
        yield
        forget(root)
    finally:
        os.close(lock)


def _open_lock(root: Path) -> int:
    try:
        (root / FOLDER).mkdir(mode=0o700, exist_ok=True)
        return os.open(root / FOLDER / "serve.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise NoStateFolder(
            f"cannot write to {root / FOLDER} ({error.strerror}): Lockgate keeps its database and "
            "journal there; give this user write permission"
        ) from error


def _lock(lock: int, root: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        other = running(root)
        who = f"process {other.pid} at {other.url}" if other else "another process"
        raise AlreadyServing(
            f"{root} is already served by {who}: stop it first, or give the other server a folder "
            "of its own (`lockgate doctor` shows both)"
        ) from error


def _clear_after_death(root: Path) -> None:
    dead = recorded(root)
    if dead is not None:
        _remove_run_dir(Path(dead.run_dir))
        forget(root)


def _remove_run_dir(path: Path) -> None:
    """Remove a run folder, if it is one of ours: `run.json` might say anything."""
    with suppress(OSError):
        facts = path.lstat()
        ours = facts.st_uid == os.getuid() and stat.S_ISDIR(facts.st_mode)
        if ours and path.name.startswith(_PREFIX):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def run_dir(longest_name: int) -> Generator[Path]:
    """Make a private folder for sockets whose names have up to *longest_name* bytes."""
    place = Path(tempfile.gettempdir())
    if len(str(place)) + len(_PREFIX) + longest_name + 10 > _LONGEST_SOCKET_PATH:
        place = Path("/tmp")  # noqa: S108 — mkdtemp makes a private folder in it
    path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
