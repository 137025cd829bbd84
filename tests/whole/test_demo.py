"""The demo is the main job; it holds, and it says so only if it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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


def test_the_demo_does_not_touch_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    """Somebody's files are safe; the message says what to do."""
    (tmp_path / "mine.txt").write_text("precious")

    done = _demo(tmp_path)

    assert done.returncode == 1
    assert "--directory" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
