"""The path keeps its promises: one outcome, one record, everything given back."""

from __future__ import annotations

import asyncio
import math

import pytest

from lockgate.core.errors import (
    BackendBroken,
    BackendBusy,
    BackendGone,
    BackendTimeout,
    CallRefused,
    InputRejected,
    InputTooLong,
    InvalidCall,
    NotAllowed,
    Overloaded,
    StoreError,
)
from lockgate.core.exchange import Answer, Decision, Exchange, Outcome, Signal
from lockgate.core.money import Price
from lockgate.core.payload import (
    Chat,
    ChatChunk,
    ChatReply,
    ChatStream,
    RowsReply,
    Tensor,
    Tensors,
    TensorsReply,
    Usage,
)
from lockgate.core.ports import Ask
from lockgate.request.validate import SchemaContract
from lockgate.testing.builders import a_call, a_chat, a_reply, a_row, rows
from lockgate.testing.fakes import FakeBackend, FakeChunks, FakeGuard
from lockgate.testing.paths import Bench

pytestmark = pytest.mark.anyio


def _text(exchange: Exchange) -> str:
    assert exchange.answer is not None
    assert isinstance(exchange.answer.reply, ChatReply)
    return exchange.answer.reply.text


async def test_an_answer_is_priced_judged_recorded_once_and_its_place_given_back() -> None:
    """The plain case: what the ledger says is what happened."""
    bench = Bench(
        {"small": FakeBackend([a_reply("hi", logprobs=(math.log(0.5), math.log(0.5)))])},
        signal=Signal.LOGPROB,
        limit=1,
    )
    path = bench.path()

    exchange = await path.carry(a_call())
    assert not bench.places.take_now()
    path.record(exchange, 200)
    path.close(exchange)

    assert bench.places.take_now()
    (entry,) = bench.recorder.entries
    assert (entry.outcome, entry.status, entry.target) == ("answered", 200, "small")
    assert entry.cost == 5 * 2 + 2 * 3
    assert (entry.input_tokens, entry.output_tokens) == (5, 2)
    assert entry.confidence == pytest.approx(0.5)
    stages = [note.stage for note in entry.notes() if note.event == "ran"]
    assert stages == [
        "admit",
        "validate",
        "screen",
        "recall",
        "route",
        "cascade",
        "degrade",
        "screen",
        "remember",
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BackendGone("gone", target="small"), "upstream_gone"),
        (BackendTimeout("slow", target="small"), "upstream_timeout"),
        (BackendBusy("busy", target="small"), "upstream_busy"),
        (BackendBroken("odd", target="small"), "upstream_broken"),
    ],
)
async def test_a_failed_target_steps_down_to_the_next_rung(error: Exception, code: str) -> None:
    """Whatever is wrong with the model, the rung answers and the trail says why."""
    bench = Bench(
        {"small": FakeBackend([error]), "tiny": FakeBackend([a_reply("low", target="tiny")])},
        plan=("small",),
        ladder=("tiny", "uncertain"),
    )

    exchange = await bench.path().carry(a_call())

    assert exchange.outcome is Outcome.FALLBACK
    assert exchange.rung == "target:tiny"
    assert [attempt.result for attempt in exchange.attempts] == [code, "accepted"]


async def test_without_a_ladder_the_failure_is_the_callers() -> None:
    """Nothing is made up: no rung, no answer, and the outcome says failed."""
    bench = Bench({"small": FakeBackend([BackendGone("gone", target="small")])})

    exchange = await bench.path().carry(a_call())

    assert exchange.outcome is Outcome.FAILED
    assert isinstance(exchange.failure, BackendGone)
    assert exchange.answer is None


async def test_an_unsure_answer_is_withheld_and_its_cost_still_counted() -> None:
    """A wrong answer is never served silently: below the floor the ladder speaks."""
    bench = Bench(
        {"small": FakeBackend([a_row({"label": "ill"}, sure=0.6)])},
        ladder=("uncertain",),
        says={"label": None},
        signal=Signal.PROBABILITY,
        floor=0.9,
        price=Price(call=7),
    )
    path = bench.path()

    exchange = await path.carry(a_call(rows({"x": 1})))

    assert exchange.outcome is Outcome.UNCERTAIN
    assert exchange.answer is not None
    assert exchange.answer.reply == RowsReply(output={"label": None})
    assert exchange.answer.confidence == 0.6
    assert exchange.cost == 7


async def test_an_answer_without_a_signal_is_not_good_enough_for_a_floor() -> None:
    """No confidence means no promise; but a rung is trusted by whoever put it there."""
    silent = a_row({"team": "billing"})
    bench = Bench(
        {"small": FakeBackend([silent]), "rule": FakeBackend([silent])},
        plan=("small",),
        ladder=("rule",),
        signal=Signal.LOGPROB,
        floor=0.1,
    )

    exchange = await bench.path().carry(a_call(rows("x")))

    assert [attempt.result for attempt in exchange.attempts] == ["low_confidence", "accepted"]
    assert exchange.outcome is Outcome.FALLBACK


async def test_tensors_keep_their_numbers_when_they_are_uncertain() -> None:
    """V2 has no null: the numbers go back, marked uncertain."""
    tensors = (Tensor(name="predict", datatype="INT64", shape=(1,), data=[1]),)
    unsure = Answer(reply=TensorsReply(outputs=tensors), target="small", raw=a_row(0, sure=0.5).raw)
    bench = Bench(
        {"small": FakeBackend([unsure])},
        ladder=("uncertain",),
        signal=Signal.PROBABILITY,
        floor=0.9,
        contract_out=SchemaContract({"type": "object"}),
    )

    exchange = await bench.path().carry(a_call(Tensors(inputs=tensors)))

    assert exchange.outcome is Outcome.UNCERTAIN
    assert exchange.answer is not None
    assert exchange.answer.reply == TensorsReply(outputs=tensors)


async def test_a_broken_output_contract_falls_to_the_ladder() -> None:
    """An answer of the wrong form is no answer."""
    schema = {"type": "object", "required": ["team"]}
    bench = Bench(
        {"small": FakeBackend([a_row({"tem": 1})]), "rule": FakeBackend([a_row({"team": "x"})])},
        plan=("small",),
        ladder=("rule",),
        contract_out=SchemaContract(schema),
    )

    exchange = await bench.path().carry(a_call(rows("x")))

    assert [attempt.result for attempt in exchange.attempts] == ["contract_broken", "accepted"]
    assert "tem" not in repr(exchange.trail)


async def test_a_broken_input_contract_costs_nothing() -> None:
    """The model is not asked, and the message says where the input is wrong."""
    backend = FakeBackend([a_row(1)])
    contract = SchemaContract({"type": "object", "properties": {"x": {"type": "number"}}})
    bench = Bench({"small": backend}, contract_in=contract)

    exchange = await bench.path().carry(a_call(rows({"x": "no"})))

    assert isinstance(exchange.failure, InvalidCall)
    assert "x:" in exchange.failure.message
    assert exchange.outcome is Outcome.REJECTED
    assert backend.asked == []


async def test_the_same_question_is_answered_from_the_cache_for_nothing() -> None:
    """A cached answer is marked, free and needs no model; another tenant does not share it."""
    backend = FakeBackend([a_reply("hi")])
    bench = Bench({"small": backend}, fresh=60.0)
    path = bench.path()

    first = await path.carry(a_call())
    again = await path.carry(a_call())
    other = await path.carry(a_call(tenant="other"))

    assert [first.outcome, again.outcome, other.outcome] == ["answered", "cached", "answered"]
    assert (again.cost, _text(again)) == (0, "hi")
    assert len(backend.asked) == 2


async def test_a_stale_answer_beats_none() -> None:
    """When the model is down an old answer is given, and called stale."""
    backend = FakeBackend([a_reply("old"), BackendGone("gone", target="small")])
    bench = Bench({"small": backend}, fresh=60.0, ladder=("cache", "uncertain"))
    path = bench.path()
    await path.carry(a_call())
    bench.clock.seconds += 120.0

    exchange = await path.carry(a_call(clock=bench.clock))

    assert (exchange.outcome, exchange.rung, _text(exchange)) == (Outcome.STALE, "cache", "old")


async def test_texts_are_mended_before_the_model_and_before_the_caller() -> None:
    """The model never sees the secret, and neither does the caller in the answer."""
    backend = FakeBackend([a_reply("the secret is out")])
    bench = Bench({"small": backend}, guard=FakeGuard("secret"))

    exchange = await bench.path().carry(a_call(a_chat("my secret")))

    sent = backend.asked[0].request
    assert isinstance(sent, Chat)
    assert b"secret" not in bytes(sent.fields["messages"])
    assert _text(exchange) == "the [gone] is out"
    assert [verdict.side for verdict in exchange.verdicts] == ["in", "out"]


async def test_a_refusal_reaches_no_model_and_is_called_refused() -> None:
    """A refused input costs nothing; the message names the guard and not the text."""
    backend = FakeBackend([a_reply("hi")])
    guard = FakeGuard("attack", Decision.REFUSE)
    bench = Bench({"small": backend}, guard=guard)
    path = bench.path()
    exchange = await path.carry(a_call(a_chat("attack!")))
    path.record(exchange, 400)

    assert exchange.outcome is Outcome.REFUSED
    assert isinstance(exchange.failure, CallRefused)
    assert "attack!" not in exchange.failure.message
    assert backend.asked == []
    assert [verdict.decision for verdict in bench.recorder.entries[0].verdicts] == ["refuse"]


async def test_a_key_for_another_service_is_not_let_in() -> None:
    """Scopes are checked before anything is held."""
    bench = Bench({"small": FakeBackend([a_reply()])})

    exchange = await bench.path().carry(a_call(services=frozenset({"other"})))

    assert isinstance(exchange.failure, NotAllowed)
    assert exchange.outcome is Outcome.REJECTED
    assert not exchange.leases.held


async def test_a_full_house_turns_calls_away_or_degrades_without_asking_a_model() -> None:
    """Overload is told at once; with a ladder the rungs that cost nothing answer."""
    for ladder, outcome in (((), Outcome.REJECTED), (("tiny", "uncertain"), Outcome.UNCERTAIN)):
        backend = FakeBackend([a_reply()])
        bench = Bench(
            {"small": backend, "tiny": backend},
            plan=("small",),
            ladder=ladder,
            limit=1,
            queue=0,
        )
        path = bench.path()
        first = await path.carry(a_call())

        second = await path.carry(a_call())

        assert second.outcome is outcome
        assert len(backend.asked) == 1
        path.close(first)
        path.close(second)
        assert isinstance(second.failure, Overloaded)


async def test_no_time_left_means_no_further_attempt() -> None:
    """Targets after the deadline are not asked; the local rung still answers."""
    clock_eater = FakeBackend([BackendTimeout("slow", target="small")])
    second = FakeBackend([a_reply()])
    bench = Bench(
        {"small": clock_eater, "large": second},
        plan=("small", "large"),
        ladder=("uncertain",),
    )
    path = bench.path()

    exchange = await path.carry(a_call(deadline_s=0.01, clock=bench.clock))

    assert second.asked == []
    assert exchange.outcome is Outcome.UNCERTAIN


class Hanging:
    """A backend that never answers and does not keep its deadline."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def answer(self, ask: Ask) -> Answer:
        """Wait for ever."""
        del ask
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def ready(self) -> bool:
        """Pretend."""
        return True

    async def close(self) -> None:
        """Nothing to close."""


async def test_a_caller_who_leaves_is_recorded_and_frees_the_place() -> None:
    """Cancellation is normal: the line is written, the place goes to the next."""
    hanging = Hanging()
    bench = Bench({"small": hanging}, limit=1)
    bench.clock.seconds = asyncio.get_running_loop().time()
    path = bench.path()
    task = asyncio.create_task(path.carry(a_call(clock=bench.clock)))
    await hanging.asked.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    (entry,) = bench.recorder.entries
    assert (entry.status, entry.outcome, entry.ended) == (499, "failed", "abandoned")
    assert bench.places.take_now()


async def test_a_bug_in_a_stage_is_an_internal_error_and_is_recorded() -> None:
    """An escaped exception is told as 500, keeps its cause, and nothing leaks."""
    bench = Bench({"small": FakeBackend([ZeroDivisionError()])}, limit=1)
    path = bench.path()

    exchange = await path.carry(a_call())
    path.record(exchange, 500)
    path.close(exchange)

    assert exchange.failure is not None
    assert exchange.failure.code == "internal_error"
    assert isinstance(exchange.failure.__cause__, ZeroDivisionError)
    assert len(bench.recorder.entries) == 1


def _stream(*chunks: ChatChunk | BackendGone) -> tuple[Answer, FakeChunks]:
    source = FakeChunks(chunks)
    return Answer(reply=ChatStream(source), target="small"), source


async def _drain(exchange: Exchange) -> str:
    assert exchange.answer is not None
    assert isinstance(exchange.answer.reply, ChatStream)
    return "".join([chunk.text async for chunk in exchange.answer.reply.chunks])


async def test_a_stream_is_counted_and_settled_when_it_ends() -> None:
    """Usage from the last chunk, price and confidence at the end, recorded as complete."""
    answer, _ = _stream(
        ChatChunk(text="a", logprobs=(math.log(0.25),)),
        ChatChunk(text="b", finish_reason="stop", logprobs=(math.log(0.25),)),
        ChatChunk(usage=Usage(input_tokens=10, output_tokens=2)),
    )
    bench = Bench({"small": FakeBackend([answer])}, signal=Signal.LOGPROB)
    path = bench.path()
    exchange = await path.carry(a_call(a_chat(stream=True)))

    assert await _drain(exchange) == "ab"
    path.record(exchange, 200)

    entry = bench.recorder.entries[0]
    assert (entry.ended, entry.cost, entry.outcome) == ("complete", 26, "answered")
    assert entry.confidence == pytest.approx(0.25)


async def test_a_broken_stream_is_recorded_as_broken_and_paid_for() -> None:
    """What was given before the break is billed, and the outcome is failed."""
    answer, _ = _stream(ChatChunk(text="a"), ChatChunk(text="b"), BackendGone("cut"))
    bench = Bench({"small": FakeBackend([answer])})
    path = bench.path()
    exchange = await path.carry(a_call(a_chat(stream=True)))

    with pytest.raises(BackendGone):
        await _drain(exchange)
    path.record(exchange, 200)

    entry = bench.recorder.entries[0]
    assert (entry.ended, entry.outcome, entry.cost) == ("broken", "failed", 2 * 3)
    assert entry.code == "upstream_gone"
    assert [(a.result, a.cost) for a in entry.attempts] == [("upstream_gone", 6)]
    assert (entry.trail[-1].stage, entry.trail[-1].detail) == ("stream", "upstream_gone")


async def test_a_stream_nobody_read_is_closed_and_recorded_as_abandoned() -> None:
    """The upstream is stopped even if the caller left before the first chunk."""
    answer, source = _stream(ChatChunk(text="a"))
    bench = Bench({"small": FakeBackend([answer])}, guard=FakeGuard("zzz"))
    path = bench.path()
    exchange = await path.carry(a_call(a_chat(stream=True)))
    assert exchange.answer is not None
    assert isinstance(exchange.answer.reply, ChatStream)

    await exchange.answer.reply.aclose()
    path.close(exchange)

    assert source.closed
    assert bench.recorder.entries[0].ended == "abandoned"


async def test_a_stream_is_screened_across_chunk_borders() -> None:
    """A finding split over chunks never leaves; the rest arrives whole, last chunk included."""
    answer, _ = _stream(
        ChatChunk(text="my sec"),
        ChatChunk(text="ret is s"),
        ChatChunk(text="e", finish_reason="stop"),
    )
    bench = Bench({"small": FakeBackend([answer])}, guard=FakeGuard("secret"))

    exchange = await bench.path().carry(a_call(a_chat("hi", stream=True)))

    assert await _drain(exchange) == "my [gone] is se"
    assert exchange.tally.verdicts[0].side == "out"


async def test_a_refused_stream_ends_with_the_refusal_and_stops_the_upstream() -> None:
    """Mid-stream refusal: nothing of the finding leaves, the upstream is closed."""
    answer, source = _stream(ChatChunk(text="fine "), ChatChunk(text="attack"), ChatChunk(text="x"))
    guard = FakeGuard("attack", Decision.REFUSE)
    bench = Bench({"small": FakeBackend([answer])}, guard=guard)
    path = bench.path()
    exchange = await path.carry(a_call(a_chat("hi", stream=True)))

    with pytest.raises(CallRefused):
        await _drain(exchange)
    path.record(exchange, 200)

    assert source.closed
    assert bench.recorder.entries[0].outcome == "refused"


async def test_what_cannot_be_recorded_is_not_paid_for() -> None:
    """After a full disk the model is left alone; a moment later one call may try again."""
    backend = FakeBackend([a_reply("hi")])
    bench = Bench({"small": backend})
    path = bench.path()
    bench.recorder.full = True
    first = await path.carry(a_call())
    with pytest.raises(StoreError):
        path.record(first, 200)

    refused = await path.carry(a_call())
    bench.recorder.full = False
    bench.clock.seconds += 2.0
    after = await path.carry(a_call(clock=bench.clock))

    assert isinstance(refused.failure, StoreError)
    assert len(backend.asked) == 2
    assert after.outcome is Outcome.ANSWERED


async def test_the_deepest_input_is_the_callers_fault_not_a_bug() -> None:
    """Nesting that the interpreter cannot follow is a 400, told in a sentence."""
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    bench = Bench({"small": FakeBackend([a_row(1)])}, guard=FakeGuard("zzz"))

    exchange = await bench.path().carry(a_call(rows(deep)))

    assert isinstance(exchange.failure, InvalidCall)
    assert exchange.outcome is Outcome.REJECTED


async def test_keys_are_texts_too() -> None:
    """A secret does not get past the guard as the name of a field."""
    backend = FakeBackend([a_row({"secret": 1})])
    bench = Bench({"small": backend}, guard=FakeGuard("secret"))

    exchange = await bench.path().carry(a_call(rows({"my secret": [{"secret": 2}]})))

    assert backend.asked[0].request == rows({"my [gone]": [{"[gone]": 2}]})
    assert exchange.answer is not None
    assert exchange.answer.reply == RowsReply(output={"[gone]": 1})


async def test_the_callers_fault_is_not_dressed_as_uncertainty() -> None:
    """What a model says of the input goes back as a 400; no other target, no rung answers."""
    fault = InputRejected("the upstream answered HTTP 400", said="too long", target="small")
    other = FakeBackend([a_reply()])
    bench = Bench(
        {"small": FakeBackend([fault]), "large": other},
        plan=("small", "large"),
        ladder=("large", "uncertain"),
    )
    path = bench.path()

    exchange = await path.carry(a_call())
    path.record(exchange, 400)

    assert exchange.outcome is Outcome.REJECTED
    assert exchange.failure is fault
    assert other.asked == []
    entry = bench.recorder.entries[0]
    assert "too long" not in repr(entry)
    assert [attempt.result for attempt in entry.attempts] == ["input_rejected"]


async def test_what_the_ladder_tried_in_vain_is_recorded_and_paid_for() -> None:
    """An attempt counts wherever it was made, also if nothing came of it."""
    bench = Bench(
        {"small": FakeBackend([a_row({"tem": 1})]), "rule": FakeBackend([a_row({"tem": 2})])},
        plan=("small",),
        ladder=("rule",),
        contract_out=SchemaContract({"type": "object", "required": ["team"]}),
        price=Price(call=7),
    )
    path = bench.path()

    exchange = await path.carry(a_call(rows("x")))
    path.record(exchange, 502)

    (entry,) = bench.recorder.entries
    assert [(one.target, one.result) for one in entry.attempts] == [
        ("small", "contract_broken"),
        ("rule", "contract_broken"),
    ]
    assert (entry.cost, entry.outcome, entry.code) == (14, "failed", "contract_broken")
    assert [note.event for note in entry.notes() if note.stage == "degrade"] == ["ran", "stopped"]


TOO_LONG = InputTooLong("the upstream answered HTTP 400", said="9000 tokens", target="small")
GONE = BackendGone("gone", target="large")


@pytest.mark.parametrize(("plan", "ladder"), [(("small", "large"), ()), (("small",), ("large",))])
async def test_an_input_too_long_for_one_model_may_fit_another(
    plan: tuple[str, ...], ladder: tuple[str, ...]
) -> None:
    """A later target and a model on the ladder are asked, though nothing else steps in."""
    bench = Bench(
        {"small": FakeBackend([TOO_LONG]), "large": FakeBackend([a_reply("ok", target="large")])},
        plan=plan,
        ladder=("uncertain", *ladder),
    )

    exchange = await bench.path().carry(a_call())

    assert _text(exchange) == "ok"
    assert [attempt.result for attempt in exchange.attempts] == [
        "context_length_exceeded",
        "accepted",
    ]


async def test_an_input_too_long_for_all_is_the_callers_fault() -> None:
    """No rung that is no model takes over; the caller is told to shorten it."""
    bench = Bench(
        {"small": FakeBackend([TOO_LONG]), "large": FakeBackend([TOO_LONG])},
        plan=("small",),
        ladder=("large", "uncertain"),
    )

    exchange = await bench.path().carry(a_call())

    assert (exchange.outcome, exchange.failure) == (Outcome.REJECTED, TOO_LONG)
    assert [attempt.target for attempt in exchange.attempts] == ["small", "large"]


@pytest.mark.parametrize("first", [GONE, TOO_LONG])
async def test_a_model_that_failed_may_have_had_room_for_a_long_input(first: Exception) -> None:
    """Then nobody can say that the caller is at fault, whichever was asked first."""
    second = TOO_LONG if first is GONE else GONE
    targets = {"small": FakeBackend([first]), "large": FakeBackend([second])}

    exchange = await Bench(dict(targets)).path().carry(a_call())
    honest = await Bench(dict(targets), ladder=("uncertain",)).path().carry(a_call())

    assert (exchange.outcome, exchange.failure) == (Outcome.FAILED, GONE)
    assert honest.outcome is Outcome.UNCERTAIN
