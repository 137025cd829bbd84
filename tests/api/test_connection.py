"""One connection: bodies that come in pieces, answers in their order, and how it ends."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from lockgate.app.api.arrival import header_line
from lockgate.core.payload import ChatChunk
from tests.api.conftest import Open
from tests.api.door import KEY, LIMIT, USER, Door, Plan, streams
from tests.api.test_bad_input import CHAT, head, until_closed
from tests.api.test_streams import END, STREAM, request, wait_for

PLAIN: dict[str, Any] = {"model": "assistant", "messages": USER}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def padded(size: int) -> bytes:
    """Write a chat request of *size* bytes."""
    body = json.dumps(PLAIN).encode()
    return body + b" " * (size - len(body))


def in_chunks(body: bytes, size: int) -> bytes:
    """Write *body* in chunks of *size* bytes."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


@pytest.mark.parametrize("size", [1_000, 300_000, LIMIT])
def test_a_body_may_come_after_its_head_and_in_pieces(door: Door, size: int) -> None:
    """However a body is cut, all of it arrives, and the next request is understood."""
    body = padded(size)
    with door.raw() as line:
        for _ in range(2):
            line.sendall(head("POST", CHAT, size))
            for at in range(0, size, 90_000):
                line.sendall(body[at : at + 90_000])
            assert read_whole(line).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("chunk", [7, 5_000, 400_000])
def test_a_chunked_body_may_have_any_chunks(door: Door, chunk: int) -> None:
    """Chunks are put together, however small or large."""
    with door.raw() as line:
        line.sendall(
            f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
            "transfer-encoding: chunked\r\n\r\n".encode()
        )
        line.sendall(in_chunks(padded(500_000), chunk))
        assert read_whole(line).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_waits_for_leave_to_send_gets_it(door: Door) -> None:
    """`expect: 100-continue` is answered at once when the body will be taken."""
    body = padded(1000)
    with door.raw() as line:
        line.sendall(head("POST", CHAT, len(body), "expect: 100-continue"))
        assert line.recv(1000) == CONTINUE
        line.sendall(body)
        assert read_whole(line).startswith(b"HTTP/1.1 200 ")


def test_leave_to_send_does_not_cut_into_an_answer(open_door: Open) -> None:
    """`100 Continue` waits for the end of the stream before it."""
    slow = streams(ChatChunk(text="a"), ChatChunk(text="b"), END, pause_s=0.1)
    body = json.dumps(STREAM).encode()
    with open_door(Plan(chat=slow)).raw() as line:
        line.sendall(request(STREAM) + head("POST", CHAT, len(body), "expect: 100-continue"))
        read = read_past(line, CONTINUE)
        assert read.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n" + CONTINUE)
        line.sendall(body)
        assert read_past(line, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_a_refused_client_that_waited_for_leave_is_cut_off(door: Door) -> None:
    """It will not send its body, so what it sends next must not be taken for that."""
    with door.raw() as line:
        line.sendall(head("POST", CHAT, 1000, "expect: 100-continue", key="wrong"))
        answer = until_closed(line)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in answer


@pytest.mark.parametrize("size", [100_000, 50_000_000])
def test_a_stranger_is_refused_before_the_body(door: Door, size: int) -> None:
    """Who has no key is told so, not what the limits are, and nothing is kept of the body."""
    with door.raw() as line:
        line.sendall(head("POST", CHAT, size, key="wrong") + b"{")
        answer = until_closed(line)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in answer


def test_an_unknown_service_is_refused_before_the_body(door: Door) -> None:
    """A service that is named in the URL and is not there takes no body."""
    with door.raw() as line:
        line.sendall(head("POST", "/v1/services/nobody/predict", 100_000))
        assert until_closed(line).startswith(b"HTTP/1.1 404 ")


def test_a_caller_who_leaves_in_mid_body_is_counted(door: Door) -> None:
    """Nothing is carried, and the operator can see that it happened."""
    with door.raw() as line:
        line.sendall(head("POST", CHAT, 1000, "expect: 100-continue"))
        assert line.recv(1000) == CONTINUE
        line.sendall(b"{")
    wait_for(lambda: door.away == ["caller_left"])
    assert door.entries == []


def test_a_request_behind_a_stream_waits_for_its_end(open_door: Open) -> None:
    """Answers never mix."""
    slow = streams(ChatChunk(text="a"), ChatChunk(text="b"), END, pause_s=0.05)
    with open_door(Plan(chat=slow)).raw() as line:
        line.sendall(request(STREAM) * 2 + b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        read = read_past(line, b'{"status":"alive"}')
    first, second, third = read.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert first.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert second.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert third.endswith(b'{"status":"alive"}')


def test_an_old_client_gets_a_stream_without_chunks(open_door: Open) -> None:
    """HTTP/1.0 does not know chunks: its streams end with the connection."""
    door = open_door(Plan(chat=streams(ChatChunk(text="a"), END)))
    with door.raw() as line:
        line.sendall(request(STREAM).replace(b"HTTP/1.1", b"HTTP/1.0"))
        top, _, body = until_closed(line).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in top
    assert b"connection: close" in top
    assert body.startswith(b"data: {")
    assert body.endswith(b"\n\ndata: [DONE]\n\n")


@pytest.mark.parametrize("more", ["HTTP/1.0\r\n", "HTTP/1.1\r\nconnection: close\r\n"])
def test_who_asks_for_one_answer_gets_one(door: Door, more: str) -> None:
    """The connection ends after the answer."""
    with door.raw() as line:
        line.sendall(f"GET /livez {more}host: x\r\n\r\n".encode())
        answer = until_closed(line)
    assert b"connection: close\r\n\r\n" in answer
    assert answer.endswith(b'{"status":"alive"}')


def test_an_answer_to_head_has_no_body(door: Door) -> None:
    """It tells the length of what GET would give, and the next answer follows at once."""
    with door.raw() as line:
        line.sendall(b"HEAD /livez HTTP/1.1\r\nhost: x\r\n\r\nGET /v2 HTTP/1.1\r\nhost: x\r\n\r\n")
        first, _, rest = read_past(line, b'"lockgate"').partition(b"\r\n\r\n")
    assert b"content-length: 18" in first
    assert rest.startswith(b"HTTP/1.1 200 OK")


def test_who_does_not_read_answers_cannot_ask_for_ever(door: Door) -> None:
    """Requests are read no faster than their answers are taken."""
    ask = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\nx-padding: %b\r\n\r\n" % (b"x" * 10_000)
    with door.raw() as line:
        line.settimeout(1.0)
        with pytest.raises(TimeoutError):
            flood(line, ask)
    assert door.send("GET", "/livez").status == 200


def flood(line: socket.socket, ask: bytes) -> None:
    """Ask and ask, 200 MB of it, and never read an answer."""
    for _ in range(20_000):
        line.sendall(ask)


def test_an_unused_connection_is_closed(open_door: Open) -> None:
    """Kept connections are not kept for ever."""
    with open_door(Plan(idle_s=0.1)).raw() as line:
        line.sendall(request(PLAIN))
        assert until_closed(line).startswith(b"HTTP/1.1 200 ")


def test_percents_and_queries_are_understood(door: Door) -> None:
    """A target may be escaped, absolute, or have a query."""
    assert door.send("GET", "/%6civez?a=b").status == 200
    assert door.send("GET", "http://elsewhere/livez").status == 200
    assert door.send("GET", "/livez%2f").status == 404


def test_a_header_cannot_begin_another() -> None:
    """A value with a line break is a bug, not a second header."""
    for value in (b"a\r\nx-b: c", b"a\nx-b: c", b"a\rx-b: c"):
        with pytest.raises(ValueError, match="line break"):
            header_line(b"x-a", value)


def read_past(line: socket.socket, mark: bytes) -> bytes:
    """Read until *mark* was among it."""
    read = b""
    while mark not in read:
        piece = line.recv(65536)
        assert piece, read
        read += piece
    return read


def read_whole(line: socket.socket) -> bytes:
    """Read one whole answer."""
    read = read_past(line, b"\r\n\r\n")
    top, _, body = read.partition(b"\r\n\r\n")
    length = int(top.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += line.recv(65536)
    return top + b"\r\n\r\n" + body
