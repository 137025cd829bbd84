"""The load: keep N connections busy with chats for some seconds, and count what comes back.

    python -m bench.load --url http://127.0.0.1:9100 --connections 64 --seconds 5

Closed loop: each connection sends its next call as soon as the last one is answered. Every body
holds a message that was never sent before, so that no cache can answer. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import secrets
import sys
import time
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import uvloop

MOST_CONNECTIONS, MOST_SECONDS, PATIENCE = 512, 120.0, 20.0
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_DIGITS_AS_LETTERS = bytes.maketrans(b"0123456789", b"eanoritlsu")  # a caller's name, not a number
QUESTION = (
    "Hello, this is %s, my order 12345 has not arrived yet, it was promised for last Tuesday. "
    "Can you tell me where it is and when it will be here? Thanks a lot."
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send, where to, and for how long (seconds)."""

    url: str
    connections: int
    seconds: float
    model: str = "assistant"
    key: str = ""
    stream: bool = False


@dataclass(slots=True)
class Tally:
    """What came back; shared by all connections of one run."""

    ends_at: float
    latencies: array[int] = field(default_factory=lambda: array("q"))
    failures: Counter[str] = field(default_factory=Counter[str])
    late: int = 0
    sent: int = 0


class Letters:
    """Writes requests, each with a message of its own."""

    def __init__(self, plan: Plan) -> None:
        mark = "".join(secrets.choice("aeioudlmnrst") for _ in range(4))
        body: dict[str, object] = {
            "model": plan.model,
            "messages": [
                {"role": "system", "content": "You are a support desk. Answer briefly, politely."},
                {"role": "user", "content": QUESTION % f"{mark}#########"},
            ],
            "max_tokens": 64,
            "temperature": 0.2,
        }
        if plan.stream:
            body["stream"] = True
        raw = json.dumps(body, separators=(",", ":")).encode()
        target = urlsplit(plan.url)
        head = (
            f"POST {target.path.rstrip('/')}/v1/chat/completions HTTP/1.1\r\nhost: {target.netloc}"
            f"\r\nauthorization: Bearer {plan.key}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(raw)}\r\n\r\n"
        )
        self._before, self._after = (head.encode() + raw).split(b"#########")
        self._number = 0

    def body(self) -> bytes:
        """Write the next request's body alone."""
        return self.next().split(b"\r\n\r\n", 1)[1]

    def next(self) -> bytes:
        """Write the next request."""
        self._number += 1
        name = (b"%09d" % self._number).translate(_DIGITS_AS_LETTERS)
        return b"%b%b%b" % (self._before, name, self._after)


class Caller(asyncio.Protocol):
    """One connection: sends, waits for the whole answer, and sends again until time is up."""

    __slots__ = ("_buffer", "_letters", "_need", "_sent_at", "_tally", "_transport", "done")

    def __init__(self, letters: Letters, tally: Tally) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._letters = letters
        self._tally = tally
        self._buffer = b""
        self._need = 0
        self._sent_at = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first call."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has no common base class
        self._send()

    def data_received(self, data: bytes) -> None:
        """Collect until the answer is whole, then count it and go on."""
        self._buffer = self._buffer + data if self._buffer else data
        if len(self._buffer) < self._need or not self._whole():
            return
        self._count()
        self._buffer, self._need = b"", 0
        if time.perf_counter() < self._tally.ends_at:
            self._send()
        else:
            self.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a connection that the other side closed while it owed an answer."""
        if not self.done.done():
            self._tally.failures["connection closed"] += 1
            self.done.set_result(None)

    def stop(self) -> None:
        """Close the connection; nothing is owed any more."""
        if not self.done.done():
            self.done.set_result(None)
        if self._transport is not None:
            self._transport.close()

    def _send(self) -> None:
        assert self._transport is not None
        self._tally.sent += 1
        self._sent_at = time.perf_counter_ns()
        self._transport.write(self._letters.next())

    def _whole(self) -> bool:
        if self._need:
            return True
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return False
        if length := LENGTH.search(self._buffer, 0, head):
            self._need = head + 4 + int(length[1])
            return len(self._buffer) >= self._need
        return self._buffer.endswith(b"0\r\n\r\n")

    def _count(self) -> None:
        now = time.perf_counter_ns()
        status = self._buffer[9:12]
        if status != b"200":
            self._tally.failures[f"status {status.decode('latin-1')}"] += 1
        elif now > self._tally.ends_at * 1e9:
            self._tally.late += 1
        else:
            self._tally.latencies.append(now - self._sent_at)


async def run(plan: Plan) -> dict[str, object]:
    """Put *plan* on the target and sum up.

    Answers that come after the end count as `late`: neither into the rate nor as failures.
    Whoever owes an answer 20 s after the end is counted under `errors` as `no answer`.
    """
    target = urlsplit(plan.url)
    host, port = target.hostname or "", target.port or 80
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    tally = Tally(ends_at=began + plan.seconds)
    letters = Letters(plan)
    callers: list[Caller] = []
    for _ in range(plan.connections):
        _, caller = await loop.create_connection(lambda: Caller(letters, tally), host, port)
        callers.append(caller)
    _, pending = await asyncio.wait(
        [caller.done for caller in callers], timeout=plan.seconds + PATIENCE
    )
    if pending:
        tally.failures["no answer"] += len(pending)
    for caller in callers:
        caller.stop()
    return _summary(tally, plan)


def _summary(tally: Tally, plan: Plan) -> dict[str, object]:
    latencies = sorted(tally.latencies)
    return {
        "connections": plan.connections,
        "seconds": plan.seconds,
        "answered": len(latencies),
        "late": tally.late,
        "per_second": len(latencies) / plan.seconds,
        "p50_us": quantile(latencies, 0.50),
        "p90_us": quantile(latencies, 0.90),
        "p99_us": quantile(latencies, 0.99),
        "max_us": quantile(latencies, 1.0),
        "errors": dict(tally.failures),
    }


def quantile(nanoseconds: list[int], share: float) -> float:
    """Give the *share*-quantile of sorted *nanoseconds*, in microseconds; 0 if there are none."""
    if not nanoseconds:
        return 0.0
    return nanoseconds[min(len(nanoseconds) - 1, int(share * len(nanoseconds)))] / 1000


def plan_from(words: list[str]) -> Plan:
    """Read a plan from the command line; refuses targets that are not this machine."""
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("--url", required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--model", default="assistant")
    parser.add_argument("--key", default="")
    parser.add_argument("--stream", action="store_true")
    chosen = parser.parse_args(words)
    if urlsplit(chosen.url).hostname not in {"127.0.0.1", "localhost", "::1"}:
        parser.error("--url: only loopback addresses are ever put under load")
    if not 1 <= chosen.connections <= MOST_CONNECTIONS:
        parser.error(f"--connections: 1 to {MOST_CONNECTIONS}")
    if not 0 < chosen.seconds <= MOST_SECONDS:
        parser.error(f"--seconds: at most {MOST_SECONDS:.0f}")
    return Plan(**vars(chosen))


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(plan_from(sys.argv[1:])))))
