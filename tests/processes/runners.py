"""Real runner processes for tests, started as the supervisor starts them."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from lockgate.ai.models.hosted import Hosted

TOKEN = "token-for-tests"
_PATIENCE = 30.0
_SERVICE = "  {name}-service: {{kind: {kind}, targets: [{name}]}}\n"


def write_manifest(folder: Path, models: Mapping[str, str], *, chats: Iterable[str] = ()) -> Path:
    """Write a manifest with *models* (their section in YAML's flow style by name)."""
    sections = "".join(f"  {name}: {section}\n" for name, section in models.items())
    services = "".join(
        _SERVICE.format(name=name, kind="chat" if name in chats else "predict") for name in models
    )
    path = folder / "lockgate.yaml"
    path.write_text(f"version: 1\nmodels:\n{sections}services:\n{services}")
    return path


class Runner:
    """One runner process; what it says on stderr is collected line by line."""

    def __init__(self, manifest: Path, run: Path, model: str, index: int = 0) -> None:
        self.model = model
        self.socket = run / f"{model}-{index}.sock"
        self.lines: list[str] = []
        self._said = threading.Condition()
        self._words = (
            *(sys.executable, "-m", "lockgate.processes.runner", "--manifest", str(manifest)),
            *("--run", str(run), "--model", model, "--index", str(index)),
        )
        self._process: subprocess.Popen[str] | None = None
        self._ear: threading.Thread | None = None

    def start(self, **environ: str) -> None:
        """Start it, with *environ* added to the environment."""
        self.lines.clear()
        self._process = subprocess.Popen(
            self._words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "LOCKGATE_RUN_TOKEN": TOKEN, **environ},
        )
        self._ear = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._ear.start()

    def started(self, **environ: str) -> "Runner":
        """Start it and wait until it is ready."""
        self.start(**environ)
        self.hear("ready")
        return self

    def hear(self, line: str) -> None:
        """Wait until it says *line*."""
        with self._said:
            heard = self._said.wait_for(lambda: line in self.lines or self.ended, _PATIENCE)
        assert heard, f"not heard within {_PATIENCE} s: {self.lines}"
        assert line in self.lines, self.lines

    @property
    def process(self) -> "subprocess.Popen[str]":
        """The process, once it was started."""
        assert self._process is not None
        return self._process

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def hang_up(self) -> None:
        """Close its stdin, as the kernel does when the supervisor dies."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def wait(self) -> int:
        """Wait for its end; give its exit code."""
        return self.process.wait(_PATIENCE)

    def kill(self) -> None:
        """Kill it, whatever state it is in."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()

    def said(self) -> str:
        """Give all that it said, once it has ended."""
        assert self._ear is not None
        self._ear.join(_PATIENCE)
        return "\n".join(self.lines)

    def hosted(self) -> Hosted:
        """Make a worker's side of it."""
        return Hosted(self.model, [self.socket])

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        with process.stderr as mouth:
            for line in mouth:
                with self._said:
                    self.lines.append(line.rstrip("\n"))
                    self._said.notify_all()
        process.wait()
        with self._said:
            self._said.notify_all()


def soon(seconds: float = 20.0) -> float:
    """Give a deadline."""
    return time.monotonic() + seconds


async def until_files(folder: Path, count: int) -> None:
    """Wait until *folder* holds *count* files."""
    async with asyncio.timeout(_PATIENCE):
        while len(os.listdir(folder)) != count:  # noqa: ASYNC110, PTH208 — made by another process
            await asyncio.sleep(0.01)
