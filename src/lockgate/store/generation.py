"""The generation: one number that grows with every change of what is live, and who notices.

SQLite is asked for its `data_version` (no lock, no write) when its folder has changed, twenty times
a second at most; Postgres sends a notification. Both on a thread of their own: a frozen database
delays news, never a call.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from lockgate.core.errors import StoreError
from lockgate.store.address import Address, Plain
from lockgate.store.bell import Bell

BUMP = "UPDATE generation SET number = number + 1"
CHANNEL = "lockgate_generation"
NOTIFY = f"NOTIFY {CHANNEL}"
_READ = "SELECT number FROM generation"

_POLL_S = 0.05
_REASK_S = 1.0  # whatever the system tells of the files
_LISTEN_S = 0.25
_REREAD_S = 10.0  # a pooler between us and Postgres may swallow notifications
_BACK_OFF_S = (0.05, 0.1, 0.25, 0.5, 1.0)


class Generation:
    """Reads, bumps and watches the number of the database at an address."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def read(self) -> int:
        """Read the number; may block.

        Raises:
            StoreError: The database cannot be read.
        """
        return int(self._address.query(_READ)[0][0])

    def bump(self) -> None:
        """Tell every worker of every node that something changed; may block.

        Raises:
            StoreError: The database cannot be written.
        """
        plain = self._address.connect()
        try:
            with self._address.translated():
                plain.execute(BUMP)
                if not self._address.is_sqlite:
                    plain.execute(NOTIFY)
        finally:
            plain.close()

    async def watch(self, changed: Callable[[int], object]) -> None:
        """Call *changed* with each new number, the first included, until cancelled.

        *changed* runs on the watching thread and may block; a `StoreError` gets it called again.
        """
        watcher = _Watcher(self._address, changed)
        thread = threading.Thread(target=watcher.run, name="generation", daemon=True)
        thread.start()
        try:
            await asyncio.Event().wait()
        finally:
            watcher.stop()


class _Watcher:
    """One watching thread: connects, waits for news, and starts over when the line is cut."""

    def __init__(self, address: Address, changed: Callable[[int], object]) -> None:
        self.stopped = threading.Event()
        self._address = address
        self._changed = changed
        self._seen: int | None = None
        self._bell: Bell | None = None
        self._guard = threading.Lock()
        self._failures = 0

    def stop(self) -> None:
        self.stopped.set()
        with self._guard:
            if self._bell is not None:
                self._bell.ring()

    def run(self) -> None:
        while not self.stopped.is_set():
            with suppress(StoreError):
                self._session()
            step = min(self._failures, len(_BACK_OFF_S) - 1)
            self._failures += 1
            self.stopped.wait(_BACK_OFF_S[step])

    def _session(self) -> None:
        with closing(self._address.connect()) as plain, self._address.translated():
            if self._address.path is None:
                self._follow(plain, self._listening(plain))
            else:
                with self._bell_at(self._address.path.resolve().parent) as bell:
                    self._follow(plain, self._polling(plain, bell))

    def _follow(self, plain: Plain, wait: Callable[[], None]) -> None:
        while not self.stopped.is_set():
            self._look(plain)
            self._failures = 0
            wait()

    @contextmanager
    def _bell_at(self, folder: Path) -> Generator[Bell]:
        """Hang up a bell that `stop` can ring, for as long as it is there."""
        with closing(Bell(folder, _POLL_S)) as bell:
            self._bell = bell
            try:
                yield bell
            finally:
                with self._guard:
                    self._bell = None

    def _look(self, plain: Plain) -> None:
        row = plain.execute(_READ).fetchone()
        if row is not None and row[0] != self._seen:
            self._changed(int(row[0]))
            self._seen = int(row[0])

    def _polling(self, plain: Plain, bell: Bell) -> Callable[[], None]:
        """Wait until another connection has changed SQLite's file."""

        def version() -> object:
            return plain.execute("PRAGMA data_version").fetchone()

        known = version()

        def wait() -> None:
            nonlocal known
            bell.arm()
            now = version()
            while now == known and not self.stopped.is_set():
                if bell.wait(_REASK_S):
                    time.sleep(_POLL_S)  # a commit is several writes, and the first wakes us
                bell.arm()
                now = version()
            known = now

        return wait

    def _listening(self, plain: Plain) -> Callable[[], None]:
        """Wait until Postgres notifies, or long enough to look anyway."""
        plain.execute(f"LISTEN {CHANNEL}")
        notifies = cast("Any", plain).notifies

        def wait() -> None:
            for _ in range(int(_REREAD_S / _LISTEN_S)):
                if self.stopped.is_set() or list(notifies(timeout=_LISTEN_S, stop_after=1)):
                    return

        return wait
