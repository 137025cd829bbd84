"""Writes go out together, in order, and never to a line that was cut."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lockgate.core.outbox import TOGETHER, Outbox

pytestmark = pytest.mark.anyio


class Peer(asyncio.Transport):
    """Notes what is written to it in a log that all peers share."""

    def __init__(self, name: str, log: list[tuple[str, bytes]]) -> None:
        super().__init__()
        self._name, self._log = name, log
        self.cut = False

    def write(self, data: Any) -> None:
        self._log.append((self._name, bytes(data)))

    def is_closing(self) -> bool:
        return self.cut


async def turn() -> None:
    """Let the event loop finish the turn."""
    await asyncio.sleep(0)


async def test_written_by_the_end_of_the_turn() -> None:
    """Nothing is written while the turn goes on, everything in its order when it ends."""
    log: list[tuple[str, bytes]] = []
    outbox, one, two = Outbox(asyncio.get_running_loop()), Peer("one", log), Peer("two", log)
    outbox.post(one, b"a")
    outbox.post(two, b"b")
    outbox.post(one, b"c")
    assert log == []
    await turn()
    assert log == [("one", b"a"), ("two", b"b"), ("one", b"c")]


async def test_a_full_outbox_does_not_wait() -> None:
    """After so many messages they are written at once, so that peers have work meanwhile."""
    log: list[tuple[str, bytes]] = []
    outbox, peer = Outbox(asyncio.get_running_loop()), Peer("one", log)
    for number in range(TOGETHER + 1):
        outbox.post(peer, b"%d" % number)
    assert [message for _, message in log] == [b"%d" % number for number in range(TOGETHER)]
    await turn()
    assert len(log) == TOGETHER + 1


async def test_nothing_goes_to_a_line_that_was_cut() -> None:
    """A call that was given up before its turn ended leaves no trace at the peer."""
    log: list[tuple[str, bytes]] = []
    outbox, gone, there = Outbox(asyncio.get_running_loop()), Peer("gone", log), Peer("here", log)
    outbox.post(gone, b"a")
    outbox.post(there, b"b")
    gone.cut = True
    await turn()
    assert log == [("here", b"b")]
