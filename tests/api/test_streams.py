"""Streams under bad weather: callers who leave, callers who do not read, silence, refusals."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from lockgate.app.api import line as line_module
from lockgate.core.exchange import Answer, Decision
from lockgate.core.payload import ChatChunk, ChatStream
from lockgate.core.ports import Ask
from lockgate.testing.fakes import FakeGuard, FakeRecorder
from tests.api.conftest import Open
from tests.api.door import KEY, USER, Door, Model, Plan, streams
from tests.api.test_bad_input import until_closed

STREAM: dict[str, Any] = {"model": "assistant", "messages": USER, "stream": True}
END = ChatChunk(finish_reason="stop")


def request(value: dict[str, Any], path: str = "/v1/chat/completions") -> bytes:
    """Write a whole request."""
    body = json.dumps(value).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Endless:
    """A model that goes on for ever, and remembers whether it was stopped."""

    def __init__(self, text: str = "word ", pause_s: float = 0.01) -> None:
        self.text = text
        self.pause_s = pause_s
        self.given = 0
        self.stopped = False

    def __aiter__(self) -> Endless:
        return self

    async def __anext__(self) -> ChatChunk:
        """Say another word."""
        await asyncio.sleep(self.pause_s)
        self.given += 1
        return ChatChunk(text=self.text)

    async def aclose(self) -> None:
        """Remember that it was stopped."""
        self.stopped = True

    def model(self) -> Model:
        """Make the model whose answer this is."""

        async def does(_ask: Ask) -> Answer:
            return Answer(reply=ChatStream(self), target="small")

        return Model(does)


def test_a_caller_who_leaves_while_waiting_stops_the_work(open_door: Open) -> None:
    """Work that nobody waits for any more is cancelled, recorded, and its place given back."""
    cancelled: list[bool] = []
    begun: list[bool] = []

    async def waits(_ask: Ask) -> Answer:
        begun.append(True)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        raise AssertionError

    door = open_door(Plan(chat=Model(waits), deadline_s=60, bench={"limit": 1, "queue": 0}))
    for turn in (1, 2):  # the second would find no place if the first had kept it
        with door.raw() as line:
            line.sendall(request({"model": "assistant", "messages": USER}))
            wait_for(lambda turn=turn: len(begun) == turn)
        wait_for(lambda turn=turn: len(door.entries) == turn)
    assert cancelled == [True, True]
    assert {(entry.status, entry.ended) for entry in door.entries} == {(499, "abandoned")}


def test_a_caller_who_leaves_a_stream_stops_the_model(open_door: Open) -> None:
    """A stream nobody reads is aborted upstream, and recorded as abandoned."""
    endless = Endless()
    door = open_door(Plan(chat=endless.model(), deadline_s=60))
    with door.raw() as line:
        line.sendall(request(STREAM))
        assert b"200 OK" in line.recv(100)
    entry = door.entry()
    assert endless.stopped
    assert (entry.ended, entry.outcome) == ("abandoned", "failed")
    assert entry.output_tokens > 0


def test_a_caller_who_does_not_read_slows_the_model_down(open_door: Open) -> None:
    """A slow reader costs no memory: the model is read no faster than the caller reads."""
    endless = Endless("x" * 65_536, pause_s=0.0)
    door = open_door(Plan(chat=endless.model(), deadline_s=60))
    with door.raw() as line:
        line.sendall(request(STREAM))
        assert line.recv(100)
        seen = -1
        while endless.given != seen:  # goes on until the buffers are full
            seen = endless.given
            time.sleep(0.2)
        assert 0 < endless.given < 1000
    door.entry()
    assert endless.stopped


def test_a_reader_who_stalls_past_the_deadline_is_cut_off(
    open_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No call, and none of its leases, outlives its deadline because a caller does not read."""
    monkeypatch.setattr("lockgate.app.api.stream.READER_S", 0.1)
    endless = Endless("x" * 65_536, pause_s=0.0)
    door = open_door(Plan(chat=endless.model(), deadline_s=0.5))
    with door.raw() as line:
        line.sendall(request(STREAM))
        entry = door.entry()
        assert endless.stopped
        assert b"[DONE]" not in until_closed(line)
    assert entry.outcome == "failed"


def test_a_stream_that_outlives_its_deadline_says_so(
    open_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader of a stream that takes too long gets an error frame, never a silent end."""
    monkeypatch.setattr("lockgate.app.api.stream.READER_S", 0.0)
    endless = Endless()
    door = open_door(Plan(chat=endless.model(), deadline_s=0.3))
    got = door.chat(STREAM)
    frames = got.body.split(b"\n\n")
    assert b'"code":"deadline_exceeded"' in frames[-2]
    assert b"[DONE]" not in got.body
    assert (door.entry().code, door.entry().outcome) == ("deadline_exceeded", "failed")
    assert endless.stopped


def test_silence_is_broken_by_comments(open_door: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long silence carries comments, which keep proxies from cutting the line."""
    monkeypatch.setattr(line_module.Line.__init__, "__defaults__", (0.05,))
    slow = streams(ChatChunk(text="a"), ChatChunk(text="b"), END, pause_s=0.3)
    got = open_door(Plan(chat=slow)).chat(STREAM)
    assert b"\n\n: ping\n\n" in got.body
    assert got.body.endswith(b"data: [DONE]\n\n")


def test_a_refusal_in_mid_stream_ends_it(open_door: Open) -> None:
    """What a guard refuses is never sent; the frame says why, and the ledger too."""
    guard = FakeGuard("BOMB", Decision.REFUSE)
    chunks = (ChatChunk(text="fine so far "), ChatChunk(text="BO"), ChatChunk(text="MB"), END)
    door = open_door(Plan(chat=streams(*chunks), bench={"guard": guard}))
    got = door.chat(STREAM)
    assert b"fine so far" in got.body
    assert b"BO" not in got.body
    assert b'"code":"content_refused"' in got.body
    assert b"[DONE]" not in got.body
    assert (door.entry().outcome, door.entry().code) == ("refused", "content_refused")


def test_a_refusal_of_the_first_word_is_a_status(open_door: Open) -> None:
    """A stream refused before anything was sent is an ordinary 400."""
    guard = FakeGuard("BOMB", Decision.REFUSE)
    door = open_door(Plan(chat=streams(ChatChunk(text="BOMB"), END), bench={"guard": guard}))
    got = door.chat(STREAM)
    assert (got.status, got.error["code"]) == (400, "content_refused")
    assert got.headers["x-lockgate-outcome"] == "refused"
    assert door.entry().outcome == "refused"


def test_mended_text_streams_on(open_door: Open) -> None:
    """What a guard mends reaches the caller mended, whole, and ended properly."""
    chunks = (ChatChunk(text="call BO"), ChatChunk(text="MB now"), END)
    door = open_door(Plan(chat=streams(*chunks), bench={"guard": FakeGuard("BOMB")}))
    got = door.chat(STREAM)
    text = "".join(
        json.loads(frame[6:])["choices"][0]["delta"].get("content", "")
        for frame in got.body.split(b"\n\n")[:-2]
    )
    assert text == "call [gone] now"
    assert got.body.endswith(b"data: [DONE]\n\n")


def test_a_stream_is_recorded_before_its_last_frame(open_door: Open) -> None:
    """Who has seen `[DONE]` finds the call in the ledger; an unrecorded call never shows it."""
    chunks = (ChatChunk(text="a"), END)
    kept = open_door(Plan(chat=streams(*chunks)))
    with kept.raw() as line:
        line.sendall(request(STREAM))
        read = b""
        while b"[DONE]" not in read:
            read += line.recv(65536)
        assert len(kept.entries) == 1
    lost = open_door(Plan(chat=streams(*chunks), bench={"recorder": FakeRecorder(full=True)}))
    got = lost.chat(STREAM)
    assert b'"code":"store_unavailable"' in got.body
    assert b"[DONE]" not in got.body


def test_fast_callers_are_served_one_after_the_other_on_one_line(door: Door) -> None:
    """Keep-alive and pipelining give every request its own answer and record."""
    plain = request({"model": "assistant", "messages": USER})
    with door.raw() as line:
        line.sendall(plain * 3)
        read = b""
        while read.count(b'"lockgate"') < 3:
            read += line.recv(65536)
    assert read.count(b"HTTP/1.1 200 OK") == 3
    assert len({entry.id for entry in door.entries}) == 3


def wait_for(holds: Any, within_s: float = 10.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)
