"""The demo is the main job; it holds, and it says so only if it does."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from lockgate.processes.serving import Serving, recorded

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def _demo(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lockgate", "demo", "--exit", "--directory", str(folder), *words],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_the_demo_loses_mislabels_and_forgets_nothing_twice_in_a_row(tmp_path: Path) -> None:
    """Exit 0, with a model killed and slowed in the middle; and again in the same folder."""
    for _ in range(2):
        done = _demo(tmp_path / "demo", "--seconds", "18")

        assert done.returncode == 0, done.stdout + done.stderr
        assert "lost: 0" in done.stdout
        assert "mislabelled: 0" in done.stdout
        assert "unrecorded: 0" in done.stdout
        assert "fallback" in done.stdout
        assert "was killed" in done.stderr
        for line in done.stdout.splitlines():
            if "lockgate explain" in line:
                assert line.endswith("lockgate.yaml"), "a command stays on one line"


def test_the_demo_does_not_touch_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    """Somebody's files are safe; the message says what to do."""
    (tmp_path / "mine.txt").write_text("precious")

    done = _demo(tmp_path)

    assert done.returncode == 1
    assert "--directory" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@contextlib.contextmanager
def _playing(folder: Path, seconds: str) -> Generator[subprocess.Popen[str]]:
    words = ["--directory", str(folder), "--port", "0", "--seconds", seconds]
    with subprocess.Popen(
        [sys.executable, "-m", "lockgate", "demo", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as demo:
        try:
            yield demo
        finally:
            demo.kill()


def _server(folder: Path, enough: Callable[[Serving], bool]) -> Serving:
    """Wait for the demo's server until it is far enough."""
    for _ in range(1200):
        serving = recorded(folder)
        if serving is not None and enough(serving):
            return serving
        time.sleep(0.05)
    raise AssertionError("the demo's server did not get so far")


def _gone(pid: int) -> bool:
    """Wait for the end of a process that may be anybody's child; a zombie has ended."""
    for _ in range(1200):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat")
            if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("number", "ready"),
    [
        (signal.SIGINT, False),
        (signal.SIGTERM, False),
        (signal.SIGHUP, True),
        (signal.SIGKILL, False),
        (signal.SIGKILL, True),
    ],
)
def test_no_server_outlives_the_demo(tmp_path: Path, number: signal.Signals, ready: bool) -> None:
    """Whatever ends the demo, while its server starts or serves, ends the whole server."""
    with _playing(tmp_path / "demo", "60") as demo:
        serving = _server(
            tmp_path / "demo", lambda one: bool(one.children) and one.ready in (ready, True)
        )
        demo.send_signal(number)
        said, _ = demo.communicate(timeout=60)

        assert all(_gone(pid) for pid in (serving.pid, *serving.children.values()))
        if number != signal.SIGKILL:
            assert demo.returncode == 128 + number
            assert "The demo has ended." in said


def test_the_invitation_can_be_copied(tmp_path: Path) -> None:
    """What the demo prints to try is not broken by the terminal's width, and it works."""
    said = ""
    with _playing(tmp_path / "demo", "3") as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            said += line
            if "/openapi.json" in line:
                break
        commands = re.search(r"^export .*?\}'$", said, re.MULTILINE | re.DOTALL)
        assert commands is not None, said
        done = subprocess.run(
            ["bash", "-ec", commands[0]], capture_output=True, text=True, timeout=60, check=True
        )
        assert '"lockgate"' in done.stdout
        assert all(len(line) <= 80 for line in commands[0].splitlines())
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 130
