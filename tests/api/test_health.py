"""Health, metrics and the description of the API."""

from __future__ import annotations

import pytest

from lockgate.app.api.arrival import Arrival, Response
from lockgate.app.api.front import Check, build_app
from lockgate.testing.fakes import FakeRecorder
from tests.api.conftest import Open
from tests.api.door import Door, Plan

BROKEN = (Check(name="store", ok=True), Check(name="model small", ok=False, detail="not loaded"))


def test_health_needs_no_key(door: Door) -> None:
    """Probes carry no key."""
    for path in ("/livez", "/readyz", "/v2/health/live", "/v2/health/ready", "/metrics", "/v2"):
        assert door.send("GET", path, key=None).status == 200, path


def test_a_live_process_is_not_always_ready(open_door: Open) -> None:
    """A process without its models lives, is not ready, and says what is missing."""
    door = open_door(Plan(checks=BROKEN))
    assert door.send("GET", "/livez").status == 200
    got = door.send("GET", "/readyz")
    assert got.status == 503
    assert got.json()["checks"][1] == {"name": "model small", "ok": False, "detail": "not loaded"}
    assert door.send("GET", "/v2/health/ready").status == 503


def test_what_calls_can_do_without_does_not_turn_them_away(open_door: Open) -> None:
    """A database that is down is said, and calls go on: they do not need it."""
    store = Check(name="store", ok=False, detail="no answer", vital=False)
    door = open_door(Plan(checks=(store, Check(name="journal", ok=True))))

    got = door.send("GET", "/readyz")

    assert (got.status, got.json()["status"]) == (200, "degraded")
    assert got.json()["checks"][0]["detail"] == "no answer"
    assert door.send("GET", "/v2/health/ready").status == 200


def test_details_are_told_when_asked_for(door: Door) -> None:
    """`?verbose` lists what was looked at, also when all is well."""
    assert door.send("GET", "/readyz").json() == {"status": "ready"}
    got = door.send("GET", "/readyz?verbose").json()
    assert got["checks"] == [{"name": "store", "ok": True, "detail": "read in 1 ms"}]


def test_metrics_are_prometheus_text(door: Door) -> None:
    """Prometheus is told what it expects to be told."""
    got = door.send("GET", "/metrics")
    assert got.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert got.body == b"lockgate_up 1\n"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("client", "key", "status"),
    [
        ("127.0.0.1", "", 200),
        ("::1", "", 200),
        ("::ffff:127.0.0.1", "", 200),
        ("", "", 200),
        ("192.0.2.7", "", 401),
        ("not an address", "", 401),
        ("192.0.2.7", "Bearer lg-test-key", 200),
    ],
)
async def test_metrics_need_a_key_from_elsewhere(client: str, key: str, status: int) -> None:
    """Numbers about the business are open on this machine only."""
    outlet = Outlet()
    arrival = Arrival(outlet, "GET", "/metrics", client)
    if key:
        arrival.headers[b"authorization"] = key.encode()
    await build_app(Plan().front(FakeRecorder(), []))(arrival)
    assert [response.status for response in outlet.sent] == [status]


class Outlet:
    """Takes answers that are not streams."""

    def __init__(self) -> None:
        self.sent: list[Response] = []

    def send(self, arrival: Arrival, response: Response, *, closing: bool) -> None:
        """Remember the answer."""
        self.sent.append(response)

    def begin(self, arrival: Arrival, head: bytes) -> None:
        """Refuse a stream."""
        raise AssertionError(arrival, head)

    async def write(self, arrival: Arrival, piece: bytes) -> None:
        """Refuse a stream."""
        raise AssertionError(arrival, piece)

    async def end(self, arrival: Arrival, piece: bytes) -> None:
        """Refuse a stream."""
        raise AssertionError(arrival, piece)


def test_the_description_is_served(door: Door) -> None:
    """Anyone can read what this server understands."""
    got = door.send("GET", "/openapi.json", key=None)
    assert got.status == 200
    assert got.json()["openapi"] == "3.1.0"
