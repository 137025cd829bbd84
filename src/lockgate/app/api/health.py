"""Health, metrics and the description of the API.

`/livez` looks at nothing but this process. `/readyz` makes one real read and asks the models
whether they would answer, never a call that costs money.
"""

from __future__ import annotations

import ipaddress
from importlib.resources import files

import msgspec

from lockgate.app.api.arrival import Arrival, Response
from lockgate.app.api.calls import identify
from lockgate.app.api.offer import Check, Front


async def livez(_front: Front, arrival: Arrival) -> None:
    """Say that this process answers."""
    arrival.respond(Response(200, b'{"status":"alive"}'))


async def readyz(front: Front, arrival: Arrival) -> None:
    """Say whether calls would be answered now; `?verbose` lists what was looked at."""
    checks = await front.checks()
    ok = all(check.ok for check in checks if check.vital)
    well = all(check.ok for check in checks)
    told: dict[str, object] = {"status": _status(ready=ok, well=well)}
    if not well or arrival.query.startswith(b"verbose"):
        told["checks"] = [_told(check) for check in checks]
    arrival.respond(Response(200 if ok else 503, msgspec.json.encode(told)))


def _status(*, ready: bool, well: bool) -> str:
    if not ready:
        return "not ready"
    return "ready" if well else "degraded"


def _told(check: Check) -> dict[str, object]:
    return {"name": check.name, "ok": check.ok, "detail": check.detail}


async def metrics(front: Front, arrival: Arrival) -> None:
    """Give the metrics of all workers; callers from elsewhere need a key."""
    if not _from_this_machine(arrival.client):
        identify(front, arrival)
    body = front.metrics()
    arrival.respond(Response(200, body, b"text/plain; version=0.0.4; charset=utf-8"))


def _from_this_machine(client: str) -> bool:
    """Say whether *client* is this machine; a unix socket has no address and is."""
    if not client:
        return True
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


async def openapi(_front: Front, arrival: Arrival) -> None:
    """Give the OpenAPI description of everything served here."""
    body = files("lockgate.app.api").joinpath("openapi.json").read_bytes()
    arrival.respond(Response(200, body))
