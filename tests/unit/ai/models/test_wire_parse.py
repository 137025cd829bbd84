"""How one connection reads responses, byte by byte and without a network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.ai.models.wire_line import Line
from lockgate.ai.models.wire_response import MAX_HEAD, Response, Stale
from lockgate.ai.models.wire_stream import Streamed
from lockgate.core.errors import BackendBroken, BackendError, BackendGone, BackendTimeout
from lockgate.core.outbox import Outbox
from lockgate.testing.upstream import LAST_CHUNK, chunk, whole

pytestmark = pytest.mark.anyio

MAX_BODY = 100_000
READ = 256 * 1024  # what the event loops read at once


class Pipe(asyncio.Transport):
    """The other end of a line, without a network: remembers what was written."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self.line = line
        self.written = b""
        self.aborted = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Keeper:
    """Owns lines and remembers what became of them."""

    def __init__(self) -> None:
        self.free: list[Line] = []
        self.gone: list[Line] = []

    def freed(self, line: Line) -> None:
        self.free.append(line)

    def lost(self, line: Line) -> None:
        self.gone.append(line)


class Bench:
    """A line that has just been asked something."""

    def __init__(self, *, stream: bool = False, max_body: int = MAX_BODY) -> None:
        self.line = Line("upstream", max_body, Outbox(asyncio.get_running_loop()))
        self.pipe = Pipe(self.line)
        self.keeper = Keeper()
        self.line.connection_made(self.pipe)
        self.line.belong(self.keeper)
        self.ask(stream=stream)

    def ask(self, *, stream: bool = False, seconds: float = 60.0) -> None:
        due = time.monotonic() + seconds
        self.waiter = self.line.ask(b"POST /", due, None, stream=stream)

    def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            if not self.pipe.aborted:
                self.line.data_received(piece)

    def end(self, error: Exception | None = None) -> None:
        self.line.connection_lost(error)

    @property
    def response(self) -> Response:
        return cast("Response", self.waiter.result())

    @property
    def error(self) -> BackendError:
        return cast("BackendError", self.waiter.exception())


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = b'{"choices":[]}'
CORE = {
    "content-length": whole(BODY),
    "chunked": CHUNKED + chunk(BODY[:5]) + chunk(BODY[5:]) + LAST_CHUNK,
    "chunked with extensions": CHUNKED + b'e;a=b;c="d"\r\n' + BODY + b"\r\n0;last\r\n\r\n",
    "chunked with trailers": CHUNKED + chunk(BODY) + b"0\r\nDigest: abc\r\nX-Y: z\r\n\r\n",
    "100 continue first": b"HTTP/1.1 100 Continue\r\n\r\n" + whole(BODY),
    "103 early hints first": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 2 + whole(BODY),
    "header in upper case": b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH: 14\r\n\r\n" + BODY,
    "no reason phrase": b"HTTP/1.1 200\r\nContent-Length: 14\r\n\r\n" + BODY,
}
EMPTY = {
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
    "content-length 0": whole(b""),
    "no chunks": CHUNKED + LAST_CHUNK,
}


def each_cut(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Cut *data* in two at every position."""
    return ((data[:at], data[at:]) for at in range(1, len(data)))


@pytest.mark.parametrize("raw", CORE.values(), ids=CORE)
async def test_cut_at_every_position(raw: bytes) -> None:
    """However the network cuts a response in two, it is the same response, and the line lives."""
    for pieces in each_cut(raw):
        bench = Bench()
        bench.feed(*pieces)
        assert (bench.response.status, bench.response.body) == (200, BODY), pieces
        assert bench.keeper.free == [bench.line]


@pytest.mark.parametrize("raw", [*CORE.values(), *EMPTY.values()], ids=[*CORE, *EMPTY])
async def test_byte_by_byte(raw: bytes) -> None:
    """A response that trickles in a byte at a time is complete with its last byte, not before."""
    bench = Bench()
    bench.feed(*(raw[at : at + 1] for at in range(len(raw) - 1)))
    assert not bench.waiter.done()
    bench.feed(raw[-1:])
    assert bench.waiter.done()
    assert bench.keeper.free == [bench.line]


@pytest.mark.parametrize("raw", EMPTY.values(), ids=EMPTY)
async def test_no_body(raw: bytes) -> None:
    """A response that has no body is complete with its head and leaves the line usable."""
    bench = Bench()
    bench.feed(raw)
    assert bench.response.body == b""
    bench.ask()
    bench.feed(whole(BODY))
    assert bench.response.body == BODY


@pytest.mark.parametrize("raw", CORE.values(), ids=CORE)
async def test_stream_cut_at_every_position(raw: bytes) -> None:
    """A streamed response has the same bytes as a whole one, however it was cut."""
    for pieces in each_cut(raw):
        bench = Bench(stream=True)
        bench.feed(*pieces)
        streamed = cast("Streamed", bench.waiter.result())
        assert b"".join([part async for part in streamed]) == BODY, pieces
        assert bench.keeper.free == [bench.line]


@pytest.mark.parametrize("raw", [*CORE.values()], ids=CORE)
async def test_end_at_every_position_is_gone(raw: bytes) -> None:
    """A connection that ends before a response does never yields part of one."""
    for head, _ in each_cut(raw):
        bench = Bench()
        bench.feed(head)
        bench.end()
        assert isinstance(bench.error, BackendGone), head
        assert bench.keeper.gone == [bench.line]
        assert not bench.keeper.free


@pytest.mark.parametrize("raw", [*CORE.values()], ids=CORE)
async def test_reset_at_every_position_is_gone(raw: bytes) -> None:
    """A reset is told as what it is: the upstream is gone."""
    for head, _ in each_cut(raw):
        bench = Bench()
        bench.feed(head)
        bench.end(ConnectionResetError("reset by peer"))
        assert isinstance(bench.error, BackendGone), head
        assert "reset by peer" in bench.error.message


async def test_until_eof() -> None:
    """A response without a length ends with its connection, which is not used again."""
    for pieces in each_cut(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello"):
        bench = Bench()
        bench.feed(*pieces)
        assert not bench.waiter.done()
        bench.end()
        assert bench.response.body == b"hello"
        assert not bench.keeper.free
        assert bench.keeper.gone == [bench.line]


async def test_until_eof_does_not_end_with_a_reset() -> None:
    """A reset is not the end of a body, also where only the end of the connection would be."""
    bench = Bench()
    bench.feed(b"HTTP/1.1 200 OK\r\n\r\nhel")
    bench.end(ConnectionResetError("reset by peer"))
    assert isinstance(bench.error, BackendGone)


async def test_unknown_transfer_coding_is_not_complete_at_eof() -> None:
    """A body in a coding that was not asked for and cannot be read is not passed off as one."""
    bench = Bench()
    bench.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n\x1f\x8b")
    bench.end()
    assert isinstance(bench.error, BackendError)


@pytest.mark.parametrize(
    "raw",
    [
        whole(BODY, headers={"Connection": "close"}),
        b"HTTP/1.0 200 OK\r\nContent-Length: 14\r\n\r\n" + BODY,
        whole(BODY) + b"HTTP/1.1 200 OK\r\n",
        whole(BODY) + whole(BODY),
        whole(BODY) + b"garbage",
        whole(BODY, headers={"Connection": "close"}) + b"garbage",
        CHUNKED + chunk(BODY) + LAST_CHUNK + b"\x00\x00",
    ],
    ids=["close", "http/1.0", "half a head", "second", "garbage", "close garbage", "zeros"],
)
async def test_answered_but_not_reused(raw: bytes) -> None:
    """A whole response counts; a peer that closes, or goes on unasked, is not asked again."""
    bench = Bench()
    bench.feed(raw)
    assert bench.response.body == BODY
    assert not bench.keeper.free
    assert bench.pipe.aborted


async def test_http_1_0_with_keep_alive_is_reused() -> None:
    """An old server that offers to keep the connection is taken at its word."""
    bench = Bench()
    bench.feed(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 14\r\n\r\n" + BODY)
    assert bench.keeper.free == [bench.line]


async def test_talk_on_an_idle_line_cuts_it() -> None:
    """Bytes that nobody asked for are never taken for the next response."""
    bench = Bench()
    bench.feed(whole(BODY))
    bench.line.data_received(whole(b"poison"))
    assert bench.pipe.aborted
    bench.end()
    bench.ask()
    assert isinstance(bench.error, Stale)


REFUSED = {
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
    "list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nokk",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    "length with a sign": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "length too large for a machine": b"HTTP/1.1 200 OK\r\nContent-Length: "
    + b"9" * 30
    + b"\r\n\r\n",
    "length and chunked": CHUNKED[:-2] + b"Content-Length: 2\r\n\r\nok",
    "chunk of no size": CHUNKED + b"\r\nok\r\n",
    "chunk of a bad size": CHUNKED + b"0x2\r\nok\r\n",
    "chunk longer than said": CHUNKED + b"1\r\nok\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    "zero in a header": b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a request": b"GET / HTTP/1.1\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02F",
    "switched protocols": b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n\x00",
    "101 without upgrade": b"HTTP/1.1 101 X\r\n\r\n",
    "huge header": b"HTTP/1.1 200 OK\r\nX: " + b"a" * MAX_HEAD + b"\r\n\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: abcdefgh\r\n" * 8000 + b"\r\n",
    "endless hints": b"HTTP/1.1 103 X\r\nLink: </a>\r\n\r\n" * 3000,
    "endless reason": b"HTTP/1.1 200 " + b"a" * (MAX_HEAD + 1),
    "endless extension": CHUNKED + b"1;" + b"a" * (5 * MAX_HEAD),
    "endless trailers": CHUNKED + LAST_CHUNK[:-2] + b"X: abcdefgh\r\n" * 8000,
    "body too large": whole(b"a" * (MAX_BODY + 1)),
    "chunks too large": CHUNKED + chunk(b"a" * 1000) * 101,
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("size", [READ, 1000, 7], ids=["read", "1000", "7"])
async def test_refused(raw: bytes, size: int) -> None:
    """What is no HTTP/1.1, is ambiguous, or is too large fails, and the connection is cut."""
    bench = Bench()
    bench.feed(*(raw[at : at + size] for at in range(0, len(raw), size)))
    assert isinstance(bench.error, BackendBroken)
    assert bench.pipe.aborted
    assert not bench.keeper.free


async def test_largest_head_and_body_pass() -> None:
    """The limits themselves are allowed."""
    bench = Bench()
    bench.feed(whole(b"a" * MAX_BODY, headers={"X": "b" * (MAX_HEAD - 200)}))
    assert len(bench.response.body) == MAX_BODY


async def test_repeated_headers_are_joined() -> None:
    """Headers are found by lower-case name; repeated ones are one list, as RFC 9110 says."""
    bench = Bench()
    bench.feed(b"HTTP/1.1 204 X\r\nVia: a\r\nVIA: b\r\n\r\n")
    assert bench.response.headers == {b"via": b"a, b"}


async def test_hints_are_no_headers_of_the_answer() -> None:
    """What an interim response said is not taken for part of the final one."""
    bench = Bench()
    bench.feed(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + whole(BODY))
    assert b"link" not in bench.response.headers


async def test_switching_protocols_is_called_that() -> None:
    """A peer that switches protocols unasked is told apart from one that speaks none."""
    bench = Bench()
    bench.feed(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")
    assert "another protocol" in bench.error.message


async def test_trailers_do_not_change_the_head() -> None:
    """What is sent after the body cannot overwrite what was said before it."""
    bench = Bench()
    bench.feed(
        b"HTTP/1.1 200 X\r\nContent-Type: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\nContent-Type: b\r\n\r\n"
    )
    assert bench.response.headers[b"content-type"] == b"a"


async def test_cancelled_before_the_head() -> None:
    """Giving up cuts the connection at once."""
    bench = Bench()
    bench.waiter.cancel()
    bench.line.give_up(bench.waiter)
    assert bench.pipe.aborted


async def test_cancelled_after_the_response() -> None:
    """Giving up on a complete response leaves the line alone: it may have its next request."""
    bench = Bench()
    first = bench.waiter
    bench.feed(whole(BODY))
    bench.ask()
    bench.line.give_up(first)
    assert not bench.pipe.aborted


async def test_stream_given_up_with_its_head() -> None:
    """A stream whose reader left while its head arrived is cut, not left to run on."""
    bench = Bench(stream=True)
    bench.feed(CHUNKED)
    bench.line.give_up(bench.waiter)
    assert bench.pipe.aborted


async def test_stream_cancelled_before_its_head_was_seen() -> None:
    """A stream whose reader is already gone is cut when its head arrives."""
    bench = Bench(stream=True)
    bench.waiter.cancel()
    bench.feed(CHUNKED)
    assert bench.pipe.aborted


async def test_stream_holds_the_peer_back() -> None:
    """A slow reader makes the peer wait, and lets it go on once the buffer is half empty."""
    bench = Bench(stream=True)
    bench.feed(CHUNKED, *[chunk(b"a" * 10_000)] * 7)
    assert not bench.pipe.reading
    streamed = cast("Streamed", bench.waiter.result())
    for _ in range(4):
        await anext(streamed)
    assert bench.pipe.reading


async def test_stream_that_ended_while_paused_leaves_the_line_reading() -> None:
    """A stream that is whole but unread does not keep its connection paused."""
    bench = Bench(stream=True)
    bench.feed(CHUNKED + chunk(b"a" * 100_000) + LAST_CHUNK)
    assert bench.keeper.free == [bench.line]
    assert bench.pipe.reading


async def test_stream_gives_what_arrived_before_it_broke() -> None:
    """The bytes before a break are given, then the error, and again the error."""
    bench = Bench(stream=True)
    bench.feed(CHUNKED, chunk(b"abc"))
    bench.end(ConnectionResetError("reset by peer"))
    streamed = cast("Streamed", bench.waiter.result())
    assert await anext(streamed) == b"abc"
    for _ in range(2):
        with pytest.raises(BackendGone):
            await anext(streamed)


async def test_stream_that_breaks_the_protocol() -> None:
    """Nonsense in the middle of a stream is an error, not its end."""
    bench = Bench(stream=True)
    bench.feed(CHUNKED, chunk(b"abc"), b"zz\r\n")
    streamed = cast("Streamed", bench.waiter.result())
    assert await anext(streamed) == b"abc"
    with pytest.raises(BackendBroken):
        await anext(streamed)


async def test_stream_runs_out_to_be_reused() -> None:
    """A stream whose rest is of no interest is read to its end, and the line is free again."""
    bench = Bench(stream=True)
    bench.feed(CHUNKED, chunk(b"[DONE]"))
    streamed = cast("Streamed", bench.waiter.result())
    streamed.run_out(time.monotonic() + 1)
    bench.feed(chunk(b"a" * 200_000), LAST_CHUNK)
    assert bench.pipe.reading
    assert bench.keeper.free == [bench.line]


async def test_times_move_with_the_request() -> None:
    """An earlier request's later deadline does not delay the alarm of the next one."""
    bench = Bench()
    bench.feed(whole(BODY))
    bench.ask(seconds=0.01)
    with pytest.raises(BackendTimeout):
        await bench.waiter
    assert bench.pipe.aborted


async def test_first_byte_counts_until_the_head() -> None:
    """Once the head is there, only the deadline counts."""
    bench = Bench()
    bench.feed(whole(BODY))
    now = time.monotonic()
    bench.waiter = bench.line.ask(b"POST /", now + 60, now - 1, stream=False)
    bench.feed(whole(BODY)[:-1])
    await turns()
    bench.feed(whole(BODY)[-1:])
    assert bench.response.body == BODY


async def test_first_byte_counts_before_the_head() -> None:
    """Without a head by then, the request fails although its deadline is far."""
    bench = Bench()
    bench.feed(whole(BODY))
    now = time.monotonic()
    bench.waiter = bench.line.ask(b"POST /", now + 60, now - 1, stream=False)
    bench.feed(whole(BODY)[:10])
    await turns()
    assert isinstance(bench.error, BackendTimeout)


async def test_idle_line_is_closed_in_time() -> None:
    """A line that nobody has used for a while is closed rather than trusted."""
    bench = Bench()
    bench.feed(whole(BODY))
    bench.line.expect_by(time.monotonic() - 1)
    await turns()
    assert bench.pipe.aborted


async def turns() -> None:
    """Let the event loop run what is due."""
    for _ in range(10):
        await asyncio.sleep(0)


CONTENTS = st.lists(st.binary(min_size=1, max_size=40), max_size=5)


@settings(max_examples=200, deadline=None)
@given(CONTENTS, st.lists(st.integers(1, 60), min_size=1, max_size=30), st.booleans())
def test_any_chunks_in_any_pieces(parts: list[bytes], sizes: list[int], stream: bool) -> None:
    """Whatever the body, its chunks and the network's cuts: what arrives is what was sent."""
    raw = CHUNKED + b"".join(map(chunk, parts)) + LAST_CHUNK

    async def play() -> bytes:
        bench = Bench(stream=stream)
        bench.feed(*_pieces(raw, sizes))
        assert bench.keeper.free == [bench.line]
        if not stream:
            return bench.response.body
        return b"".join([part async for part in cast("Streamed", bench.waiter.result())])

    assert asyncio.run(play()) == b"".join(parts)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", CHUNKED, b"HTTP/1.1 200 OK\r\n"]))
def test_nonsense_never_escapes(nonsense: bytes, prefix: bytes) -> None:
    """Whatever a peer sends, the outcome is a response or a BackendError, never a surprise."""

    async def play() -> None:
        bench = Bench()
        bench.feed(prefix, nonsense)
        bench.end()
        assert bench.waiter.done()
        error = bench.waiter.exception()
        assert error is None or isinstance(error, BackendError)

    asyncio.run(play())


def _pieces(raw: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    for size in sizes:
        yield raw[at : at + size]
        at += size
    if at < len(raw):
        yield raw[at:]
