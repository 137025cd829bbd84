"""Processes pinned to a core: start them, see what they used, and end them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
GATEWAY_CORE = CORES[0] if CORES else None
LOAD_CORE = CORES[-1] if CORES else None


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of a process tree, bytes; `worker` is the part that takes the calls."""

    worker: int
    all: int


@contextlib.contextmanager
def on_core(core: int | None) -> Generator[None]:
    """Let whatever is started meanwhile inherit *core*; does nothing where cores cannot be had."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start(
    words: Sequence[str], *, core: int | None, cwd: Path, log: Path, env: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a command on *core*, in a process group of its own, its output going to *log*."""
    with on_core(core), log.open("wb") as output:
        return subprocess.Popen(
            words,
            cwd=cwd,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that `start` began, and all that it started."""
    family = tree(process.pid)
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=15)
    for member in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.send_signal(signal.SIGKILL)
    process.wait(timeout=15)


def busy(seconds: float) -> float:
    """Watch the machine for so long; give the share of its cores that somebody uses."""
    return float(psutil.cpu_percent(interval=seconds)) / 100


def tree(pid: int) -> list[psutil.Process]:
    """List a process and all its descendants; empty once it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


@dataclass(frozen=True, slots=True)
class Spent:
    """Processor time of a process tree, user and system, seconds; `worker` takes the calls."""

    worker: float
    all: float

    def since(self, before: Spent) -> Spent:
        """Give what was spent after *before*."""
        return Spent(self.worker - before.worker, self.all - before.all)


def spent(pid: int, worker: str) -> Spent:
    """Say what a tree has used so far; *worker* is as for `memory`."""
    workers, everything = 0.0, 0.0
    for member in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = member.cpu_times()
            everything += times.user + times.system
            if not worker or worker in " ".join(member.cmdline()):
                workers += times.user + times.system
    return Spent(workers, everything)


def memory(pid: int, worker: str) -> Memory:
    """Say what a tree holds now; *worker* is part of the command line of what takes the calls."""
    return _memory(pid, worker, "VmRSS")


def peak_memory(pid: int, worker: str) -> Memory:
    """Say the most that each process of a tree has held so far, summed up."""
    return _memory(pid, worker, "VmHWM")


def _memory(pid: int, worker: str, line: str) -> Memory:
    sizes: list[tuple[bool, int]] = []
    for member in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            takes_calls = not worker or worker in " ".join(member.cmdline())
            sizes.append((takes_calls, _status(member.pid, line)))
    workers = [size for takes_calls, size in sizes if takes_calls]
    return Memory(worker=max(workers, default=0), all=sum(size for _, size in sizes))


def _status(pid: int, line: str) -> int:
    """Read one size from the kernel's account of a process (proc(5)), in bytes."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    for row in status.splitlines():
        if row.startswith(line):
            return int(row.split()[1]) * 1024
    return 0
