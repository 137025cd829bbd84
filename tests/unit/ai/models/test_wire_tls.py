"""The wire over TLS, with certificates made on the spot."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from lockgate.ai.models.wire import Origin, Wire
from lockgate.core.errors import BackendError, BackendGone, BackendTimeout
from lockgate.testing.upstream import (
    EVENTS_HEAD,
    LAST_CHUNK,
    Script,
    Upstream,
    Visit,
    chunk,
    whole,
)

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command"),
]


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run everything on the standard loop and on the one that serves."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for 127.0.0.1 and one for another host, each its own authority."""
    where = tmp_path_factory.mktemp("tls")
    for name, subject in {"here": "IP:127.0.0.1", "other": "DNS:other.example"}.items():
        command = (
            f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
            f" -keyout {name}.key -out {name}.pem -subj /CN=test -addext subjectAltName={subject}"
        )
        subprocess.run(command.split(), check=True, cwd=where, capture_output=True)
    return where


def served(folder: Path, name: str) -> ssl.SSLContext:
    """Serve with the certificate called *name*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context


def trusting(folder: Path, name: str) -> ssl.SSLContext:
    """Trust the certificate called *name* and no other."""
    return ssl.create_default_context(cafile=folder / f"{name}.pem")


def wire_to(upstream: Upstream, context: ssl.SSLContext, *, connect_timeout: float = 5) -> Wire:
    """Make a wire that trusts what *context* trusts."""
    origin = Origin.parse(upstream.url.replace("http:", "https:"))
    return Wire(origin, headers={}, limit=2, connect_timeout=connect_timeout, tls=context)


def soon(seconds: float = 10.0) -> float:
    """Give a deadline that a healthy test never meets."""
    return time.monotonic() + seconds


async def echo(visit: Visit) -> None:
    """Give every request its own body back."""
    while True:
        received = await visit.request()
        await visit.send(whole(received.body))


async def test_trusted(folder: Path) -> None:
    """With a certificate that is trusted, connections are made, reused and carry megabytes."""
    body = b"0123456789abcdef" * 100_000
    async with Upstream(echo, tls=served(folder, "here")) as upstream:
        wire = wire_to(upstream, trusting(folder, "here"))
        for _ in range(3):
            assert (await wire.post(b"/", body, deadline=soon())).body == body
        assert len(upstream.visits) == 1
        await wire.close()


@pytest.mark.parametrize(
    ("certificate", "trusted"), [("here", "other"), ("other", "other")], ids=["authority", "name"]
)
async def test_not_trusted(folder: Path, certificate: str, trusted: str) -> None:
    """With another authority or another host's name nothing is sent, and the reason is told."""
    async with Upstream(echo, tls=served(folder, certificate)) as upstream:
        wire = wire_to(upstream, trusting(folder, trusted))
        for _ in range(3):  # a failed handshake must give its place back
            with pytest.raises(BackendGone, match="certificate verify failed"):
                await wire.post(b"/", b"secret", deadline=soon())
        assert not any(visit.received for visit in upstream.visits)
        await wire.close()


async def test_system_trust_is_the_default(folder: Path) -> None:
    """Without a context of its own a wire trusts only what the system trusts."""
    async with Upstream(echo, tls=served(folder, "here")) as upstream:
        wire = Wire(Origin.parse(upstream.url), headers={}, limit=2, connect_timeout=5)
        with pytest.raises(BackendGone, match="certificate verify failed"):
            await wire.post(b"/", b"secret", deadline=soon())
        await wire.close()


async def test_handshake_that_stalls(folder: Path) -> None:
    """A peer that accepts the connection and then says nothing costs only the connect timeout."""
    async with Upstream(lambda visit: visit.gone()) as upstream:
        wire = wire_to(upstream, trusting(folder, "here"), connect_timeout=0.05)
        for _ in range(3):
            with pytest.raises(BackendTimeout, match="no connection"):
                await wire.post(b"/", b"{}", deadline=soon(600))
        await wire.close()


async def test_peer_that_does_not_speak_tls(folder: Path) -> None:
    """A peer that answers the handshake in clear text is gone, not a crash."""

    async def script(visit: Visit) -> None:
        await visit.send(whole(b"plain"))

    async with Upstream(script) as upstream:
        wire = wire_to(upstream, trusting(folder, "here"))
        with pytest.raises(BackendGone):
            await wire.post(b"/", b"{}", deadline=soon())
        await wire.close()


async def test_stream_with_back_pressure(folder: Path) -> None:
    """A long stream through TLS arrives whole although it is paused again and again."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(EVENTS_HEAD, *[chunk(b"x" * 65_536)] * 64, LAST_CHUNK)

    assert await _streamed_bytes(folder, script) == 64 * 65_536


async def test_cut_stream_raises(folder: Path) -> None:
    """A stream that ends without its last chunk raises, over TLS as without."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(EVENTS_HEAD, chunk(b"abc"))
        await visit.leave()

    with pytest.raises(BackendGone):
        await _streamed_bytes(folder, script)


async def test_cut_without_goodbye_is_not_an_end(folder: Path) -> None:
    """Without a length, a TCP end that TLS did not announce may be an attacker's: no answer."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(b"HTTP/1.1 200 OK\r\n\r\n", b"transfer 10")
        await visit.reset()

    async with Upstream(script, tls=served(folder, "here")) as upstream:
        wire = wire_to(upstream, trusting(folder, "here"))
        with pytest.raises(BackendError):
            await wire.post(b"/", b"{}", deadline=soon())
        await wire.close()


async def test_cancel_cuts(folder: Path) -> None:
    """When nobody waits any more, the upstream sees its connection closed, through TLS as well."""
    async with Upstream(lambda visit: visit.gone(), tls=served(folder, "here")) as upstream:
        wire = wire_to(upstream, trusting(folder, "here"))
        call = asyncio.ensure_future(wire.post(b"/", b"{}", deadline=soon(600)))
        visit = await upstream.visited()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await asyncio.wait_for(visit.left.wait(), 10)
        await wire.close()


async def test_idle_connection_closed_by_the_peer(folder: Path) -> None:
    """A TLS connection that the peer closed while it lay idle costs nobody an error."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(whole(b"{}"))
        await visit.leave()

    async with Upstream(script, tls=served(folder, "here")) as upstream:
        wire = wire_to(upstream, trusting(folder, "here"))
        for _ in range(4):
            assert (await wire.post(b"/", b"{}", deadline=soon())).status == 200
        await wire.close()


async def _streamed_bytes(folder: Path, script: Script) -> int:
    async with Upstream(script, tls=served(folder, "here")) as upstream:
        wire = wire_to(upstream, trusting(folder, "here"))
        try:
            streamed = await wire.stream(b"/", b"{}", deadline=soon())
            return sum([len(part) async for part in streamed])
        finally:
            await wire.close()
