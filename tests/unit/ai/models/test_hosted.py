"""The worker's side of runners, against real sockets and models that do as they are told."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lockgate.ai.models import frames
from lockgate.ai.models.hosted import Hosted, read
from lockgate.ai.models.hosting import Hosting, Said
from lockgate.core.clock import SystemClock
from lockgate.core.errors import (
    BackendBroken,
    BackendBusy,
    BackendError,
    BackendGone,
    BackendRejected,
    BackendTimeout,
    InputRejected,
)
from lockgate.core.payload import ChatChunk, Json, Message, Rows

pytestmark = pytest.mark.anyio


HostedBy = Callable[..., Hosted]


class Obedient:
    """Answers `{"echo": x}` with x; `"wait"` waits for `go`; text is streamed word by word."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.working = 0
        self.asked = 0
        self.cancelled = 0

    async def answer(self, question: frames.Question) -> Said | AsyncGenerator[str, None]:
        self.asked += 1
        self.working += 1
        try:
            if isinstance(question, frames.Turns):
                return self._words(question)
            assert isinstance(question, Rows)
            return Said(body=await self._do(question.input), probabilities=(0.5,))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.working -= 1

    def describe(self) -> frames.Described:
        return frames.Described()

    async def _do(self, order: Json) -> Json:
        if order == "wait":
            await self.go.wait()
        elif order == "reject":
            raise BackendRejected("not like this", said="said so")
        elif order == "refuse":
            raise InputRejected("not what you said", said="said so")
        elif order == "crash":
            raise ZeroDivisionError("a bug")
        elif order == "huge":
            return "x" * (frames.MAX_FRAME + 1)
        return order

    async def _words(self, turns: frames.Turns) -> AsyncGenerator[str, None]:
        self.working += 1
        try:
            for word in str(turns.messages[-1].content).split():
                if word == "wait":
                    await self.go.wait()
                elif word == "fail":
                    raise BackendBroken("lost the thread")
                else:
                    yield word
        finally:
            self.working -= 1


class Runner:
    """A model on a socket, served by the same code as in a runner process."""

    def __init__(self, path: Path, *, places: int = 1024) -> None:
        self.path = path
        self.model = Obedient()
        self.hosting = Hosting(self.model, SystemClock(), places=places)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self.hosting.visitor, str(self.path))

    async def die(self) -> None:
        """Go away in the middle of everything."""
        assert self._server is not None
        self._server.close()
        await self.hosting.close(0.0)
        self.path.unlink(missing_ok=True)


@asynccontextmanager
async def runners(folder: Path, count: int = 1, **how: int) -> AsyncGenerator[list[Runner], None]:
    """Start *count* runners; they die at the end."""
    started = [Runner(folder / f"m-{index}.sock", **how) for index in range(count)]
    for each in started:
        await each.start()
    try:
        yield started
    finally:
        for each in started:
            await each.die()


@pytest.fixture
async def hosted_by() -> AsyncGenerator[HostedBy, None]:
    """Make the worker's side of runners; closed at the end."""
    made: list[Hosted] = []

    def make(*running: Runner) -> Hosted:
        made.append(Hosted("m", [each.path for each in running]))
        return made[-1]

    yield make
    for each in made:
        await each.close()


def soon(seconds: float = 10.0) -> float:
    """Give a deadline."""
    return time.monotonic() + seconds


async def ask(hosted: Hosted, value: Json, deadline: float | None = None) -> Json:
    """Ask for rows; give the decoded answer."""
    reply = await hosted.ask("rows", Rows(input=value), deadline or soon())
    return read(reply, object, "m")


def say(text: str) -> frames.Turns:
    """Make a streamed chat."""
    return frames.Turns(messages=(Message("user", text),), stream=True)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until *condition* holds, ten seconds at most."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 — what is waited for raises no event
            await asyncio.sleep(0.005)


async def test_answers_come_back(tmp_path: Path, hosted_by: HostedBy) -> None:
    """What is asked is answered, with the evidence."""
    async with runners(tmp_path) as (runner,):
        hosted = hosted_by(runner)
        reply = await hosted.ask("rows", Rows(input={"a": [1, None, 2.5]}), soon())
        assert read(reply, object, "m") == {"a": [1, None, 2.5]}
        assert reply.probabilities == (0.5,)


async def test_many_calls_share_a_line_and_find_their_own_answers(
    tmp_path: Path, hosted_by: HostedBy
) -> None:
    """A thousand calls at once on one connection never get each other's answers."""
    async with runners(tmp_path, places=2000) as (runner,):
        hosted = hosted_by(runner)
        answers = await asyncio.gather(*(ask(hosted, number) for number in range(1000)))
        assert answers == list(range(1000))


async def test_the_least_busy_replica_gets_the_call(tmp_path: Path, hosted_by: HostedBy) -> None:
    """Calls under way spread evenly over the replicas that are connected."""
    async with runners(tmp_path, 3) as running:
        hosted = hosted_by(*running)
        await ask(hosted, 1)
        await until(lambda: hosted.connected == 3)
        calls = [asyncio.ensure_future(ask(hosted, "wait")) for _ in range(9)]
        await until(lambda: sum(each.model.working for each in running) == 9)
        assert [each.model.working for each in running] == [3, 3, 3]
        for each in running:
            each.model.go.set()
        await asyncio.gather(*calls)


async def test_a_hung_replica_is_passed_over(tmp_path: Path, hosted_by: HostedBy) -> None:
    """Calls given up at their deadline still count until the runner ends them."""
    async with runners(tmp_path, 2) as (hung, well):
        hosted = hosted_by(hung, well)
        await ask(hosted, 1)
        await until(lambda: hosted.connected == 2)
        hung.hosting.model = stubborn = Stubborn()
        stuck = [await _error(hosted.ask("rows", Rows(input=1), soon(0.05))) for _ in range(2)]
        assert BackendTimeout in map(type, stuck)
        before = well.model.asked
        assert [await ask(hosted, number) for number in range(20)] == list(range(20))
        assert well.model.asked == before + 20
        stubborn.released = True


async def test_a_cancelled_call_is_cancelled_in_the_runner(
    tmp_path: Path, hosted_by: HostedBy
) -> None:
    """When nobody waits any more, the work stops."""
    async with runners(tmp_path) as (runner,):
        hosted = hosted_by(runner)
        call = asyncio.ensure_future(ask(hosted, "wait"))
        await until(lambda: runner.model.working == 1)
        call.cancel()
        await until(lambda: runner.model.cancelled == 1)
        assert await ask(hosted, 2) == 2


async def test_the_deadline_ends_a_call_at_both_ends(tmp_path: Path, hosted_by: HostedBy) -> None:
    """A call that takes too long is a timeout, and the runner stops working on it."""
    async with runners(tmp_path) as (runner,):
        hosted = hosted_by(runner)
        with pytest.raises(BackendTimeout):
            await ask(hosted, "wait", soon(0.05))
        await until(lambda: runner.model.cancelled == 1)


async def test_a_deadline_in_the_past_asks_nobody(tmp_path: Path, hosted_by: HostedBy) -> None:
    """What cannot be in time is not begun."""
    async with runners(tmp_path) as (runner,):
        hosted = hosted_by(runner)
        with pytest.raises(BackendTimeout):
            await ask(hosted, 1, soon(-1))
        assert runner.model.asked == 0


async def test_a_dying_runner_fails_its_calls_at_once(tmp_path: Path, hosted_by: HostedBy) -> None:
    """Calls under way in a runner that dies are gone, long before their deadline."""
    async with runners(tmp_path) as (runner,):
        hosted = hosted_by(runner)
        calls = [asyncio.ensure_future(ask(hosted, "wait", soon(600))) for _ in range(5)]
        await until(lambda: runner.model.working == 5)
        hosted_lines_cut(runner)
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in errors} == {BackendGone}


async def test_a_runner_that_comes_back_answers_the_next_call(
    tmp_path: Path, hosted_by: HostedBy
) -> None:
    """After a restart on the same path the next call works, without any other step."""
    async with runners(tmp_path) as (first,):
        hosted = hosted_by(first)
        await ask(hosted, 1)
        await first.die()
        await until(lambda: hosted.connected == 0)
        with pytest.raises(BackendGone, match=r"m-0\.sock: No such file"):
            await ask(hosted, 2)
        async with runners(tmp_path):
            assert await ask(hosted, 3) == 3


async def test_a_dead_replica_does_not_slow_the_others(tmp_path: Path, hosted_by: HostedBy) -> None:
    """With one of two replicas down, calls are answered by the other."""
    async with runners(tmp_path, 1) as (runner,):
        absent = Runner(tmp_path / "m-1.sock")
        hosted = hosted_by(absent, runner)
        assert [await ask(hosted, number) for number in range(20)] == list(range(20))
        await absent.start()
        await until_asked(hosted, lambda: hosted.connected == 2)
        await absent.die()


@pytest.mark.parametrize(
    ("order", "error", "message", "said"),
    [
        ("reject", BackendRejected, "not like this", "said so"),
        ("refuse", InputRejected, "not what you said", "said so"),
        ("crash", BackendBroken, "the runner failed with ZeroDivisionError$", ""),
        ("huge", BackendBroken, "the answer is 64,00", ""),
    ],
)
async def test_errors_keep_their_kind(
    tmp_path: Path,
    hosted_by: HostedBy,
    order: str,
    error: type[BackendError],
    message: str,
    said: str,
) -> None:
    """What goes wrong in a runner arrives as the same fact, with its words and the model's name."""
    async with runners(tmp_path) as (runner,):
        hosted = hosted_by(runner)
        with pytest.raises(error, match=message) as raised:
            await ask(hosted, order)
        assert type(raised.value) is error
        assert raised.value.said == said
        assert raised.value.target == "m"
        assert await ask(hosted, "still there") == "still there"


async def test_a_full_runner_says_that_it_is_busy(tmp_path: Path, hosted_by: HostedBy) -> None:
    """Calls beyond a runner's places are refused at once."""
    async with runners(tmp_path, places=2) as (runner,):
        hosted = hosted_by(runner)
        calls = [asyncio.ensure_future(ask(hosted, "wait")) for _ in range(2)]
        await until(lambda: runner.model.working == 2)
        with pytest.raises(BackendBusy):
            await ask(hosted, 1)
        runner.model.go.set()
        await asyncio.gather(*calls)


async def test_a_runner_that_ends_takes_nothing_more_on(
    tmp_path: Path, hosted_by: HostedBy
) -> None:
    """What is under way is finished; new calls are gone at once, so that others can have them."""
    async with runners(tmp_path) as (runner,):
        hosted = hosted_by(runner)
        call = asyncio.ensure_future(ask(hosted, "wait"))
        await until(lambda: runner.model.working == 1)
        end = asyncio.ensure_future(runner.hosting.close(10))
        await until(lambda: runner.hosting.ending)
        with pytest.raises(BackendGone, match="about to end"):
            await ask(hosted, 1)
        runner.model.go.set()
        assert await call == "wait"
        await end


async def test_a_call_cut_off_by_the_end_of_its_runner_is_gone(
    tmp_path: Path, hosted_by: HostedBy
) -> None:
    """When the grace is over, what is left is cancelled, and fails as gone, not as late."""
    async with runners(tmp_path) as (runner,):
        call = asyncio.ensure_future(ask(hosted_by(runner), "wait"))
        await until(lambda: runner.model.working == 1)
        await runner.hosting.close(0)
        assert runner.model.cancelled == 1
        with pytest.raises(BackendGone):
            await call


@pytest.mark.parametrize("value", [2**70, "x" * (frames.MAX_FRAME + 1)])
async def test_what_the_line_cannot_carry_is_rejected(
    tmp_path: Path, hosted_by: HostedBy, value: Json
) -> None:
    """Too large a number or body is the caller's mistake; the line stays up."""
    async with runners(tmp_path) as (runner,):
        hosted = hosted_by(runner)
        with pytest.raises(InputRejected):
            await ask(hosted, value)
        assert await ask(hosted, 1) == 1


async def test_a_stream_arrives_piece_by_piece(tmp_path: Path, hosted_by: HostedBy) -> None:
    """The first piece is there before the second is made, and the end is said."""
    async with runners(tmp_path) as (runner,):
        hosted = hosted_by(runner)
        pieces = await hosted.stream(say("one wait two"), soon())
        assert await anext(pieces) == ChatChunk(text="one")
        runner.model.go.set()
        rest = [chunk async for chunk in pieces]
        assert rest == [ChatChunk(text="two"), ChatChunk(finish_reason="stop")]


async def test_a_stream_that_fails_before_its_first_piece_raises_at_once(
    tmp_path: Path, hosted_by: HostedBy
) -> None:
    """Nothing was given away yet, so the call itself fails."""
    async with runners(tmp_path) as (runner,):
        hosted = hosted_by(runner)
        with pytest.raises(BackendBroken, match="lost the thread") as raised:
            await hosted.stream(say("fail"), soon())
        assert not raised.value.after_output


async def test_a_stream_that_fails_later_says_so(tmp_path: Path, hosted_by: HostedBy) -> None:
    """Every piece made before the failure arrives, then the error, marked as late."""
    async with runners(tmp_path) as (runner,):
        hosted = hosted_by(runner)
        pieces = await hosted.stream(say("one two fail"), soon())
        assert (await anext(pieces)).text + (await anext(pieces)).text == "onetwo"
        with pytest.raises(BackendBroken, match="lost the thread") as raised:
            await anext(pieces)
        assert raised.value.after_output


async def test_a_stream_must_begin_in_time(tmp_path: Path, hosted_by: HostedBy) -> None:
    """Without output by `first_output` it is a timeout, and the runner stops."""
    async with runners(tmp_path) as (runner,):
        hosted = hosted_by(runner)
        with pytest.raises(BackendTimeout):
            await hosted.stream(say("wait"), soon(), soon(0.05))
        await until(lambda: runner.model.working == 0)


async def test_a_stream_that_nobody_reads_on_is_stopped(
    tmp_path: Path, hosted_by: HostedBy
) -> None:
    """Closing a stream stops the work in the runner."""
    async with runners(tmp_path) as (runner,):
        hosted = hosted_by(runner)
        pieces = await hosted.stream(say("one wait two"), soon())
        await pieces.aclose()
        await until(lambda: runner.model.working == 0)
        assert [chunk async for chunk in pieces] == []


async def test_a_reader_who_is_too_slow_is_cut_off_alone(
    tmp_path: Path, hosted_by: HostedBy
) -> None:
    """Memory is bounded: a stream that nobody reads is given up, other calls go on."""
    async with runners(tmp_path) as (runner,):
        hosted = hosted_by(runner)
        flood = " ".join(["x" * 1_000_000] * 12)
        pieces = await hosted.stream(say(flood), soon())
        await until(lambda: runner.model.working == 0)
        assert await ask(hosted, 1) == 1
        with pytest.raises(BackendBroken, match="does not read them"):
            [chunk async for chunk in pieces]


async def test_garbage_closes_only_its_own_connection(
    tmp_path: Path, hosted_by: HostedBy, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whoever sends something else than frames is hung up on; others notice nothing."""
    async with runners(tmp_path) as (runner,):
        hosted = hosted_by(runner)
        call = asyncio.ensure_future(ask(hosted, "wait"))
        await until(lambda: runner.model.working == 1)
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff", b"\0\0\0\1\xc1"):
            reader, writer = await asyncio.open_unix_connection(str(runner.path))
            writer.write(garbage)
            assert await reader.read() == b""
            writer.close()
        runner.model.go.set()
        assert await call == "wait"
        assert "a connection was closed" in capfd.readouterr().err


async def test_a_body_that_does_not_fit_its_verb_is_rejected(
    tmp_path: Path, hosted_by: HostedBy
) -> None:
    """A malformed question fails alone; the connection stays."""
    async with runners(tmp_path) as (runner,):
        hosted = hosted_by(runner)
        with pytest.raises(BackendRejected, match="the body of an ask for chat"):
            await hosted.ask("chat", Rows(input=1), soon())
        assert await ask(hosted, 1) == 1


async def test_a_listener_that_speaks_otherwise_is_broken(
    tmp_path: Path, hosted_by: HostedBy
) -> None:
    """Something that answers, but not in frames, is reported as broken."""

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"220 hello, this is something else entirely\r\n")
        writer.close()

    runner = Runner(tmp_path / "m-0.sock")
    server = await asyncio.start_unix_server(shout, str(runner.path))
    with pytest.raises(BackendBroken, match="the runner's line: announces"):
        await ask(hosted_by(runner), 1)
    server.close()
    await server.wait_closed()


async def test_ready_asks_the_runner(tmp_path: Path, hosted_by: HostedBy) -> None:
    """Ready means that a runner answered just now."""
    async with runners(tmp_path) as (runner,):
        hosted = hosted_by(runner)
        assert await hosted.ready()
        await runner.die()
        assert not await hosted.ready()
        assert not await hosted.ready()


class Stubborn:
    """Never answers, and does not stop when it is told to before it is `released`."""

    def __init__(self) -> None:
        self.released = False

    async def answer(self, question: frames.Question) -> Said:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if self.released:
                    raise

    def describe(self) -> frames.Described:
        return frames.Described()


def hosted_lines_cut(runner: Runner) -> None:
    """Cut every connection to *runner*, as the kernel does when a process dies."""
    for visitor in tuple(runner.hosting.visitors):
        visitor.hang_up()


async def until_asked(hosted: Hosted, condition: Callable[[], bool]) -> None:
    """Keep calling until *condition* holds: connections are only made for calls."""
    async with asyncio.timeout(10):
        while not condition():
            await ask(hosted, 1)
            await asyncio.sleep(0.01)


async def _error(work: object) -> BaseException | None:
    assert asyncio.iscoroutine(work)
    try:
        await work
    except BackendError as error:
        return error
    return None
