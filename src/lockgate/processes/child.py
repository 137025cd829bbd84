"""One process that the supervisor keeps running, and what it says.

A child's stdin is its lifeline, a socket: it ends when the supervisor closes it or is gone, and
then the child must end too; the other way come its heartbeats. Its stdout and stderr come back line
by line; the line `ready` is the signal that it does its work.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from lockgate.processes.pulse import Pulse

READY = "ready"
"""What a child says on stderr once it does its work."""
TOKEN = "LOCKGATE_RUN_TOKEN"  # noqa: S105 — a variable's name
"""Environment variable with the secret that workers show to runners."""
_LONGEST_LINE = 8192
_LAST_WORDS_SECONDS = 0.5  # a grandchild may keep the pipe open for ever


class Role(StrEnum):
    """What a child is there for."""

    WORKER = "worker"
    STEWARD = "steward"
    RUNNER = "runner"


@dataclass(frozen=True, slots=True)
class Spec:
    """How to start a child.

    Attributes:
        label: Which of its role, e.g. `small-0`; empty if there is only one.
        fds: File descriptors that it inherits under the same numbers.
        may_quote: What it says may quote callers, and is not to be repeated.
    """

    role: Role
    label: str
    argv: tuple[str, ...]
    fds: tuple[int, ...] = ()
    may_quote: bool = False

    @property
    def name(self) -> str:
        """What it is called in messages and in `run.json`."""
        return f"{self.role} {self.label}".strip()


class Child:
    """A process that was started.

    Attributes:
        ready: It has said that it does its work.
        pulse: Its heartbeats.
    """

    def __init__(
        self, spec: Spec, process: asyncio.subprocess.Process, lifeline: socket.socket
    ) -> None:
        self.spec = spec
        self.pid = process.pid
        self.ready = False
        self.started = time.monotonic()
        self._process = process
        self.pulse = Pulse(self.started)
        self._lifeline = lifeline
        asyncio.get_running_loop().add_reader(lifeline, self._hear)

    @property
    def lived(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.started

    def hang_up(self) -> None:
        """Close its lifeline: it should finish and end."""
        self._hear_no_more()
        self._lifeline.close()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens if it is gone already."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end; give its exit code, negative if a signal ended it."""
        code = await self._process.wait()
        self.hang_up()
        return code

    def _hear(self) -> None:
        try:
            beats = self._lifeline.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            beats = b""
        if beats:
            self.pulse.beat(time.monotonic())
        else:  # it has closed its end, and lives
            self._hear_no_more()

    def _hear_no_more(self) -> None:
        if self._lifeline.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._lifeline)


class Ear:
    """Splits what a child says into lines, however it arrives."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Take in *chunk*; over-long lines are cut into pieces."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._say(line)

    def end(self) -> None:
        """Take what was left without a line's end as the last line."""
        self._say(self._rest)
        self._rest = b""

    def _say(self, line: bytes) -> None:
        text = line.decode(errors="replace").strip("\r\x00")
        if text.strip():
            self._hear(text)


async def start(
    spec: Spec, environ: Mapping[str, str], hear: Callable[[Child, str], None]
) -> tuple[Child, asyncio.Task[None]]:
    """Start a process; the task ends when it has nothing more to say.

    It gets a process group of its own: Ctrl-C in a terminal is for the supervisor alone.

    Raises:
        OSError: The system has no room for another process.
    """
    lifeline, stdin = socket.socketpair()
    lifeline.setblocking(False)  # noqa: FBT003 — the standard library's own signature
    mouth, output = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *spec.argv,
            stdin=stdin.fileno(),
            stdout=output,
            stderr=output,
            env=dict(environ),
            pass_fds=spec.fds,
            process_group=0,
        )
    except BaseException:
        lifeline.close()
        os.close(mouth)
        raise
    finally:
        stdin.close()
        os.close(output)
    child = Child(spec, process, lifeline)
    ear = Ear(lambda line: hear(child, line))
    return child, asyncio.create_task(_listen(mouth, ear), name=f"ear of {spec.name}")


async def _listen(mouth: int, ear: Ear) -> None:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    pipe = os.fdopen(mouth, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
    try:
        while chunk := await reader.read(65536):
            ear.feed(chunk)
        ear.end()
    finally:
        transport.close()


async def last_words(ear: asyncio.Task[None]) -> None:
    """Wait until a child that has ended was heard out, within reason."""
    _, unheard = await asyncio.wait({ear}, timeout=_LAST_WORDS_SECONDS)
    for task in unheard:
        task.cancel()


def cause_of_death(code: int) -> str:
    """Say in words how a process ended, from its exit code (negative: the signal)."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed ({signal.Signals(-code).name})"
    except ValueError:
        return f"was killed (signal {-code})"
