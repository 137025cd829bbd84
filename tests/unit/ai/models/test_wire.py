"""The wire against a scripted upstream, over real sockets, on both event loops."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lockgate.ai.models.wire import Origin, Response, Wire
from lockgate.core.errors import BackendBroken, BackendGone, BackendTimeout
from lockgate.testing.conformance.backend import until
from lockgate.testing.upstream import (
    EVENTS_HEAD,
    LAST_CHUNK,
    Script,
    Upstream,
    Visit,
    chunk,
    repeat,
    whole,
)

pytestmark = pytest.mark.anyio

OK = whole(b"{}")


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run everything on the standard loop and on the one that serves."""
    return "asyncio", {"use_uvloop": request.param}


def soon(seconds: float = 10.0) -> float:
    """Give a deadline that a healthy test never meets."""
    return time.monotonic() + seconds


@asynccontextmanager
async def wired(
    script: Script, *, limit: int = 8, max_body: int = 1 << 20, base: str = ""
) -> AsyncGenerator[tuple[Wire, Upstream]]:
    """Start an upstream and a wire that leads to it."""
    async with Upstream(script) as upstream:
        wire = Wire(
            Origin.parse(upstream.url + base),
            headers={"Authorization": "Bearer hunter22"},
            limit=limit,
            connect_timeout=5.0,
            max_body=max_body,
        )
        try:
            yield wire, upstream
        finally:
            await wire.close()


async def post(wire: Wire, body: bytes = b"{}", *, seconds: float = 10.0) -> Response:
    """Post something with a deadline."""
    return await wire.post(b"/chat", body, deadline=soon(seconds))


async def ok(visit: Visit) -> None:
    """Answer everything."""
    await repeat(visit, OK)


async def echo(visit: Visit) -> None:
    """Give every request its own body back."""
    while True:
        received = await visit.request()
        await visit.send(whole(received.body))


# ── one connection ───────────────────────────────────────────────────────────────────────────────


async def test_request_as_it_arrives() -> None:
    """The upstream gets the method, the joined path, the constant headers and the exact body."""
    async with wired(ok, base="/v1") as (wire, upstream):
        await post(wire, b'{"a":"\xc3\xa4"}')
        (received,) = upstream.visits[0].received
    assert received.line == "POST /v1/chat HTTP/1.1"
    assert received.headers["host"] == f"127.0.0.1:{upstream.port}"
    assert received.headers["authorization"] == "Bearer hunter22"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["accept-encoding"] == "identity"
    assert received.body == b'{"a":"\xc3\xa4"}'


async def test_connections_are_reused() -> None:
    """Requests in turn share one connection, whatever kind they are."""
    async with wired(ok) as (wire, upstream):
        for _ in range(3):
            await post(wire)
            await wire.get(b"/health", deadline=soon())
            streamed = await wire.stream(b"/chat", b"{}", deadline=soon())
            assert [part async for part in streamed] == [b"{}"]
        assert len(upstream.visits) == 1
        assert len(upstream.visits[0].received) == 9


async def test_close_is_honoured() -> None:
    """A connection that the upstream wants closed is closed, and the next request has its own."""
    answer = whole(b"{}", headers={"Connection": "close"})
    async with wired(lambda visit: repeat(visit, answer)) as (wire, upstream):
        await post(wire)
        await asyncio.wait_for(upstream.visits[0].left.wait(), 10)
        await post(wire)
        assert len(upstream.visits) == 2


async def test_large_bodies_both_ways() -> None:
    """Megabytes pass unchanged."""
    body = random.Random(1).randbytes(5 << 20)
    async with wired(echo, max_body=8 << 20) as (wire, _):
        assert (await post(wire, body)).body == body


async def test_body_over_the_limit() -> None:
    """An answer larger than allowed is refused and its connection cut."""
    async with wired(echo, max_body=1000) as (wire, upstream):
        with pytest.raises(BackendBroken, match="more than 1000 bytes"):
            await post(wire, b"a" * 1001)
        await asyncio.wait_for(upstream.visits[0].left.wait(), 10)


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────


async def test_nobody_listens() -> None:
    """A refused connection says who could not be reached."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        wire = Wire(Origin.parse(url), headers={}, limit=1, connect_timeout=5)
        for _ in range(3):  # a failed connection must give its place back
            with pytest.raises(BackendGone, match=url):
                await post(wire)
        await wire.close()


BREAKS: dict[str, tuple[bytes, Callable[[Visit], Any]]] = {
    "reset before": (b"", Visit.reset),
    "closed before": (b"", Visit.leave),
    "half closed before": (b"", Visit.end_of_sending),
    "reset in the head": (OK[:20], Visit.reset),
    "closed after the head": (OK[:-2], Visit.leave),
    "reset in the body": (OK[:-1], Visit.reset),
    "closed in the body": (OK[:-1], Visit.leave),
    "half closed in the body": (OK[:-1], Visit.end_of_sending),
}


@pytest.mark.parametrize(("sent", "end"), BREAKS.values(), ids=BREAKS)
async def test_cut_is_gone_and_not_repeated(sent: bytes, end: Callable[[Visit], Any]) -> None:
    """A new connection that breaks before its answer is whole fails; nothing is sent twice."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(sent)
        await end(visit)

    async with wired(script) as (wire, upstream):
        with pytest.raises(BackendGone):
            await post(wire)
        assert len(upstream.visits) == 1


async def test_answer_before_a_half_close() -> None:
    """A peer that answers in full and then closes its side has answered."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(b"HTTP/1.1 200 OK\r\n\r\n", b"until the end")
        await visit.end_of_sending()

    async with wired(script) as (wire, upstream):
        assert (await post(wire)).body == b"until the end"
        await asyncio.wait_for(upstream.visits[0].left.wait(), 10)


@pytest.mark.parametrize("sent", [b"", OK[:20], OK[:-1]], ids=["nothing", "head", "body"])
async def test_deadline(sent: bytes) -> None:
    """Whatever the upstream stalls on, the deadline ends it, and the upstream notices."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(sent)

    async with wired(script, limit=1) as (wire, upstream):
        for turn in range(2):
            with pytest.raises(BackendTimeout):
                await post(wire, seconds=0.05)
            await asyncio.wait_for(upstream.visits[turn].left.wait(), 10)


async def test_spent_deadline_sends_nothing() -> None:
    """A request that is already too late is not sent."""
    async with wired(ok) as (wire, upstream):
        with pytest.raises(BackendTimeout, match="no time"):
            await post(wire, seconds=-1)
        assert not upstream.visits


async def test_first_byte() -> None:
    """An upstream that says nothing in time has failed long before the deadline."""
    async with wired(lambda visit: visit.gone()) as (wire, _):
        with pytest.raises(BackendTimeout):
            await wire.post(b"/chat", b"{}", deadline=soon(600), first_byte=soon(0.02))


@pytest.mark.parametrize("stream", [False, True])
async def test_cancel_cuts(stream: bool) -> None:
    """When nobody waits any more, the upstream sees its connection closed and the place is free."""

    async def script(visit: Visit) -> None:
        if (await visit.request()).body == b"answer":
            await visit.send(OK)

    async with wired(script, limit=1) as (wire, upstream):
        ask = wire.stream if stream else wire.post
        call = asyncio.ensure_future(ask(b"/chat", b"stall", deadline=soon(600)))
        visit = await upstream.visited()
        await until(lambda: visit.received)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await asyncio.wait_for(visit.left.wait(), 10)
        assert (await post(wire, b"answer")).status == 200


# ── reuse and its race ───────────────────────────────────────────────────────────────────────────


async def test_idle_connection_closed_by_the_peer() -> None:
    """A connection the peer closed while it lay idle costs nobody an error."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(OK)
        await visit.leave()

    async with wired(script, limit=1) as (wire, upstream):
        for _ in range(5):
            await post(wire)
        assert len(upstream.visits) == 5


@pytest.mark.parametrize("end", [Visit.leave, Visit.reset], ids=["closed", "reset"])
@pytest.mark.parametrize("stream", [False, True])
async def test_reused_connection_dies_unanswered(end: Callable[[Visit], Any], stream: bool) -> None:
    """A reused connection that ends without a byte of an answer is replaced once, by a new one."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(OK)
        if (await visit.request()).body == b"die" and visit is upstream.visits[0]:
            await end(visit)

    async with wired(script, limit=1) as (wire, upstream):
        await post(wire)
        if stream:
            streamed = await wire.stream(b"/chat", b"die", deadline=soon())
            assert await streamed.read(100) == b"{}"
        else:
            assert (await post(wire, b"die")).body == b"{}"
        assert [len(visit.received) for visit in upstream.visits] == [2, 1]


async def test_connection_that_was_only_tried_is_replaced() -> None:
    """A connection made to see whether anyone is there is no fresh one when it is used later."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await (visit.reset() if visit is upstream.visits[0] else visit.send(OK))

    async with wired(script, limit=1) as (wire, upstream):
        assert await wire.reachable(soon())
        assert (await post(wire)).status == 200
        assert len(upstream.visits) == 2


async def test_replacement_is_not_replaced() -> None:
    """If the new connection dies as well, that is the answer."""

    async def script(visit: Visit) -> None:
        if visit is upstream.visits[0]:
            await visit.request()
            await visit.send(OK)
        await visit.request()
        await visit.reset()

    async with wired(script) as (wire, upstream):
        await post(wire)
        with pytest.raises(BackendGone):
            await post(wire)
        assert len(upstream.visits) == 2


async def test_nothing_is_sent_three_times() -> None:
    """Also when the replacement is itself a reused connection that dies, that is the end."""
    gates = {name: asyncio.Event() for name in (b"warm", b"slow", b"last")}
    got: list[bytes] = []

    async def script(visit: Visit) -> None:
        while True:
            body = (await visit.request()).body
            got.append(body)
            if body == b"die":
                await visit.reset()
                return
            await gates[body].wait()
            await visit.send(OK)

    async with wired(script, limit=2) as (wire, _):
        warm = [asyncio.ensure_future(post(wire, b"warm")) for _ in range(2)]
        await until(lambda: len(got) == 2)
        gates[b"warm"].set()
        await asyncio.gather(*warm)
        slow = asyncio.ensure_future(post(wire, b"slow"))
        dying = asyncio.ensure_future(post(wire, b"die"))  # on the other warm connection
        last = asyncio.ensure_future(post(wire, b"last"))  # gets the place that this leaves
        await until(lambda: b"last" in got)
        gates[b"slow"].set()  # its connection is handed to the one that is tried again
        with pytest.raises(BackendGone):
            await dying
        gates[b"last"].set()
        await asyncio.gather(slow, last)
    assert got.count(b"die") == 2


async def test_reused_connection_that_began_to_answer_is_not_replaced() -> None:
    """After one byte of an answer the request is not repeated."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(OK)
        await visit.request()
        await visit.send(b"H")
        await visit.leave()

    async with wired(script) as (wire, upstream):
        await post(wire)
        with pytest.raises(BackendGone, match="in the middle of an answer"):
            await post(wire)
        assert len(upstream.visits) == 1


async def test_siblings_of_a_dead_connection_are_not_trusted() -> None:
    """After a restart of the upstream one stale connection is enough to forget them all."""
    gate = asyncio.Event()

    async def script(visit: Visit) -> None:
        await visit.request()
        await gate.wait()
        await visit.send(OK)
        await visit.request()
        if visit in upstream.visits[:3]:
            await visit.reset()
        await visit.send(OK)

    async with wired(script) as (wire, upstream):
        calls = [asyncio.ensure_future(post(wire)) for _ in range(3)]
        await upstream.visited(3)
        gate.set()
        await asyncio.gather(*calls)
        assert (await post(wire)).status == 200
        assert len(upstream.visits) == 4
        for visit in upstream.visits[:3]:
            await asyncio.wait_for(visit.left.wait(), 10)


async def test_talkative_idle_peer() -> None:
    """A second answer that arrives before the next request never becomes somebody's answer."""

    async def script(visit: Visit) -> None:
        received = await visit.request()
        await visit.send(whole(received.body))
        await visit.send(whole(b"poison"))

    async with wired(script, limit=1) as (wire, upstream):
        for turn in range(20):
            body = str(turn).encode()
            assert (await post(wire, body)).body == body
            await asyncio.wait_for(upstream.visits[turn].left.wait(), 10)


# ── many at once ─────────────────────────────────────────────────────────────────────────────────


async def test_no_answer_goes_astray() -> None:
    """Hundreds at once over a few connections: each gets its own answer, the limit holds."""
    rng = random.Random(2)
    bodies = [b"%d:" % number + rng.randbytes(rng.randrange(5000)) for number in range(400)]
    async with wired(echo, limit=5) as (wire, upstream):
        answers = await asyncio.gather(*(post(wire, body) for body in bodies))
        assert [answer.body for answer in answers] == bodies
        assert len(upstream.visits) == 5


async def test_cancellations_do_not_mix_up_answers() -> None:
    """Callers that leave at random moments neither spoil others' answers nor lose places."""
    rng = random.Random(3)

    async def call(wire: Wire, number: int) -> bool:
        body = b"%d" % number
        try:
            async with asyncio.timeout(rng.random() * 0.02):
                assert (await post(wire, body)).body == body
        except TimeoutError:
            return False
        return True

    async with wired(echo, limit=3) as (wire, _):
        for _ in range(5):
            await asyncio.gather(*(call(wire, number) for number in range(60)))
        answers = await asyncio.gather(*(post(wire, b"%d" % number) for number in range(30)))
        assert [answer.body for answer in answers] == [b"%d" % number for number in range(30)]


async def test_waiting_is_fair() -> None:
    """Who waits longest for a connection is served first."""
    gate = asyncio.Event()
    order: list[bytes] = []

    async def script(visit: Visit) -> None:
        while True:
            order.append((await visit.request()).body)
            await gate.wait()
            await visit.send(OK)

    async with wired(script, limit=1) as (wire, _):
        calls: list[asyncio.Future[Response]] = []
        for number in range(6):
            calls.append(asyncio.ensure_future(post(wire, b"%d" % number)))
            await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*calls)
    assert order == [b"%d" % number for number in range(6)]


async def test_waiting_ends_with_the_deadline() -> None:
    """Who waits in vain is told that all connections were busy; nothing is lost by it."""
    gate = asyncio.Event()

    async def script(visit: Visit) -> None:
        while True:
            await visit.request()
            await gate.wait()
            await visit.send(OK)

    async with wired(script, limit=1) as (wire, upstream):
        first = asyncio.ensure_future(post(wire))
        visit = await upstream.visited()
        await until(lambda: visit.received)
        with pytest.raises(BackendTimeout, match="all 1 connections"):
            await post(wire, seconds=0.02)
        left = asyncio.ensure_future(post(wire))
        await asyncio.sleep(0)
        left.cancel()
        gate.set()
        assert (await first).status == 200
        assert (await post(wire)).status == 200
        assert [len(visit.received) for visit in upstream.visits] == [2]


async def test_place_of_a_dead_connection_goes_to_who_waits() -> None:
    """A connection that breaks makes room for the next in the queue."""

    async def script(visit: Visit) -> None:
        while (await visit.request()).body != b"die":
            await visit.send(OK)
        await visit.reset()

    async with wired(script, limit=1) as (wire, _):
        calls = [post(wire, b"die"), post(wire), post(wire, b"die"), post(wire)]
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(result, BackendGone) for result in results] == [True, False, True, False]


# ── streams ──────────────────────────────────────────────────────────────────────────────────────


async def test_stream_arrives_as_it_is_sent() -> None:
    """Each part can be read before the next one is sent."""
    gates = [asyncio.Event() for _ in range(3)]

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(EVENTS_HEAD)
        for number, gate in enumerate(gates):
            await gate.wait()
            await visit.send(chunk(b"%d" % number))
        await visit.send(LAST_CHUNK)

    async with wired(script) as (wire, _):
        streamed = await wire.stream(b"/chat", b"{}", deadline=soon())
        assert streamed.status == 200
        assert streamed.headers[b"content-type"] == b"text/event-stream"
        for number, gate in enumerate(gates):
            gate.set()
            assert await anext(streamed) == b"%d" % number
        assert [part async for part in streamed] == []


async def test_stream_makes_a_fast_peer_wait() -> None:
    """What is not read is not fetched: a slow reader costs a bounded amount of memory."""
    size, sent = 32 << 20, 0
    part = chunk(b"x" * 65_536)

    async def script(visit: Visit) -> None:
        nonlocal sent
        await visit.request()
        await visit.send(EVENTS_HEAD)
        while sent < size:
            await visit.send(part)
            sent += 65_536
        await visit.send(LAST_CHUNK)

    async with wired(script) as (wire, upstream):
        streamed = await wire.stream(b"/chat", b"{}", deadline=soon(60))
        before = -1
        while sent != before:  # until the sender no longer gets on
            before = sent
            for _ in range(50):
                await asyncio.sleep(0.001)
        assert 0 < sent < size
        assert sum([len(part) async for part in streamed]) == size
        await post_nothing(wire)
        assert len(upstream.visits) == 1


async def post_nothing(wire: Wire) -> None:
    """Use the wire's idle connection without waiting for an answer."""
    assert await wire.reachable(soon())


async def test_stream_deadline() -> None:
    """A stream that stalls ends at its deadline, and the upstream notices."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(EVENTS_HEAD, chunk(b"a"))

    async with wired(script) as (wire, upstream):
        streamed = await wire.stream(b"/chat", b"{}", deadline=soon(0.1))
        assert await anext(streamed) == b"a"
        with pytest.raises(BackendTimeout):
            await anext(streamed)
        await asyncio.wait_for(upstream.visits[0].left.wait(), 10)


async def test_stream_closed_by_its_reader() -> None:
    """A reader who stops cuts the connection; the upstream notices, the place is free."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(EVENTS_HEAD, chunk(b"a"))

    async with wired(script, limit=1) as (wire, upstream):
        for turn in range(3):
            streamed = await wire.stream(b"/chat", b"{}", deadline=soon())
            assert await anext(streamed) == b"a"
            await streamed.aclose()
            await streamed.aclose()
            with pytest.raises(BackendGone):
                await anext(streamed)
            await asyncio.wait_for(upstream.visits[turn].left.wait(), 10)


async def test_stream_that_was_paused_when_the_peer_died() -> None:
    """What arrived before the peer died can be read to its end, then the error shows."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(EVENTS_HEAD, chunk(b"x" * 300_000))
        await visit.reset()

    async with wired(script) as (wire, _):
        streamed = await wire.stream(b"/chat", b"{}", deadline=soon())
        with pytest.raises(BackendGone):
            await streamed.read(1 << 30)


# ── other origins, and the end ───────────────────────────────────────────────────────────────────


async def test_unix_socket(tmp_path: Path) -> None:
    """A unix socket works like a port, and says so when nobody is there."""
    path = tmp_path / "u.sock"
    wire = Wire(Origin.at_socket(str(path)), headers={}, limit=2, connect_timeout=5)
    with pytest.raises(BackendGone, match=str(path)):
        await post(wire)
    async with Upstream(ok, path=path) as upstream:
        assert (await post(wire)).status == 200
        assert upstream.visits[0].received[0].headers["host"] == "localhost"
        await wire.close()


async def test_ipv6() -> None:
    """An address in brackets is connected to without them."""
    async with Upstream(ok, host="::1") as upstream:
        wire = Wire(Origin.parse(upstream.url), headers={}, limit=2, connect_timeout=5)
        assert (await post(wire)).status == 200
        assert upstream.visits[0].received[0].headers["host"] == f"[::1]:{upstream.port}"
        await wire.close()


async def test_reachable() -> None:
    """Reachability is found out by connecting; nothing is sent, and the connection is kept."""
    async with wired(ok) as (wire, upstream):
        assert await wire.reachable(soon())
        assert await wire.reachable(soon())
        assert len(upstream.visits) == 1
        assert not upstream.visits[0].received
        await post(wire)
        assert len(upstream.visits) == 1
        await upstream.stop()
        await until(lambda: _negated(wire.reachable(soon())))


async def test_close_ends_everything() -> None:
    """Closing fails who is served, who waits and who comes later; idle connections go too."""
    async with wired(lambda visit: visit.gone(), limit=1) as (wire, upstream):
        calls = [asyncio.ensure_future(post(wire, seconds=600)) for _ in range(3)]
        visit = await upstream.visited()
        await wire.close()
        await wire.close()
        for call in calls:
            with pytest.raises(BackendGone):
                await call
        await asyncio.wait_for(visit.left.wait(), 10)
        with pytest.raises(BackendGone, match="closed"):
            await post(wire)
        assert not await wire.reachable(soon())


async def test_close_while_connecting() -> None:
    """A connection that comes about while the wire closes is not left open."""
    async with wired(ok) as (wire, upstream):
        call = asyncio.ensure_future(post(wire))
        await asyncio.sleep(0)
        await wire.close()
        with pytest.raises(BackendGone):
            await call
        for visit in upstream.visits:
            await asyncio.wait_for(visit.left.wait(), 10)


async def test_secrets_are_blanked_out() -> None:
    """A credential that an upstream sends back does not get any further."""
    async with wired(ok) as (wire, _):
        assert wire.secrets.scrub("no such key: hunter22!") == "no such key: ***!"
        assert wire.secrets.scrub_body(b'{"a":"hunter22"}') == b'{"a":"***"}'
        body = b'{"a":"Bearer"}'
        assert wire.secrets.scrub_body(body) is body


async def _negated(work: Awaitable[bool]) -> bool:
    return not await work
