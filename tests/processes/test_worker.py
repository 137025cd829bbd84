"""A worker: the HTTP it accepts, and how it ends."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockgate.processes.refusal import HEAD_BYTES

TINY = Path(__file__).with_name("tiny_worker.py")
GET = b"GET %s HTTP/1.1\r\nHost: here\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"


class Worker:
    """A worker process, and the port that it answers on."""

    def __init__(self, run: Path, workers: int = 1) -> None:
        door = socket.create_server(("127.0.0.1", 0))
        fd, count = str(door.fileno()), str(workers)
        self.run = run
        self.port: int = door.getsockname()[1]
        words = ("--manifest", "-", "--run", str(run), "--name", "w", "--fd", fd, "--grace", "5")
        words = (*words, "--workers", count)
        self.process = subprocess.Popen(
            [sys.executable, str(TINY), *words],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[door.fileno()],
        )
        door.close()
        assert self.process.stderr is not None
        assert self.process.stderr.readline() == b"ready\n"

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def talk(self, *parts: bytes) -> bytes:
        """Send *parts*, then read until the worker closes the connection."""
        with self.connect() as line:
            for part in parts:
                line.sendall(part)
            return read_all(line)

    def end(self) -> str:
        """Let go of its lifeline and wait; give what it wrote on stderr."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        assert self.process.stderr is not None
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
        with self.process.stderr as stderr:
            return stderr.read().decode()


@pytest.fixture(params=[1, 2], ids=["alone", "one of two"])
def worker(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Worker]:
    """A worker that is ready; it must not have complained by the end."""
    worker = Worker(tmp_path, workers=request.param)
    yield worker
    assert worker.end() == ""


def read_all(line: socket.socket) -> bytes:
    """Read until the end."""
    return b"".join(iter(lambda: line.recv(65536), b""))


def read_answer(line: socket.socket) -> tuple[bytes, Any]:
    """Read one whole response: its head and its JSON body."""
    head, _, body = read_until(line, b"\r\n\r\n").partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += line.recv(65536)
    return head, json.loads(body)


def read_until(line: socket.socket, mark: bytes) -> bytes:
    """Read until *mark* was among it."""
    got = b""
    while mark not in got:
        piece = line.recv(65536)
        assert piece, got
        got += piece
    return got


def refusal(response: bytes) -> tuple[int, str]:
    """Give the status and the error code of a whole response."""
    head, _, body = response.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    return int(head.split()[1]), error["code"]


SMUGGLING = {
    "both lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, other order": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "a list of lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
    "signed length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
    "unknown coding": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
    "chunked is not last": b"POST / HTTP/1.1\r\nHost: a\r\n"
    b"Transfer-Encoding: chunked, identity\r\n\r\n",
    "disguised coding": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
    "folded header": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare line feed in a header": b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "bare carriage return": b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
    "chunk size in C": CHUNKED + b"0x1\r\nx\r\n0\r\n\r\n",
    "negative chunk": CHUNKED + b"-1\r\nx\r\n0\r\n\r\n",
    "endless chunk": CHUNKED + b"fffffffffffffffff\r\nx\r\n",
    "chunk longer than said": CHUNKED + b"1\r\nxyz0\r\n\r\n",
    "unknown method": b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
    "path that is not ASCII": "GET /é HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    "a tunnel": b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "one host, twice": b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
    "no host's name": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a host with a user": b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "two keys": b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\n"
    b"Authorization: Bearer b\r\n\r\n",
    "two types": b"GET / HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n\r\n",
    "another coding, last": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    "TLS": bytes([0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC]),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


def test_what_is_not_clearly_one_request_is_refused(worker: Worker) -> None:
    """Every known way to smuggle a request ends with 400 `bad_http`, in JSON."""
    answers = {name: refusal(worker.talk(sent)) for name, sent in SMUGGLING.items()}
    assert answers == dict.fromkeys(SMUGGLING, (400, "bad_http"))


def test_a_second_host_is_refused_on_a_kept_connection_too(worker: Worker) -> None:
    """That the first request's head was in order says nothing about the next one's."""
    with worker.connect() as line:
        line.sendall(GET % b"/")
        read_answer(line)
        line.sendall(b"GET / HTTP/1.1\r\nHost: b\r\nHost: a\r\n\r\n")
        assert refusal(read_all(line)) == (400, "bad_http")


@pytest.mark.parametrize(
    "coding",
    [
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked\r\nConnection: upgrade\r\nUpgrade: h2c",
    ],
)
def test_codings_that_are_not_done_here_are_501(worker: Worker, coding: bytes) -> None:
    """A body that would have to be unpacked first is refused as RFC 9112, 6.1 asks for."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n" % coding
    assert refusal(worker.talk(head + b"1\r\nx\r\n0\r\n\r\n")) == (501, "transfer_coding")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\nHost:\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\nHost: [::1]:8470 \r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\nHost: a\r\nAccept: a/b\r\nAccept: c/d\r\n\r\n",
        (
            b"POST / HTTP/1.1\r\nConnection: close\r\nHost: a\r\n"
            b"Transfer-Encoding: Chunked \r\n\r\n0\r\n\r\n"
        ),
    ],
    ids=["1.0 knows no host", "no name", "IPv6", "a list in two headers", "another case"],
)
def test_what_only_looks_odd_is_served(worker: Worker, head: bytes) -> None:
    """What the RFCs allow is not refused."""
    assert worker.talk(head).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("version", [b"", b" HTTP/2.0"])
def test_other_versions_of_http_are_refused(worker: Worker, version: bytes) -> None:
    """HTTP/0.9 and a bare HTTP/2.0 get a 505."""
    assert refusal(worker.talk(b"GET /" + version + b"\r\n\r\n")) == (505, "http_version")


def test_a_slow_loris_is_told_and_cut_off(worker: Worker) -> None:
    """Whoever has begun a request and does not end its headers gets 408 in the end."""
    assert refusal(worker.talk(b"GET / HTTP/1.1\r\nHost: he")) == (408, "request_timeout")


def test_empty_lines_do_not_keep_a_connection(worker: Worker) -> None:
    """Line ends between requests, which parsers skip, do not stop the clock."""
    with worker.connect() as line:
        line.sendall(GET % b"/")
        read_answer(line)
        line.sendall(b"\r\n")
        assert read_all(line) == b""


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 400_000,
        b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 300 + b"\r\n",
        CHUNKED + b"1\r\nx\r\n0\r\nX: " + b"a" * 700_000,
    ],
    ids=["too long", "never ends", "too many", "trailers"],
)
def test_headers_have_a_limit(worker: Worker, head: bytes) -> None:
    """Headers beyond the limits get 431, also when their end never comes."""
    assert refusal(worker.talk(head)) == (431, "headers_too_large")


def test_headers_just_below_the_limit_pass(worker: Worker) -> None:
    """A head of nearly 64 KB is served, in one piece or in many."""
    head = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: %s\r\n\r\n"
    head %= b"a" * (HEAD_BYTES - 100)
    pieces = [head[at : at + 5000] for at in range(0, len(head), 5000)]
    assert worker.talk(head).startswith(b"HTTP/1.1 200 ")
    assert worker.talk(*pieces).startswith(b"HTTP/1.1 200 ")


def test_trailers_are_not_headers(worker: Worker) -> None:
    """What stands behind the body cannot pass for a header."""
    with worker.connect() as line:
        line.sendall(CHUNKED + b"1\r\nx\r\n0\r\nAuthorization: Bearer smuggled\r\n\r\n")
        _, answer = read_answer(line)
    assert [name for name, _ in answer["headers"]] == ["host", "transfer-encoding"]


@pytest.mark.parametrize("size", [0, 2, 300_000])
def test_an_upgrade_is_ignored_and_the_body_is_not(worker: Worker, size: int) -> None:
    """Java's client asks for HTTP/2 with its first POST; it is answered in HTTP/1.1, whole."""
    ask = (
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAEAAEAAAAIAAAAB\r\nContent-Length: %d\r\n\r\n" % size
    )
    with worker.connect() as line:
        line.sendall(ask + b"x" * size)
        assert read_answer(line)[1]["body"] == size
        line.sendall(GET % b"/next")
        assert read_answer(line)[1]["path"] == "/next"


def test_pipelined_requests_are_answered_in_order(worker: Worker) -> None:
    """Requests sent in one piece are answered one after the other."""
    with worker.connect() as line:
        line.sendall(GET % b"/slow" + GET % b"/2" + GET % b"/3")
        got = b""
        while got.count(b'"path"') < 3:
            got += line.recv(65536)
    assert got.find(b'"/slow"') < got.find(b'"/2"') < got.find(b'"/3"')


def test_nonsense_behind_a_request_does_not_spoil_its_answer(worker: Worker) -> None:
    """The answer under way is sent whole before the connection is closed."""
    response = worker.talk(GET % b"/slow" + b"\0nonsense")
    assert response.count(b"HTTP/1.1") == 1
    assert response.endswith(b'"body": 0}')


def test_too_many_pipelined_requests_end_the_connection(worker: Worker) -> None:
    """A caller cannot queue work without limit behind one answer."""
    assert worker.talk(GET % b"/slow" * 200) == b""


def test_small_answers_are_not_held_back(worker: Worker) -> None:
    """Nagle's algorithm is off on accepted connections."""
    with worker.connect() as line:
        line.sendall(GET % b"/")
        read_answer(line)
        assert _nodelay_of_peer(worker.process.pid)


def _nodelay_of_peer(pid: int) -> bool:
    """Copy the worker's file descriptors (Linux, pidfd_getfd) and look at the connected one."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    names = [int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()]
    copies = [copy for name in names if (copy := libc.syscall(438, pidfd, name, 0)) >= 0]
    os.close(pidfd)
    found = [_nodelay(copy) for copy in copies]
    for copy in copies:
        os.close(copy)
    return [answer for answer in found if answer is not None] == [True]


def _nodelay(fd: int) -> bool | None:
    """Read TCP_NODELAY of a connected TCP socket; None if *fd* is anything else."""
    if not stat.S_ISSOCK(os.fstat(fd).st_mode):
        return None
    line = socket.socket(fileno=fd)
    try:
        connected = line.family == socket.AF_INET and line.getpeername()
        return bool(line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) if connected else None
    except OSError:
        return None
    finally:
        line.detach()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("how", ["signal", "lifeline"])
def test_a_call_in_flight_is_finished_before_the_end(
    tmp_path: Path, how: str, workers: int
) -> None:
    """SIGTERM, or the supervisor's end, lets calls finish, then the house is closed in order."""
    worker = Worker(tmp_path, workers)
    with worker.connect() as line:
        line.sendall(GET % b"/slow")
        wait_for_request(worker)
        if how == "signal":
            worker.process.send_signal(signal.SIGTERM)
        elif worker.process.stdin is not None:
            worker.process.stdin.close()
        head, answer = read_answer(line)
        assert (head.split()[1], answer["path"]) == (b"200", "/slow")
        assert b"connection: close" in head
        assert read_all(line) == b""
    assert worker.end() == ""
    assert worker.process.returncode == 0
    assert (tmp_path / "w.closed").exists()


def test_a_call_that_does_not_end_is_cut_short(tmp_path: Path) -> None:
    """Asked twice, a worker waits for nobody, and still closes the house."""
    worker = Worker(tmp_path)
    with worker.connect() as line:
        line.sendall(GET % b"/stuck")
        wait_for_request(worker)
        worker.process.send_signal(signal.SIGTERM)
        wait_until_refused(worker)
        worker.process.send_signal(signal.SIGTERM)
        worker.end()
    assert worker.process.returncode == 0
    assert (tmp_path / "w.closed").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_too_many_connections_wait_instead_of_being_lost(tmp_path: Path, workers: int) -> None:
    """Out of file descriptors, a worker keeps serving; who waits is answered when there is room."""
    worker = Worker(tmp_path, workers)
    used = len(list(Path(f"/proc/{worker.process.pid}/fd").iterdir()))
    resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE, (used + 8, used + 8))
    lines = [worker.connect() for _ in range(20)]
    for line in lines:
        line.sendall(GET % b"/")
    answered = 0
    for line in lines:
        assert read_answer(line)[1]["path"] == "/"
        answered += 1
        line.close()
    assert answered == 20
    worker.end()
    assert worker.process.returncode == 0


def wait_for_request(worker: Worker) -> None:
    """Make sure that the worker has read what was sent before: it answers others meanwhile."""
    with worker.connect() as other:
        other.sendall(GET % b"/")
        read_answer(other)


def wait_until_refused(worker: Worker) -> None:
    """Wait until nobody can connect any more."""
    while True:
        try:
            worker.connect().close()
        except (ConnectionRefusedError, ConnectionResetError):
            return


def test_a_body_on_its_way_is_awaited_before_the_end(tmp_path: Path) -> None:
    """A request whose head has been read when SIGTERM comes is still answered."""
    worker = Worker(tmp_path)
    with worker.connect() as line:
        line.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n")
        line.sendall(b"Expect: 100-continue\r\n\r\n")
        read_until(line, b"100 Continue\r\n\r\n")
        worker.process.send_signal(signal.SIGTERM)
        wait_until_refused(worker)
        line.sendall(b"hello")
        head, answer = read_answer(line)
        assert (answer["body"], b"connection: close" in head) == (5, True)
    assert worker.end() == ""
