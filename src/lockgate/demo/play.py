"""The demo, from the empty folder to the verdict. Read this file first.

lay out → make a key → serve → traffic, with two accidents → hold against the ledger → go on serving
"""

from __future__ import annotations

import asyncio
import shlex
import shutil
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from lockgate.ai.models.wire import Origin, Wire
from lockgate.core.clock import SystemClock
from lockgate.demo.accidents import Accidents
from lockgate.demo.project import Sample, lay_out
from lockgate.demo.server import Server
from lockgate.demo.table import failures, table
from lockgate.demo.traffic import Desk, Told
from lockgate.demo.verify import Findings, Line, verify
from lockgate.store.engine import Store, open_store
from lockgate.store.keys import Keys
from lockgate.store.ledger import Ledger
from lockgate.store.migrate import migrate

_EVENTS_SHOWN = 6
_REFRESH_S = 0.25
_LEDGER_S = 15.0
"""How long the last calls may take from the journal into the ledger."""


class Play:
    """One performance of the demo."""

    def __init__(self, folder: Path, *, port: int, seconds: float, console: Console) -> None:
        self._folder = folder
        self._port = port
        self._seconds = seconds
        self._console = console
        self._clock = SystemClock()
        self._began = self._clock.monotonic()
        self._told: list[Told] = []
        self._events: deque[str] = deque(maxlen=_EVENTS_SHOWN)
        self._accidents: list[str] = []

    async def run(self, *, end: bool) -> int:
        """Play; with *end*, stop the server afterwards. Gives the exit code: 0 if all calls held.

        Raises:
            DemoUnavailable: A part of it is missing, or the server does not start.
        """
        self._console.print("Training a classifier and writing the project …", style="dim")
        manifest, samples = lay_out(self._folder)
        store = open_store(f"sqlite:///{self._folder / '.lockgate' / 'lockgate.db'}")
        key = demo_key(store, self._folder)
        server = Server(manifest, self._port, self._say)
        self._console.print("Starting the server …", style="dim")
        try:
            url = await server.start()
            await self._traffic(url, key, samples)
            findings = await self._findings(store)
            self._report(findings)
            if not end:
                self._invite(url, key)
                await server.wait()
        finally:
            await server.stop()
            store.close()
        return 0 if findings.fine else 3

    def _say(self, event: str) -> None:
        """Keep an event for the screen; without one, print it."""
        at = self._clock.monotonic() - self._began
        self._events.append(f"{at:5.1f} s  {event}")
        if event.startswith(("the ", "runner small")):
            self._accidents.append(self._events[-1])
        if not self._console.is_terminal:
            with suppress(OSError):  # nobody may be listening any more
                print(self._events[-1], file=sys.stderr)  # noqa: T201

    async def _traffic(self, url: str, key: str, samples: tuple[Sample, ...]) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        wire = Wire(Origin.parse(url), headers=headers, limit=32, connect_timeout=5.0)
        desk = Desk(wire, samples, self._clock, self._told.append)
        callers = asyncio.create_task(desk.run())
        accidents = asyncio.create_task(Accidents(self._folder, self._say).run(self._seconds))
        until = self._clock.monotonic() + self._seconds
        try:
            await self._show(until)
            desk.close()
            await callers
        finally:
            for task in (callers, accidents):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await wire.close()

    async def _show(self, until: float) -> None:
        """Show the table, live on a terminal, until the time is over."""
        if not self._console.is_terminal:
            await asyncio.sleep(until - self._clock.monotonic())
            return
        with Live(self._screen(), console=self._console, auto_refresh=False) as live:
            while self._clock.monotonic() < until:
                live.update(self._screen(), refresh=True)
                await asyncio.sleep(_REFRESH_S)

    def _screen(self) -> Group:
        events = Text("\n".join(self._events), style="dim")
        return Group(table(self._told, "Lockgate demo: three services, live"), events)

    async def _findings(self, store: Store) -> Findings:
        """Compare with the ledger as soon as it holds every call, or when time is up."""
        ledger = Ledger(store)
        names = [call.request_id for call in self._told if call.request_id]
        lines: dict[str, Line] = {}
        until = time.monotonic() + _LEDGER_S
        while len(lines) < len(set(names)) and time.monotonic() < until:
            for name in names:
                if name not in lines and (kept := ledger.call(name)) is not None:
                    lines[name] = Line(
                        id=name, outcome=kept.outcome, target=kept.target, cost=kept.cost
                    )
            await asyncio.sleep(0.1)
        return verify(self._told, lines)

    def _report(self, findings: Findings) -> None:
        for event in self._accidents:
            self._console.print(event, style="yellow", highlight=False)
        self._console.print(table(self._told, "Lockgate demo: what the callers were told"))
        for kind in ("lost", "mislabelled", "unrecorded"):
            faults: Sequence[str] = getattr(findings, kind)
            self._console.print(f"{kind}: {len(faults)} of {len(self._told)} calls")
            for fault in faults[:10]:
                self._console.print(f"  {fault}", style="red", markup=False)
        for line in failures(self._told):
            self._console.print(line, highlight=False, markup=False)
        last = next((c.request_id for c in reversed(self._told) if c.outcome == "fallback"), "")
        if last:
            self._console.print(
                "Why a call was a fallback:",
                f"  {_explain(self._folder, last)}",
                sep="\n",
                soft_wrap=True,
                highlight=False,
                markup=False,
            )

    def _invite(self, url: str, key: str) -> None:
        text = _INVITATION.format(url=url, key=key)
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)


def demo_key(store: Store, folder: Path) -> str:
    """Make a key for a day; those of earlier demos are revoked."""
    (folder / ".lockgate").mkdir(exist_ok=True, mode=0o700)
    migrate(store)
    keys = Keys(store)
    for old in keys.list():
        if old.note == _NOTE and old.revoked_at is None:
            keys.revoke(old.public_id)
    return keys.create("demo", note=_NOTE, expires_at_ns=time.time_ns() + _DAY_NS).secret_text


def _explain(folder: Path, name: str) -> str:
    own = Path(sys.executable).with_name("lockgate")
    command = "lockgate" if shutil.which("lockgate") else _seen_from_here(own)
    manifest = _seen_from_here(folder / "lockgate.yaml")
    return f"{command} explain {name} --manifest {manifest}"


def _seen_from_here(path: Path) -> str:
    """Write a path as short as a shell takes it."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


_NOTE = "made by lockgate demo"
_DAY_NS = 86_400_000_000_000
_INVITATION = """
The server goes on; Ctrl-C here ends it. In another terminal:

export LOCKGATE_KEY={key}
curl {url}/v1/chat/completions \\
  -H "Authorization: Bearer $LOCKGATE_KEY" -H "Content-Type: application/json" \\
  -d '{{"model": "assistant",
       "messages": [{{"role": "user", "content": "May I return it?"}}]}}'

Or in Python (pip install openai):

from openai import OpenAI
key = "{key}"
client = OpenAI(base_url="{url}/v1", api_key=key)
messages = [{{"role": "user", "content": "When will my order arrive?"}}]
answer = client.chat.completions.create(model="assistant", messages=messages)
print(answer.choices[0].message.content)

Also: {url}/readyz
      {url}/metrics
      {url}/openapi.json
"""
