"""The steward as a process: it keeps the ledger complete, and is easy to be rid of."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from random import Random

import psutil
import pytest

from lockgate.store.engine import Store, open_store
from lockgate.store.journal import Journal
from lockgate.store.ledger import Ledger
from lockgate.store.migrate import migrate
from lockgate.testing.conformance.store import PATIENCE_S, an_entry
from lockgate.testing.postgres import Postgres

pytest_plugins = ("lockgate.testing.postgres_fixtures",)

MANIFEST = """
version: 1
store: {store}
models:
  upstream: {{kind: openai, url: "http://127.0.0.1:9/v1", model: m}}
services:
  assistant: {{kind: chat, targets: [upstream]}}
"""


class Steward:
    """A running steward of a project, and what it said so far."""

    def __init__(self, project: Path) -> None:
        words = ["--manifest", str(project / "lockgate.yaml"), "--run", str(project)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lockgate.processes.steward", *words],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self._ear = threading.Thread(target=self._listen, daemon=True)
        self._ear.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.strip())

    def end(self, how: signal.Signals | None = signal.SIGTERM) -> int:
        """End it by a signal, or by the end of its stdin; give its exit code."""
        if how is not None:
            self.process.send_signal(how)
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(PATIENCE_S)
        self._ear.join(PATIENCE_S)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


def eventually(happened: Callable[[], bool]) -> None:
    """Wait until *happened* says so."""
    until = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def _project(root: Path, store: str = "sqlite:///.lockgate/lockgate.db") -> Store:
    (root / "lockgate.yaml").write_text(MANIFEST.format(store=store))
    (root / ".lockgate").mkdir()
    opened = open_store(store.replace("///", f"///{root}/") if "sqlite" in store else store)
    migrate(opened)
    return opened


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    """Give the store of a project in the test's folder."""
    store = _project(tmp_path)
    yield store
    store.close()


@pytest.fixture
def journal(tmp_path: Path) -> Generator[Journal]:
    """Give the journal of a worker that lives as long as the test."""
    journal = Journal(tmp_path / ".lockgate" / "journal", "worker")
    yield journal
    journal.close()


def test_calls_arrive_while_it_runs(store: Store, journal: Journal, tmp_path: Path) -> None:
    """What is recorded is soon in the ledger; the last of it when the steward ends."""
    steward = Steward(tmp_path)
    journal.record(an_entry(0))
    eventually(lambda: Ledger(store).count() == 1)
    for number in range(1, 1000):
        journal.record(an_entry(number))
    assert steward.end() == 0
    assert Ledger(store).count() == 1000
    assert steward.said == ["ready"]


def test_it_ends_with_its_supervisor(store: Store, journal: Journal, tmp_path: Path) -> None:
    """The end of stdin is as good as a signal."""
    steward = Steward(tmp_path)
    eventually(lambda: "ready" in steward.said)
    journal.record(an_entry(0))
    assert steward.end(None) == 0
    assert Ledger(store).count() == 1


def test_a_second_one_waits_its_turn(store: Store, journal: Journal, tmp_path: Path) -> None:
    """Two stewards of a project do not work at once; the second takes over from a dead first."""
    first = Steward(tmp_path)
    journal.record(an_entry(0))
    eventually(lambda: Ledger(store).count() == 1)
    second = Steward(tmp_path)
    eventually(lambda: "ready" in second.said)
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    journal.record(an_entry(1))
    eventually(lambda: Ledger(store).count() == 2)
    assert second.end() == 0


def test_a_wrong_manifest_is_said_and_final(tmp_path: Path) -> None:
    """It ends with code 1 and the finding."""
    (tmp_path / "lockgate.yaml").write_text("version: 1")
    steward = Steward(tmp_path)
    assert steward.process.wait(PATIENCE_S) == 1
    steward.end(None)
    assert any("lockgate.yaml" in line for line in steward.said)


def test_an_idle_one_writes_nothing_and_hardly_works(
    store: Store, journal: Journal, tmp_path: Path
) -> None:
    """While nothing happens it does not write a byte, and uses less than 1 % of a core."""
    steward = Steward(tmp_path)
    journal.record(an_entry(0))
    eventually(lambda: Ledger(store).count() == 1)
    process = psutil.Process(steward.process.pid)
    time.sleep(0.5)  # let the last commit's file system work end
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / ".lockgate").rglob("*")}
    written, used = process.io_counters().write_chars, sum(process.cpu_times()[:2])
    time.sleep(3.0)  # what is measured is what happens in a span of time
    assert process.io_counters().write_chars == written
    assert sum(process.cpu_times()[:2]) - used <= 0.03
    now = {path: path.stat().st_mtime_ns for path in (tmp_path / ".lockgate").rglob("*")}
    assert now == files
    assert steward.end() == 0


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_killed_again_and_again_it_counts_each_call_once(store: Store, tmp_path: Path) -> None:
    """Twenty kills at random moments under load leave every call in the ledger exactly once."""
    random = Random(20)
    stopped = threading.Event()
    recorded: list[int] = []

    def work(number: int) -> None:
        folder, count = tmp_path / ".lockgate" / "journal", 0
        while not stopped.is_set():
            journal = Journal(folder, f"worker-{number}", segment_bytes=200_000)
            for _ in range(300):
                journal.record(an_entry(number * 500_000 + count))
                count += 1
                time.sleep(0.001)
            journal.close()
        recorded.append(count)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for worker in workers:
        worker.start()
    for _ in range(20):
        steward = Steward(tmp_path)
        eventually(lambda steward=steward: "ready" in steward.said)
        time.sleep(random.uniform(0.0, 0.4))
        steward.end(signal.SIGKILL)
    stopped.set()
    for worker in workers:
        worker.join()
    steward = Steward(tmp_path)
    eventually(lambda: Ledger(store).count() == sum(recorded))
    assert steward.end() == 0
    assert list((tmp_path / ".lockgate" / "journal").iterdir()) == []


def test_a_frozen_postgres_is_waited_for(
    postgres_server: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    """The steward says once that the store is silent and once that it answers; all calls arrive."""
    store = _project(tmp_path, postgres_url)
    journal = Journal(tmp_path / ".lockgate" / "journal", "worker")
    steward = Steward(tmp_path)
    journal.record(an_entry(0))
    eventually(lambda: Ledger(store).count() == 1)
    postgres_server.freeze()
    try:
        for number in range(1, 100):
            journal.record(an_entry(number))
        eventually(lambda: len(steward.said) == 2)
        assert "has not answered" in steward.said[1]
    finally:
        postgres_server.thaw()
    eventually(lambda: Ledger(store).count() == 100)
    eventually(lambda: len(steward.said) == 3)
    assert "answers again" in steward.said[2]
    assert steward.end() == 0
    journal.close()
    store.close()


def test_it_ends_while_postgres_is_frozen(
    postgres_server: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    """A steward that is told to end does so also when its database is silent; nothing is lost."""
    store = _project(tmp_path, postgres_url)
    journal = Journal(tmp_path / ".lockgate" / "journal", "worker")
    steward = Steward(tmp_path)
    journal.record(an_entry(0))
    eventually(lambda: Ledger(store).count() == 1)
    postgres_server.freeze()
    try:
        journal.record(an_entry(1))
        assert steward.end() == 0
        assert "next start" in steward.said[-1]
    finally:
        postgres_server.thaw()
    journal.close()
    steward = Steward(tmp_path)
    eventually(lambda: Ledger(store).count() == 2)
    steward.end()
    store.close()


def test_a_postgres_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    """The outage is said once, with its cause, and over when the server has come."""
    with Postgres() as server:
        store = _project(tmp_path, server.new_database())
        store.close()
        server.stop()
        journal = Journal(tmp_path / ".lockgate" / "journal", "worker")
        journal.record(an_entry(0))
        steward = Steward(tmp_path)
        eventually(lambda: len(steward.said) == 2)
        assert "calls are answered all the same" in steward.said[1]
        server.start()
        eventually(lambda: Ledger(store).count() == 1)
        eventually(lambda: len(steward.said) == 3)
        assert steward.end() == 0
        journal.close()
        store.close()
