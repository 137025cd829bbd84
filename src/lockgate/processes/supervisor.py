"""The supervisor: starts the processes of a server, keeps them running, and ends them in order.

    starting ──all workers accept──▶ serving ──SIGTERM, SIGINT──▶ draining ──▶ ended (0)
        └──a worker that never can──▶ ended (1)        (again: at once)

Each child has one task that starts it, and starts it again. Nothing here asks the database.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from lockgate.processes.backoff import Backoff
from lockgate.processes.child import (
    READY,
    Child,
    Role,
    Spec,
    cause_of_death,
    last_words,
    start,
)
from lockgate.processes.discretion import Discreet
from lockgate.processes.pulse import Patience
from lockgate.processes.watch import PATIENCE, watch

GIVE_UP = 5
"""Deaths in a row after which a child that never was ready is taken not to be able to."""
FIRST_CHANCE_SECONDS = 30.0
"""How long the greeting waits for runners that are still loading their models."""
_MARGIN_SECONDS = 3.0  # after the workers' own grace, for the records of calls they cut short
_RUNNER_SECONDS = 7.0  # they allow the calls under way 5
_STEWARD_SECONDS = 15.0  # its last ingest
_LOADING_SECONDS = 1.0  # who is not at work yet has nothing to finish
_REMEMBERED_LINES = 500


@dataclass(frozen=True, slots=True)
class Reports:
    """Whom the supervisor tells.

    Attributes:
        say: Takes one line for the operator.
        changed: Takes the process ids by name, whenever one changes.
        serving: Called once, when all workers accept.
        draining: Called once, before the workers are told to drain.
    """

    say: Callable[[str], None]
    changed: Callable[[dict[str, int]], None]
    serving: Callable[[], None]
    draining: Callable[[], None]


class Post:
    """One place among the children, whoever fills it at the moment.

    Attributes:
        deaths: In a row.
        tried: Has been ready, or has died, at least once.
        able: Has been ready at least once.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.child: Child | None = None
        self.deaths = 0
        self.tried = asyncio.Event()
        self.able = asyncio.Event()
        self._said: set[str] = set()

    def news(self, line: str) -> bool:
        """Say whether *line* is more than what it said before each of its deaths."""
        if self.able.is_set():
            return True
        known = line in self._said
        if len(self._said) < _REMEMBERED_LINES:
            self._said.add(line)
        return not (known and self.deaths)

    @property
    def hopeless(self) -> bool:
        """It has died again and again without ever having been ready."""
        return self.deaths >= GIVE_UP and not self.able.is_set()


class Supervisor:
    """Runs a fixed set of children until it is told to stop."""

    def __init__(
        self,
        specs: Sequence[Spec],
        environ: Mapping[str, str],
        reports: Reports,
        backoff: Backoff,
        grace: float,
        *,
        patience: Mapping[Role, Patience] = PATIENCE,
    ) -> None:
        self._posts = [Post(spec) for spec in specs]
        self._environ = environ
        self._tell = reports
        self._backoff = backoff
        self._grace = grace
        self._patience = patience
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._failed = False

    async def run(self, *, lifeline: int | None = None) -> int:
        """Run the children; give the exit code once all have ended.

        Args:
            lifeline: A pipe's file descriptor; once its other end is closed, that is a `stop`.
        """
        self._heed_signals()
        if lifeline is not None:
            self._hold(lifeline)
        async with asyncio.TaskGroup() as tasks:
            for post in self._posts:
                tasks.create_task(self._keep(post), name=f"keeper of {post.spec.name}")
            greeting = tasks.create_task(self._greet(), name="greeting")
            watching = tasks.create_task(self._watch(), name="watch")
            await self._stop.wait()
            greeting.cancel()
            watching.cancel()
            if not self._failed:
                self._tell.say("draining: calls in flight are finished, new ones turned away")
            self._tell.draining()
            await self._end_in_order()
        return 1 if self._failed else 0

    def stop(self) -> None:
        """Drain; asked twice, end at once."""
        if self._stop.is_set():
            self._tell.say("asked again: ending at once")
            self._hurry.set()
        self._stop.set()

    def _heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # `nohup` means it
                loop.add_signal_handler(number, self.stop)

    def _hold(self, lifeline: int) -> None:
        """Stop when whoever holds the other end of *lifeline* lets go, or is gone."""
        loop = asyncio.get_running_loop()

        def pulled() -> None:
            with suppress(BlockingIOError):
                if not os.read(lifeline, 4096):
                    loop.remove_reader(lifeline)
                    self.stop()

        os.set_blocking(lifeline, False)
        loop.add_reader(lifeline, pulled)

    async def _greet(self) -> None:
        """Say that calls are answered; before that every runner has its first chance."""
        for post in self._of(Role.WORKER):
            await post.able.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_CHANCE_SECONDS):
                for post in self._of(Role.RUNNER):
                    await post.tried.wait()
        self._tell.serving()

    def _of(self, role: Role) -> list[Post]:
        return [post for post in self._posts if post.spec.role is role]

    # Keeping them running

    async def _watch(self) -> None:
        """Kill whoever has stopped without being dead; its keeper starts it again."""

        def lost(child: Child, silent: float) -> None:
            self._tell.say(
                f"{child.spec.name} has shown no sign of life for {silent:.0f} s: killing it"
            )
            child.signal(signal.SIGKILL)

        await watch(self._children, lost, self._patience)

    def _children(self) -> list[Child]:
        return [post.child for post in self._posts if post.child is not None]

    async def _keep(self, post: Post) -> None:
        while not self._stop.is_set():
            lived, death = await self._live(post)
            if self._stop.is_set():
                return
            post.deaths = self._backoff.deaths(post.deaths, lived)
            post.tried.set()
            delay = self._backoff.delay(post.deaths)
            self._mourn(post, death, delay)
            await _pause(self._stop, delay)

    async def _live(self, post: Post) -> tuple[float, str]:
        """See one child through its life: how many seconds it lasted, and how it ended."""
        try:
            discreet = Discreet(lambda line: self._repeat(post, line))
            child, ear = await start(post.spec, self._environ, self._ear(post, discreet))
        except OSError as error:
            return 0.0, f"could not be started ({error.strerror})"
        post.child = child
        self._changed()
        if self._stop.is_set():  # it came to life in the middle of the end
            child.signal(signal.SIGKILL)
        code = await child.ended()
        lived = child.lived
        await last_words(ear)
        discreet.ended(ready=child.ready)
        post.child = None
        self._changed()
        return lived, cause_of_death(code)

    def _ear(self, post: Post, discreet: Discreet) -> Callable[[Child, str], None]:
        def hear(child: Child, line: str) -> None:
            if line == READY:
                self._welcome(post, child)
            elif post.spec.may_quote:
                discreet.hear(line, ready=child.ready)
            else:
                self._repeat(post, line)

        return hear

    def _repeat(self, post: Post, line: str) -> None:
        if post.news(line):
            self._tell.say(f"{post.spec.name}: {line}")

    def _welcome(self, post: Post, child: Child) -> None:
        if child.ready:
            return
        child.ready = True
        if post.spec.role is Role.RUNNER or post.deaths:
            self._tell.say(f"{post.spec.name} is ready (process {child.pid}, {child.lived:.1f} s)")
        post.able.set()
        post.tried.set()

    def _mourn(self, post: Post, death: str, delay: float) -> None:
        name = post.spec.name
        if not post.hopeless or post.spec.role is Role.STEWARD:
            when = f"in {delay:.1f} s" if delay else "now"
            self._tell.say(f"{name} {death}; restarting {when} ({ordinal(post.deaths)} time)")
        elif post.spec.role is Role.WORKER:
            self._tell.say(f"{name} {death}, {GIVE_UP} times in a row, at start: giving up")
            self._failed = True
            self._stop.set()
        elif post.deaths == GIVE_UP:
            self._tell.say(
                f"{name} {death}, {GIVE_UP} times in a row, at start: services do without it; "
                f"it is tried again, quietly, every {self._backoff.cap:g} s or sooner"
            )

    def _changed(self) -> None:
        self._tell.changed(
            {post.spec.name: post.child.pid for post in self._posts if post.child is not None}
        )

    # Ending them

    async def _end_in_order(self) -> None:
        """End the workers while everything they need still runs, then the rest."""
        await self._end(Role.WORKER, self._grace + _MARGIN_SECONDS)
        await asyncio.gather(
            self._end(Role.RUNNER, _RUNNER_SECONDS), self._end(Role.STEWARD, _STEWARD_SECONDS)
        )

    async def _end(self, role: Role, limit: float) -> None:
        """Ask every child of *role* to end; kill those that have not after *limit* seconds."""
        children = [child for child in self._children() if child.spec.role is role]
        for child in children:
            child.hang_up()
            if not child.ready:
                _interrupt(child)
        ends = asyncio.gather(*(child.ended() for child in children))
        hurry = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({ends, hurry}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not ends.done():
            for child in children:
                child.signal(signal.SIGKILL)
        await ends


async def _pause(until: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(until.wait(), seconds)


def _interrupt(child: Child) -> None:
    """End a child that is still loading, and does not look at its lifeline meanwhile."""
    child.signal(signal.SIGTERM)
    loop = asyncio.get_running_loop()
    loop.call_later(_LOADING_SECONDS, child.signal, signal.SIGKILL)


def ordinal(count: int) -> str:
    """Write 1st, 2nd, 3rd, and so on."""
    if count % 100 in {11, 12, 13}:
        return f"{count}th"
    return f"{count}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(count % 10, 'th') }"
