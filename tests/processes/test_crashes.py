"""Whatever is killed or frozen under load: every answered call is recorded, once, as told."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import msgspec
import pytest

from lockgate.store.ledger import Ledger
from lockgate.testing.postgres import Postgres
from lockgate.testing.server import Served, served
from tests.processes.callers import Callers, unrecorded

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(240)]

MANIFEST = """
version: 1
serve: {workers: 2}
store: STORE
models:
  echo: {kind: function, call: "parts:echo", price: {per_call: 0.000003 USD}, replicas: 2}
  rule: {kind: function, call: "parts:rule"}
services:
  echo:
    kind: predict
    targets: [echo]
    ladder: [{target: rule}, {uncertain: {said: nothing}}]
    limits: {concurrent: 400, queue: 400}
    deadline: 5s
"""

PARTS = '''
import asyncio


async def echo(value: int) -> dict:
    """Say it again, a little later."""
    await asyncio.sleep(0.002)
    return {"said": value}


def rule(value: int) -> dict:
    """Say something simpler."""
    return {"said": -1}
'''


def _project(root: Path, store: str = "sqlite:///.lockgate/lockgate.db") -> str:
    (root / "parts.py").write_text(PARTS)
    return MANIFEST.replace("STORE", store)


def _callers(server: Served, deadline_s: float = 5.0) -> Callers:
    def body(count: int) -> bytes:
        return msgspec.json.encode({"value": count})

    return Callers(server, b"/v1/services/echo/predict", body, deadline_s)


async def test_twenty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """Kill -9 of workers, steward and runners at random moments: the ledger is what was told."""
    rng = random.Random(20)
    with served(tmp_path, _project(tmp_path)) as server:
        callers = _callers(server)
        load = asyncio.create_task(callers.run(24))
        victims = ["worker 0", "worker 1", "steward", "runner echo-0", "runner echo-1"]
        kills = 0
        while kills < 20:
            await asyncio.sleep(rng.uniform(0.1, 0.6))
            victim = victims[kills % len(victims)]
            if server.send(victim, signal.SIGKILL):
                kills += 1
        await asyncio.sleep(1.0)
        callers.stopped = True
        await load

        assert unrecorded(callers) == []
        assert callers.late == []
        assert len(callers.answered) > 1000
        print(f"{len(callers.answered)} answered, {callers.cut} cut, {callers.statuses}")  # noqa: T201


async def test_two_hundred_callers_and_readers_never_lock_the_database(tmp_path: Path) -> None:
    """SQLite with 200 callers and readers as a console would have them: no error, no lost line."""
    with served(tmp_path, _project(tmp_path)) as server:
        callers = _callers(server)
        load = asyncio.create_task(callers.run(200))
        reads = 0
        for _ in range(60):
            ledger = Ledger(server.store)
            reads += len(await asyncio.to_thread(ledger.totals)) >= 0
            await asyncio.to_thread(ledger.calls, limit=50)
            await asyncio.sleep(0.05)
        callers.stopped = True
        await load

        assert unrecorded(callers) == []
        assert reads == 60
        assert set(callers.statuses) == {200}
        assert callers.cut == 0
        assert "locked" not in (tmp_path / "serve.log").read_text()


async def test_a_frozen_postgres_fails_no_call_and_loses_no_line(tmp_path: Path) -> None:
    """SIGSTOP of Postgres under load: calls go on; after SIGCONT the ledger is complete."""
    with Postgres() as postgres:
        url = postgres.new_database()
        with served(tmp_path, _project(tmp_path, url), store_url=url) as server:
            callers = _callers(server)
            load = asyncio.create_task(callers.run(24))
            await asyncio.sleep(1.5)
            before = len(callers.answered)
            postgres.freeze()
            try:
                await asyncio.sleep(6.0)
            finally:
                postgres.thaw()
            during = len(callers.answered) - before
            await asyncio.sleep(1.5)
            callers.stopped = True
            await load

            assert during > 100
            assert set(callers.statuses) == {200}
            assert callers.cut == 0
            assert unrecorded(callers, 40.0) == []
