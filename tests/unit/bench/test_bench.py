"""The bench measures what it says: no call counted twice, none lost, no failure overlooked."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load import Letters, Plan, plan_from, quantile, run
from bench.report import Bar, Footprint, Round, bars, figures, hot_spots
from bench.upstream import Canned, completion, request_end, stream

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def upstream(whole: bytes) -> AsyncGenerator[str]:
    """Serve *whole* to every chat that does not ask for a stream."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Canned(whole, stream()), "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("streamed", [False, True])
async def test_every_answer_is_counted_once(streamed: bool) -> None:
    """Whole or streamed: answers in time, and one late answer per connection; nothing else."""
    async with upstream(completion()) as url:
        found = await run(Plan(url, connections=4, seconds=0.2, stream=streamed))
    assert found["errors"] == {}
    assert found["late"] == 4
    assert isinstance(found["answered"], int)
    assert found["answered"] > 4


async def test_failures_are_counted_apart() -> None:
    """An answer that is not 200 is never counted as one."""
    refusal = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
    async with upstream(refusal) as url:
        found = await run(Plan(url, connections=2, seconds=0.1))
    assert found["answered"] == 0
    assert found["errors"].keys() == {"status 503"}  # type: ignore[union-attr]


def test_no_two_bodies_are_the_same() -> None:
    """No cache can answer: each body is valid JSON with a message of its own."""
    letters = Letters(Plan("http://127.0.0.1:1", 1, 1))
    texts = {json.loads(letters.body())["messages"][1]["content"] for _ in range(1000)}
    assert len(texts) == 1000


@given(st.binary(max_size=300), st.integers(min_value=0, max_value=400))
def test_the_end_of_a_request_is_found_wherever_it_is_cut(body: bytes, cut: int) -> None:
    """A request is complete exactly when all of its bytes are there."""
    request = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    cut = min(cut, len(request))
    assert request_end(request[:cut]) == (len(request) if cut == len(request) else 0)
    assert request_end(request + b"POST / HT") == len(request)


@pytest.mark.parametrize("url", ["http://192.168.1.1:80", "http://example.com"])
def test_nothing_but_this_machine_is_put_under_load(url: str) -> None:
    """A target that is not loopback is refused."""
    with pytest.raises(SystemExit):
        plan_from(["--url", url])


def test_quantiles_are_taken_from_what_was_measured() -> None:
    """The median of 1 to 99 microseconds is 50, the largest 99; of nothing, 0."""
    latencies = [n * 1000 for n in range(1, 100)]
    assert (quantile(latencies, 0.5), quantile(latencies, 1.0), quantile([], 0.5)) == (50, 99, 0)


def a_round(gateway: str, connections: int, rate: float, errors: int = 0) -> Round:
    """Make up one round."""
    lost = {"status 503": errors} if errors else {}
    return Round(gateway, connections, rate, 100, 200, 10, lost, 50.0, 40.0)


def test_bars_are_held_against_medians() -> None:
    """One lucky round keeps no promise, and one lost call breaks one."""
    rates = {"direct": 50_000, "envoy": 10_000, "litellm": 50}
    rounds = [a_round(name, n, rate) for name, rate in rates.items() for n in (1, 64)]
    rounds += [a_round("lockgate", 1, 900)]
    rounds += [a_round("lockgate", 64, rate) for rate in (3000, 3000, 90_000)]
    rounds += [a_round("lockgate", 64, 3000, errors=1)]
    found = {name: figures(rounds, name, 64) for name in (*rates, "lockgate")}
    sizes = {"lockgate": Footprint("lockgate", 91_000_000, 2, 3, 4, 0.0)}
    assert {bar.promise: bar.kept for bar in bars(found, sizes)} == {
        "calls lost or refused": False,
        "throughput, x Envoy": False,
        "throughput, x LiteLLM": False,
        "idle memory of the worker, MB": False,
    }


@pytest.mark.parametrize(
    ("bar", "kept"),
    [
        (Bar("a", 0.4, least=0.4), True),
        (Bar("a", 0.39, least=0.4), False),
        (Bar("a", 90, most=90), True),
        (Bar("a", 90.1, most=90), False),
    ],
)
def test_a_bar_is_kept_when_it_is_just_reached(bar: Bar, kept: bool) -> None:
    """The bound itself counts as kept, on either side."""
    assert bar.kept is kept


def test_hot_spots_count_a_function_once_per_stack() -> None:
    """A recursive function has at most all of the time."""
    folded = "a (x/m.py:1);a (x/m.py:2);b (x/m.py:3) 3\na (x/m.py:1) 1"
    assert hot_spots(folded).splitlines()[1:] == [
        " 75.0%  75.0%  b (m.py)",
        " 25.0% 100.0%  a (m.py)",
    ]
