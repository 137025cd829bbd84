"""`make bench`: Lockgate, Envoy and LiteLLM in turn before the same canned upstream.

    gateway core   the gateway under test: one worker, and whatever else it needs to run
    load core      the canned upstream and the load generator

Rounds are interleaved (every gateway once, then again), so that a disturbance of the machine
hits all alike; figures are medians over the rounds. `direct` is the load against the upstream
with nothing between: the ceiling, and what added latency is counted from.

    make bench ARGS="--only lockgate --seconds 2 --rounds 1"
    make bench ARGS="--only lockgate --profile"
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version

from bench import gateways, pinned
from bench.gateways import HOME, ROOT, CannotStart, Gateway
from bench.report import (
    Footprint,
    Round,
    bars,
    by_processor,
    figures,
    hot_spots,
    table,
    verdict,
)

IDLE_SECONDS, WARM_UP_SECONDS = 3.0, 1.0
MOST_BUSY = 0.1
NOT_QUIET = "This machine is {:.0%} busy with other things: rates mean little, ratios a bit more."


def load(gateway: Gateway, connections: int, seconds: float, *, stream: bool) -> Round:
    """Put one load on a gateway, from the load's core."""
    words = [sys.executable, "-m", "bench.load", "--url", gateway.url, "--key", gateway.key]
    words += ["--connections", str(connections), "--seconds", str(seconds)]
    before = pinned.spent(gateway.pid, gateway.worker)
    with pinned.on_core(pinned.LOAD_CORE):
        done = subprocess.run(
            [*words, "--stream"] if stream else words,
            cwd=ROOT,
            capture_output=True,
            check=True,
            timeout=seconds + 60,
        )
    spent = pinned.spent(gateway.pid, gateway.worker).since(before)
    found = json.loads(done.stdout)
    answers = max(1, found["answered"] + found["late"])
    return Round(
        gateway=gateway.name,
        connections=connections,
        per_second=found["per_second"],
        p50_us=found["p50_us"],
        p99_us=found["p99_us"],
        answered=found["answered"],
        errors=found["errors"],
        cpu_us=spent.all / answers * 1e6,
        worker_cpu_us=spent.worker / answers * 1e6,
    )


@contextlib.contextmanager
def running(names: list[str]) -> Generator[list[Gateway]]:
    """Keep the upstream and the named gateways running; the upstream comes first in the list."""
    with contextlib.ExitStack() as stack:
        upstream = gateways.upstream()
        stack.callback(gateways.stop, upstream)
        everything = [upstream]
        for name in names:
            tell(f"starting {name}")
            gateway = gateways.KINDS[name](upstream.url)
            stack.callback(gateways.stop, gateway)
            everything.append(gateway)
        yield everything


def idle(gateway: Gateway) -> tuple[pinned.Memory, float]:
    """Watch a gateway do nothing; give its memory and the share of a core that it uses."""
    began, before = time.monotonic(), pinned.spent(gateway.pid, gateway.worker)
    time.sleep(IDLE_SECONDS)
    spent = pinned.spent(gateway.pid, gateway.worker).since(before)
    share = spent.all / (time.monotonic() - began)
    return pinned.memory(gateway.pid, gateway.worker), share


def measure(everything: list[Gateway], chosen: argparse.Namespace) -> list[Round]:
    """Run all rounds, each gateway in turn."""
    rounds: list[Round] = []
    for number in range(chosen.rounds):
        for gateway in everything:
            load(gateway, chosen.connections, WARM_UP_SECONDS, stream=chosen.stream)
            for connections in (1, chosen.connections):
                one = load(gateway, connections, chosen.seconds, stream=chosen.stream)
                rounds.append(one)
                tell(
                    f"round {number + 1}  {one.gateway:9} @{connections:<3} "
                    f"{one.per_second:>9,.0f} req/s  p50 {one.p50_us:>8,.0f} µs  "
                    f"p99 {one.p99_us:>8,.0f} µs  "
                    f"CPU {one.worker_cpu_us:>7,.1f} / {one.cpu_us:>7,.1f} µs"
                    f"{f'  ERRORS {one.errors}' if one.errors else ''}"
                )
    return rounds


def profile(gateway: Gateway, chosen: argparse.Namespace) -> None:
    """Sample a gateway's worker under load; print where its time goes."""
    workers = [one for one in pinned.tree(gateway.pid) if gateway.worker in " ".join(one.cmdline())]
    stacks = HOME / "results" / f"{gateway.name}.folded"
    words = [str(HOME / "tools" / "bin" / "py-spy"), "record", "--rate", "250", "--format", "raw"]
    words += ["--gil", "--duration", str(round(chosen.seconds)), "--output", str(stacks)]
    words += ["--pid", str(workers[-1].pid)]
    log = (HOME / "run" / "py-spy").open("wb")
    with log, subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log):
        load(gateway, chosen.connections, chosen.seconds + 1, stream=chosen.stream)
    tell(f"\n{hot_spots(stacks.read_text())}\n\nwhole stacks: {stacks.relative_to(ROOT)}")


def run(chosen: argparse.Namespace) -> int:
    """Measure, print, write down; give the exit code (1 if a bar was missed)."""
    (HOME / "results").mkdir(parents=True, exist_ok=True)
    busy = pinned.busy(IDLE_SECONDS)
    if busy > MOST_BUSY:
        tell(NOT_QUIET.format(busy))
    with running(chosen.only) as everything:
        resting = {one.name: idle(one) for one in everything[1:]}
        rounds = measure(everything, chosen)
        sizes = {
            one.name: footprint(one, *resting[one.name])
            for one in everything
            if one.name in resting
        }
        if chosen.profile:
            profile(everything[-1], chosen)
    found = {one.name: figures(rounds, one.name, chosen.connections) for one in everything}
    judged = bars(found, sizes)
    print(f"\n{table(found, sizes, chosen.connections)}\n")
    print("\n".join([*(verdict(bar) for bar in judged), *by_processor(found)]))
    record = {
        "machine": {**machine(), "busy_before": busy},
        "settings": vars(chosen),
        "rounds": [asdict(one) for one in rounds],
        "figures": [asdict(one) for one in found.values()],
        "footprints": [asdict(one) for one in sizes.values()],
        "bars": [{**asdict(bar), "kept": bar.kept} for bar in judged],
    }
    path = HOME / "results" / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
    path.write_text(json.dumps(record, indent=1))
    print(f"\nwritten to {path.relative_to(ROOT)}")
    return 0 if all(bar.kept for bar in judged) else 1


def footprint(gateway: Gateway, resting: pinned.Memory, idle_cpu: float) -> Footprint:
    """Put a gateway's memory before and after the load side by side."""
    peak = pinned.peak_memory(gateway.pid, gateway.worker)
    return Footprint(gateway.name, resting.worker, resting.all, peak.worker, peak.all, idle_cpu)


def machine() -> dict[str, object]:
    """Describe where and on what this was measured."""
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "cores": os.cpu_count(),
        "gateway_core": pinned.GATEWAY_CORE,
        "load_core": pinned.LOAD_CORE,
        "python": platform.python_version(),
        "system": platform.platform(),
        "lockgate": version("lockgate"),
    }


def tell(line: str) -> None:
    """Say what is going on, at once."""
    print(line, flush=True)


def options(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", nargs="+", choices=list(gateways.KINDS))
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run; 5 by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--stream", action="store_true", help="ask for server-sent events")
    parser.add_argument("--profile", action="store_true", help="where the last gateway's time goes")
    chosen = parser.parse_args(words)
    chosen.only = chosen.only or list(gateways.KINDS)
    if not 1 <= chosen.rounds <= 20:
        parser.error("--rounds: 1 to 20")
    return chosen


if __name__ == "__main__":
    if pinned.GATEWAY_CORE == pinned.LOAD_CORE:
        tell("No two cores to pin to: load and gateway share one; only ratios mean something.")
    try:
        sys.exit(run(options(sys.argv[1:])))
    except CannotStart as failure:
        sys.exit(f"bench: {failure}")
