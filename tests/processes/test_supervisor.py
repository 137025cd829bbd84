"""The supervisor: what dies is replaced, what cannot start is said, and all ends in order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HOUSE = Path(__file__).with_name("small_house.py")
WORKS = "import sys; print('ready', file=sys.stderr, flush=True); sys.stdin.read()"
STUBBORN = WORKS + "; import time; time.sleep(600)"
BEATS = """
import os, sys, time
os.write(0, b".")
print("ready", file=sys.stderr, flush=True)
while os.write(0, b"."):
    time.sleep(0.1)
"""
LOADS = "import time; time.sleep(600)"
BROKEN = "import sys; sys.exit('error: the model is not there')"


class House:
    """A supervisor in a process of its own, and what it told so far."""

    def __init__(self, *words: str, still_s: float = 60.0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HOUSE), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "STILL_S": str(still_s)},
        )
        self.children: dict[str, int] = {}

    def hear(self, enough: Callable[[Any], bool]) -> None:
        """Read what it tells until *enough* says so."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            news = json.loads(line)
            if isinstance(news, dict):
                self.children = news
            if enough(news):
                return
        raise AssertionError("the supervisor ended: " + self.last_words())

    def serving(self) -> None:
        """Wait until it serves."""
        self.hear(lambda news: news == "serving")

    def kill(self, name: str) -> int:
        """Kill a child and wait for its successor; give the new process id."""
        before = self.children[name]
        os.kill(before, signal.SIGKILL)
        self.hear(lambda _: self.children.get(name, before) != before)
        return self.children[name]

    def last_words(self) -> str:
        """Wait for the end; give what it said on stderr."""
        return self.process.communicate(timeout=40)[1]


@contextmanager
def house(*words: str, still_s: float = 60.0) -> Generator[House]:
    """A supervisor that is gone at the end, whatever happens."""
    house = House(*words, still_s=still_s)
    try:
        yield house
    finally:
        house.process.kill()
        house.process.communicate()


def gone(pid: int) -> bool:
    """Tell whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Poll until *true*, within bounds."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_whatever_is_killed_is_replaced_at_once_and_said() -> None:
    """A killed worker, steward or runner has a successor, and stderr names the signal."""
    with house(f"worker.0={WORKS}", f"steward={WORKS}", f"runner.small-0={WORKS}") as it:
        it.serving()
        first = dict(it.children)
        for name in ("worker 0", "steward", "runner small-0"):
            assert it.kill(name) != first[name]
        it.process.terminate()
        said = it.last_words()
        assert it.process.returncode == 0
    assert "runner small-0 was killed (SIGKILL); restarting now (1st time)" in said
    assert "worker 0 was killed (SIGKILL); restarting now (1st time)" in said
    assert "steward was killed (SIGKILL); restarting now (1st time)" in said


def test_a_worker_that_cannot_start_ends_the_server_with_its_message() -> None:
    """Five failed starts of a worker at boot: exit 1, its words once, and nothing left behind."""
    with house(f"worker.0={BROKEN}", f"runner.a={WORKS}") as it:
        said = it.last_words()
        assert it.process.returncode == 1
    assert said.count("worker 0: error: the model is not there") == 1
    assert "worker 0 ended with exit code 1, 5 times in a row, at start: giving up" in said
    assert "draining" not in said


def test_a_runner_that_cannot_start_does_not_stop_the_server() -> None:
    """The house opens without it, says so once, and goes on trying."""
    with house(f"worker.0={WORKS}", f"runner.a={BROKEN}") as it:
        it.serving()
        seen: set[int] = set()

        def enough(_: object) -> bool:
            seen.add(it.children.get("runner a", 0))
            return len(seen) > 7

        it.hear(enough)
        it.process.terminate()
        said = it.last_words()
        assert it.process.returncode == 0
    assert said.count("runner a: error: the model is not there") == 1
    assert said.count("services do without it") == 1


def test_the_lifeline_ends_everything_when_the_supervisor_is_killed() -> None:
    """Kill -9 of the supervisor leaves no child behind."""
    with house(f"worker.0={WORKS}", f"steward={WORKS}", f"runner.a={WORKS}") as it:
        it.serving()
        pids = list(it.children.values())
        it.process.kill()
        assert len(pids) == 3
        wait_until(lambda: all(gone(pid) for pid in pids))


def test_runners_outlive_the_workers(tmp_path: Path) -> None:
    """While a worker finishes its calls, what it needs for that still runs."""
    note = tmp_path / "note"
    worker = WORKS + f"; import pathlib, time; time.sleep(0.5); pathlib.Path({str(note)!r}).touch()"
    runner = (
        WORKS + f"; import pathlib; assert pathlib.Path({str(note)!r}).exists(); print('after')"
    )
    with house(f"worker.0={worker}", f"runner.a={runner}") as it:
        it.serving()
        it.process.terminate()
        said = it.last_words()
        assert it.process.returncode == 0
    assert "runner a: after" in said


def test_asked_twice_it_ends_at_once() -> None:
    """A second signal waits for nobody."""
    with house(f"worker.0={STUBBORN}", f"runner.a={STUBBORN}", f"steward={STUBBORN}") as it:
        it.serving()
        it.process.send_signal(signal.SIGINT)
        it.hear(lambda news: news == "draining")
        it.process.send_signal(signal.SIGINT)
        said = it.last_words()
        assert it.process.returncode == 0
    assert "asked again: ending at once" in said


def test_it_can_be_stopped_while_it_starts() -> None:
    """SIGTERM before anything is ready ends it as well."""
    with house(
        "worker.0=import sys; sys.stdin.read()", "runner.a=import sys; sys.stdin.read()"
    ) as it:
        it.hear(lambda _: len(it.children) == 2)
        it.process.terminate()
        it.last_words()
        assert it.process.returncode == 0


def test_it_does_not_wait_for_who_is_still_loading() -> None:
    """Told to stop while a child loads and hears nothing, it is gone long before that one is."""
    with house(f"worker.0={WORKS}", f"runner.a={LOADS}", f"runner.b={LOADS}") as it:
        it.hear(lambda _: len(it.children) == 3)
        pids = list(it.children.values())
        it.process.send_signal(signal.SIGINT)
        assert it.process.wait(5.0) == 0
        assert all(gone(pid) for pid in pids)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["worker.0", "runner.a"])
def test_who_is_frozen_is_replaced(name: str) -> None:
    """A child that has sent heartbeats and sends no more is killed, and has a successor."""
    with house("worker.1=" + WORKS, f"{name}={BEATS}", still_s=1.0) as it:
        it.serving()
        name = name.replace(".", " ")
        frozen = it.children[name]
        os.kill(frozen, signal.SIGSTOP)
        it.hear(lambda _: it.children.get(name, frozen) != frozen)
        it.process.terminate()
        said = it.last_words()
        assert it.process.returncode == 0
    assert f"{name} has shown no sign of life for" in said
    assert f"{name} was killed (SIGKILL); restarting now (1st time)" in said
    assert "worker 1 has shown" not in said


@pytest.mark.slow
def test_after_a_pause_of_its_own_it_blames_nobody() -> None:
    """A supervisor that was stopped itself, with all its children, kills none when it wakes."""
    with house(f"worker.0={BEATS}", still_s=1.5) as it:
        it.serving()
        worker = it.children["worker 0"]
        os.kill(worker, signal.SIGSTOP)
        it.process.send_signal(signal.SIGSTOP)
        time.sleep(3.0)  # the pause
        it.process.send_signal(signal.SIGCONT)
        time.sleep(0.5)  # it is awake, and the child is not yet
        os.kill(worker, signal.SIGCONT)
        time.sleep(2.0)  # for the looks that would have killed it
        assert not gone(worker)
        it.process.terminate()
        assert "no sign of life" not in it.last_words()


def test_what_children_say_is_passed_on_line_by_line() -> None:
    """Lines of any length and encoding arrive, cut if need be, with the child's name."""
    talk = r"import sys; sys.stdout.buffer.write(b'x' * 300_000 + b'\n\xff\nlast\n'); "
    with house(f"worker.0={WORKS}", f"runner.a={talk}sys.stdout.flush(); {WORKS}") as it:
        it.serving()
        it.process.terminate()
        said = it.last_words()
    assert sum(line.count("x") for line in said.splitlines() if "runner a: x" in line) == 300_000
    assert "runner a: \ufffd\n" in said
    assert "runner a: last\n" in said


def test_an_operator_who_does_not_listen_stops_nothing() -> None:
    """With its stderr full and unread, the supervisor still replaces what dies."""
    loud = r"import sys; sys.stdout.write('loud\n' * 100_000); sys.stdout.flush(); " + WORKS
    with house(f"worker.0={WORKS}", f"runner.a={loud}") as it:
        it.serving()
        assert it.kill("worker 0")
        assert it.kill("runner a")
        it.process.terminate()
        said = it.last_words()
        assert it.process.returncode == 0
    assert "lines could not be written" in said
