"""A child's end of the line to its supervisor."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from lockgate.processes.lifeline import Lifeline

pytestmark = pytest.mark.anyio


async def test_over_a_socket_it_beats_and_hears_the_end() -> None:
    """The first beat comes at once; the supervisor's end is heard, also with beats unread."""
    supervisor, child = socket.socketpair()
    lifeline, gone = Lifeline(child.fileno()), asyncio.Event()
    child.close()  # foreign code may close stdin; the line stays
    lifeline.hold(gone.set)
    assert supervisor.recv(10) == b"."
    lifeline.beat()
    assert not gone.is_set()
    supervisor.close()
    async with asyncio.timeout(10):
        await gone.wait()
    lifeline.beat()
    assert lifeline.ended()
    os.close(lifeline.fd)


async def test_over_a_pipe_it_only_hears_the_end() -> None:
    """Whoever starts a child by hand with a pipe ends it by closing that."""
    ours, theirs = os.pipe()
    lifeline, gone = Lifeline(ours), asyncio.Event()
    lifeline.hold(gone.set)
    assert not lifeline.ended()
    os.close(theirs)
    async with asyncio.timeout(10):
        await gone.wait()
    for fd in (ours, lifeline.fd):
        os.close(fd)


async def test_a_file_or_nothing_is_no_line(tmp_path: Path) -> None:
    """There is nobody to beat for, and no end to hear."""
    with (tmp_path / "file").open("w") as file:
        lifeline = Lifeline(file.fileno())
    lifeline.hold(lambda: pytest.fail("there is nobody to be gone"))
    lifeline.beat()
    assert lifeline.fd == -1
    assert (tmp_path / "file").read_bytes() == b""
    assert Lifeline(-1).fd == -1


def test_a_full_line_does_not_block() -> None:
    """A supervisor that is frozen does not freeze its children."""
    supervisor, child = socket.socketpair()
    with supervisor, child:
        lifeline = Lifeline(child.fileno())
        for _ in range(100_000):
            lifeline.beat()
        assert not lifeline.ended()
        os.close(lifeline.fd)
