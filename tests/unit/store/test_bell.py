"""Waiting for a change in a folder: nothing is missed, and nobody waits who must not."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import pytest

from lockgate.store.bell import Bell

LONG_S = 30.0
needs_inotify = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


@pytest.fixture
def bell(tmp_path: Path) -> Generator[Bell]:
    """A bell in the test's folder."""
    with closing(Bell(tmp_path, poll_s=0.01)) as bell:
        yield bell


def append(folder: Path) -> None:
    """Write to a file that is there."""
    with (folder / "there").open("a") as file:
        file.write("more")


def make(folder: Path) -> None:
    """Add a file."""
    (folder / "new").touch()


def remove(folder: Path) -> None:
    """Take a file away."""
    (folder / "there").unlink()


def rename(folder: Path) -> None:
    """Give a file another name."""
    (folder / "there").rename(folder / "elsewhere")


@needs_inotify
@pytest.mark.parametrize("change", [append, make, remove, rename])
def test_it_rings_at_any_change(bell: Bell, tmp_path: Path, change: Callable[[Path], None]) -> None:
    """Also at one that came between arming and waiting; and once, until it is armed again."""
    for _ in range(2):
        (tmp_path / "there").touch()
        (tmp_path / "new").unlink(missing_ok=True)
        bell.arm()
        change(tmp_path)
        assert bell.wait(LONG_S)
        assert not bell.wait(0.01)


@needs_inotify
def test_a_writer_who_leaves_is_heard(bell: Bell, tmp_path: Path) -> None:
    """A file that was open for writing is closed: its writer is done, or dead."""
    with (tmp_path / "there").open("w"):
        bell.arm()
    assert bell.wait(LONG_S)


def test_waiting_ends_by_itself(bell: Bell) -> None:
    """Without a change it has not rung."""
    bell.arm()
    assert not bell.wait(0.01)


def test_it_can_be_rung(bell: Bell) -> None:
    """Whoever waits on another thread is called back, now or later."""
    bell.arm()
    bell.ring()
    assert bell.wait(LONG_S)
    threading.Timer(0.05, bell.ring).start()
    assert bell.wait(LONG_S)
    for _ in range(100_000):
        bell.ring()
    assert bell.wait(LONG_S)


def test_without_a_folder_waits_are_short(tmp_path: Path) -> None:
    """Where the system cannot tell, one looks again soon; once it can, it does."""
    folder = tmp_path / "later"
    with closing(Bell(folder, poll_s=0.01)) as bell:
        bell.arm()
        assert not bell.wait(LONG_S)
        folder.mkdir()
        bell.arm()
        (folder / "new").touch()
        assert bell.wait(LONG_S) == (sys.platform == "linux")
