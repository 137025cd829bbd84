"""`lockgate serve` without its command line: everything that happens before and after.

In this order: manifest → lock → store → may we listen there → socket → run folder → children.
Whatever can be wrong is found out before the first process is started.
"""

from __future__ import annotations

import asyncio
import os
import resource
import secrets
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from random import Random

import msgspec

from lockgate.manifest.load import Loaded
from lockgate.processes import front_door, serving
from lockgate.processes.backoff import Backoff
from lockgate.processes.child import TOKEN
from lockgate.processes.greeting import greeting
from lockgate.processes.plan import Asked, children, load_for_serving, longest_socket_name
from lockgate.processes.supervisor import Reports, Supervisor
from lockgate.processes.voice import Voice

OPEN_FILES = 65_536
"""One for every connection; shells often allow 1024."""
LIFELINE = "LOCKGATE_LIFELINE"
"""Environment variable of whoever starts a server that must not outlive it: `stdin` means that
stdin is a pipe, and its end is the server's end."""


def serve(asked: Asked, environ: Mapping[str, str]) -> int:
    """Serve until told to stop; give the exit code.

    Raises:
        ManifestError: The manifest cannot be served.
        StoreError: The database cannot be reached.
        UnsafeBind: Other machines could reach it, and nobody needs a key.
        CannotListen: The address cannot be had.
        AlreadyServing: Another server serves this manifest.
    """
    loaded = load_for_serving(asked, environ)
    wanted = loaded.manifest.serve
    raise_open_files()
    with serving.only_one(loaded.root):
        has_key = prepare_store(loaded)
        address = front_door.resolve(wanted.host, wanted.port)
        front_door.refuse_unguarded(address, has_key=has_key)
        with (
            front_door.listen(address) as door,
            serving.run_dir(longest_socket_name(loaded.manifest)) as run,
        ):
            desk = Desk(loaded, door, run, has_key=has_key, alone=LIFELINE not in environ)
            try:
                return _supervise(desk, asked, environ)
            finally:
                desk.voice.close()


def raise_open_files() -> None:
    """Allow this process and its children as many open files as the system lets them, in reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS promises more than it gives
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def prepare_store(loaded: Loaded) -> bool:
    """Bring the database to the newest form; tell whether it has an API key that is valid.

    Raises:
        StoreError: It cannot be reached.
    """
    from lockgate.store.engine import open_store
    from lockgate.store.keys import Keys
    from lockgate.store.migrate import migrate

    store = open_store(loaded.store_url())
    try:
        migrate(store)
        now = time.time_ns()
        return any(
            key.revoked_at is None and (key.expires_at is None or key.expires_at > now)
            for key in Keys(store).list()
        )
    finally:
        store.close()


class Desk:
    """What the supervisor reports to: the terminal, and `run.json`.

    Args:
        alone: Nobody else tells the user how to call it, as the demo does.
    """

    def __init__(
        self, loaded: Loaded, door: socket.socket, run: Path, *, has_key: bool, alone: bool = True
    ) -> None:
        self.loaded = loaded
        self.door = door
        self.run = run
        self.voice = Voice()
        self._has_key = has_key
        self._alone = alone
        self._serving = serving.Serving(
            pid=os.getpid(),
            url=front_door.bound(door).url,
            run_dir=str(run),
            started=time.time(),
        )

    def reports(self) -> Reports:
        """Give the supervisor its ears."""
        return Reports(
            say=self.voice.say,
            changed=self._changed,
            serving=self._greet,
            draining=self._draining,
        )

    def _changed(self, pids: dict[str, int]) -> None:
        self._note(msgspec.structs.replace(self._serving, children=pids))

    def _greet(self) -> None:
        self._note(msgspec.structs.replace(self._serving, ready=True))
        lines = greeting(self.loaded.manifest, self._serving.url, has_key=self._has_key)
        for line in lines if self._alone else islice(lines, 1):
            self.voice.say(line)

    def _draining(self) -> None:
        self._note(msgspec.structs.replace(self._serving, ready=False))
        self.door.close()  # the workers close theirs: from then on nobody can connect

    def _note(self, now: serving.Serving) -> None:
        self._serving = now
        with suppress(OSError):  # a full disk must not end a running server
            serving.write(self.loaded.root, now)


def _supervise(desk: Desk, asked: Asked, environ: Mapping[str, str]) -> int:
    specs = children(asked, desk.loaded.manifest, desk.run, desk.door.fileno())
    ours = {**environ, TOKEN: secrets.token_urlsafe(32), "PYTHONUNBUFFERED": "1"}
    lifeline = 0 if ours.pop(LIFELINE, "") == "stdin" else None
    backoff = Backoff(Random())  # noqa: S311 — jitter, not a secret
    supervisor = Supervisor(specs, ours, desk.reports(), backoff, asked.grace)
    return asyncio.run(supervisor.run(lifeline=lifeline))
