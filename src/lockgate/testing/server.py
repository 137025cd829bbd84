"""A real `lockgate serve` for tests: its processes, its URL, a key, and a way to hurt it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lockgate.processes.serving import Serving, running
from lockgate.store.engine import Store, open_store
from lockgate.store.keys import Keys
from lockgate.store.migrate import migrate

START_S = 40.0


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs.

    Attributes:
        root: Folder of its manifest.
        key: A key for all its services.
        process: The supervisor.
    """

    root: Path
    url: str
    key: str
    process: subprocess.Popen[bytes]
    store: Store

    @property
    def children(self) -> Mapping[str, int]:
        """Process ids by name, as of now."""
        serving = running(self.root)
        return {} if serving is None else serving.children

    def send(self, name: str, number: signal.Signals) -> bool:
        """Send a signal to the child called *name*; False if it is not there."""
        pid = self.children.get(name)
        if pid is None:
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True


@contextmanager
def served(
    root: Path, manifest: str, *, store_url: str | None = None, environ: Mapping[str, str] = {}
) -> Generator[Served]:
    """Serve *manifest* (its text) from *root* on a free port until the block ends."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / "lockgate.yaml"
    path.write_text(manifest)
    (root / ".lockgate").mkdir(exist_ok=True)
    store = open_store(store_url or f"sqlite:///{root / '.lockgate' / 'lockgate.db'}")
    migrate(store)
    key = Keys(store).create("tests").secret_text
    log = (root / "serve.log").open("wb")
    process = subprocess.Popen(  # noqa: S603 — our own command line
        [sys.executable, "-m", "lockgate", "serve", "--manifest", str(path), "--port", "0"],
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environ},
    )
    try:
        serving = _ready(root, process)
        yield Served(root, serving.url, key, process, store)
    finally:
        _stop(process)
        store.close()
        log.close()


def _ready(root: Path, process: subprocess.Popen[bytes]) -> Serving:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        serving = running(root)
        if serving is not None and serving.ready and serving.pid == process.pid:
            return serving
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise AssertionError("the server did not start:\n" + (root / "serve.log").read_text()[-4000:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(45)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
