"""The steward: the one background loop. Takes finished calls from the journal into the ledger.

Runs as `python -m lockgate.processes.steward`. It says `ready` on stderr once it is at work, or
waits for another steward of the same folder to go; it ends, after a last look at the journal, when
it gets SIGTERM or when the supervisor is gone (stdin ends). While nothing happens it only looks at
the journal's folder. A database that is gone or frozen is waited for: the journal keeps the calls.
"""

from __future__ import annotations

import argparse
import gc
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from lockgate.core.errors import LockgateError, StoreError
from lockgate.manifest.load import load
from lockgate.processes.child import READY
from lockgate.processes.lifeline import Lifeline
from lockgate.store.bell import Bell
from lockgate.store.election import Election, FileElection
from lockgate.store.engine import open_store
from lockgate.store.ingest import Ingest, to_stderr

PAUSE_S: Final = 0.1
"""Between two looks at the journal."""
IDLE_S: Final = 1.0
"""The same while nothing is written; a write ends the wait."""
PATIENCE_S: Final = 3.0
"""After which a database that does not answer is called an outage."""
LAST_S: Final = 5.0
"""For the last look at the journal, once it is told to end."""
_LONGEST_PAUSE_S = 2.0
_WATCH_S = 1.0
_NICE = 19  # when the machine is full, calls come first and the ledger follows later


class Outage:
    """Says once that the database does not answer, and once that it does again."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._since: float | None = None

    def began(self, reason: str) -> None:
        """Note that the database cannot be used."""
        if self._since is None:
            self._since = time.monotonic()
            self._say(f"{reason}; calls are answered all the same, and kept in the journal")

    def over(self) -> None:
        """Note that the database can be used."""
        if self._since is not None:
            away, self._since = time.monotonic() - self._since, None
            self._say(f"the store answers again after {away:.1f} s; the ledger is catching up")


class Rounds:
    """Looks at the journal again and again, on a thread of its own that may hang with the database.

    Attributes:
        stop: Set by `end`.
    """

    def __init__(self, ingest: Ingest, election: Election, outage: Outage, bell: Bell) -> None:
        self.stop = threading.Event()
        self._ingest = ingest
        self._election = election
        self._outage = outage
        self._bell = bell
        self._pause = PAUSE_S
        self._busy_since: float | None = None

    def end(self) -> None:
        """Take one last look, then no more."""
        self.stop.set()
        self._bell.ring()

    def run(self) -> None:
        """Wait to be the only one, then go round until told to stop."""
        while not self._election.won():
            if self.stop.wait(PAUSE_S):
                return
        while not self.stop.is_set():
            self._round()
            self._rest()
        while self._round():
            pass
        self._election.resign()

    def _rest(self) -> None:
        """Let calls come together for a while; if none do, wait for the first."""
        if self._pause:
            self.stop.wait(self._pause)
        self._bell.arm()
        if self._ingest.quiet and not self.stop.is_set():
            self._bell.wait(IDLE_S)

    def stuck(self, now: float) -> bool:
        """Say whether the database has let this round wait for too long."""
        since = self._busy_since
        return since is not None and now - since > PATIENCE_S

    def _round(self) -> bool:
        """Take what is new; say whether there is more."""
        self._busy_since = time.monotonic()
        try:
            read = self._ingest.step()
        except StoreError as error:
            self._outage.began(str(error))
            self._pause = min(max(self._pause, PAUSE_S) * 2, _LONGEST_PAUSE_S)
            return False
        finally:
            self._busy_since = None
        self._outage.over()
        self._pause = PAUSE_S if read and not self._ingest.behind else 0.0
        return self._ingest.behind


def tend(rounds: Rounds, outage: Outage, ended: Callable[[float], bool]) -> int:
    """Keep an eye on the rounds until *ended*, which waits some seconds, says so.

    Returns:
        The exit code: 1 if the rounds ended by themselves, which only a bug makes them do.
    """
    thread = threading.Thread(target=rounds.run, name="rounds", daemon=True)
    thread.start()
    while not ended(_WATCH_S):
        if not thread.is_alive():
            return 1
        if rounds.stuck(time.monotonic()):
            outage.began(f"the store has not answered for {PATIENCE_S:g} s")
    rounds.end()
    thread.join(LAST_S)
    if thread.is_alive():
        to_stderr("no time to wait for the store: what is in the journal is for the next start")
    return 0


def _until_told(lifeline: Lifeline) -> Callable[[float], bool]:
    """Listen for SIGTERM, SIGINT and the end of stdin; the result waits so long for them."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _noted)
    sources = [fd for fd in (reader, lifeline.fd) if fd >= 0]

    def ended(seconds: float) -> bool:
        lifeline.beat()
        ready, _, _ = select.select(sources, [], [], seconds)
        return reader in ready or (lifeline.fd in ready and lifeline.ended())

    return ended


def _noted(_number: int, _frame: object) -> None:
    """Let a signal only write to the wake-up pipe."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the steward; returns the exit code."""
    asked = _arguments(words)
    lifeline = Lifeline()
    ended = _until_told(lifeline)
    try:
        loaded = load(asked.manifest, env=asked.env, environ=os.environ)
        store = open_store(loaded.store_url())
    except LockgateError as error:
        to_stderr(str(error))
        return 1
    state = loaded.root / ".lockgate"
    outage = Outage(to_stderr)
    journal, seat = state / "journal", FileElection(state / "steward.lock")
    rounds = Rounds(Ingest(store, journal), seat, outage, Bell(journal, PAUSE_S))
    _collect_seldom()
    os.nice(_NICE)
    lifeline.beat()
    to_stderr(READY)
    return tend(rounds, outage, ended)


def _collect_seldom() -> None:
    """Keep the garbage collector from walking through every batch: it takes half of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="steward", description="The background loop.")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--env")
    parser.add_argument("--run", type=Path, required=True)
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
