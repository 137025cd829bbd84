"""The line's codec: what goes in comes out, in whatever pieces, and garbage is garbage."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.ai.models import frames
from lockgate.core.payload import Message, Rows, Tensor, Tensors

_IDS = st.integers(0, 2**63)
_TEXTS = st.text(max_size=50)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)
_BODIES = _JSON.map(frames.body_of)
_FRAMES: st.SearchStrategy[frames.Frame] = st.one_of(
    st.builds(
        frames.Ask, _IDS, st.floats(allow_nan=False), st.sampled_from(["rows", "chat"]), _BODIES
    ),
    st.builds(frames.Cancel, _IDS),
    st.builds(frames.Reply, _IDS, _BODIES, st.lists(st.floats(0, 1), max_size=3).map(tuple)),
    st.builds(frames.Chunk, _IDS, _TEXTS),
    st.builds(frames.End, _IDS),
    st.builds(frames.Fault, _IDS, _TEXTS, _TEXTS),
)


@given(st.lists(_FRAMES, max_size=6), st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_frames_survive_any_cutting(sent: list[frames.Frame], cuts: list[int]) -> None:
    """However the stream is cut into pieces, the same frames come out in the same order."""
    stream = b"".join(map(frames.pack, sent))
    unpacker = frames.Unpacker()
    came: list[frames.Frame] = []
    position = turn = 0
    while position < len(stream):
        size = cuts[turn % len(cuts)]
        came += unpacker.feed(stream[position : position + size])
        position, turn = position + size, turn + 1
    assert [_comparable(frame) for frame in came] == [_comparable(frame) for frame in sent]


@given(st.binary(max_size=200))
def test_garbage_is_a_bad_frame_or_not_yet_one(garbage: bytes) -> None:
    """Bytes from anywhere give frames or `BadFrame`, never another exception."""
    try:
        frames.Unpacker().feed(garbage)
    except frames.BadFrame:
        return


@given(_FRAMES, st.binary(min_size=1, max_size=40))
def test_damaged_frames_never_escape_as_other_errors(frame: frames.Frame, noise: bytes) -> None:
    """A frame with wrong bytes in it gives a frame or `BadFrame`."""
    packed = bytearray(frames.pack(frame))
    for place, byte in enumerate(noise):
        packed[4 + (place * 7) % (len(packed) - 4)] ^= byte
    try:
        frames.Unpacker().feed(bytes(packed))
    except frames.BadFrame:
        return


def test_a_frame_that_announces_too_much_is_refused_at_once() -> None:
    """Four bytes are enough to refuse a frame; nothing is buffered for it."""
    with pytest.raises(frames.BadFrame, match="64,000,001"):
        frames.Unpacker().feed((frames.MAX_FRAME + 1).to_bytes(4, "big"))


def test_a_frame_that_is_too_large_is_not_sent() -> None:
    """The sender refuses what the other end would refuse."""
    body = frames.body_of(b"x" * frames.MAX_FRAME)
    with pytest.raises(frames.FrameTooLarge, match="at most 64,000,000"):
        frames.pack(frames.Ask(1, 0.0, "rows", body))


def test_a_largest_frame_passes() -> None:
    """Just below the limit, a frame goes through whole, in many pieces."""
    data = b"x" * (frames.MAX_FRAME - 100)
    packed = frames.pack(frames.Reply(1, frames.body_of(data)))
    unpacker = frames.Unpacker()
    came = [
        frame
        for start in range(0, len(packed), 1 << 20)
        for frame in unpacker.feed(packed[start : start + (1 << 20)])
    ]
    assert [type(frame) for frame in came] == [frames.Reply]
    assert isinstance(came[0], frames.Reply)
    assert msgspec.msgpack.decode(came[0].body) == data


@pytest.mark.parametrize(
    ("value", "reason"),
    [(2**64, "serialize ints"), ({1, object()}, "object"), ("\ud800", "surrogate")],
)
def test_what_msgpack_cannot_carry_is_named(value: object, reason: str) -> None:
    """A body that cannot be encoded is a `ValueError` that says why."""
    with pytest.raises(ValueError, match=reason):
        frames.body_of(value)


def test_deep_nesting_is_an_error_at_both_ends() -> None:
    """Ten thousand levels of nesting neither crash the sender nor the receiver."""
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(ValueError, match="nested"):
        frames.body_of(nested)
    hostile = b"\x91" * 100_000 + b"\xc0"
    with pytest.raises(frames.BadFrame):
        frames.question_of(frames.Ask(1, 0.0, "rows", msgspec.Raw(b"\x81\xa5input" + hostile)))
    while nested:
        (nested,) = nested  # taken apart by hand: freeing it whole would nest as deeply


@pytest.mark.parametrize(
    ("verb", "question"),
    [
        ("rows", Rows(input={"a": [1, 2.5, None]})),
        ("chat", frames.Turns(messages=(Message("user", "hi"),), stream=True)),
        (
            "tensors",
            Tensors(inputs=(Tensor(name="x", datatype="FP64", shape=(1, 1), data=b"12345678"),)),
        ),
    ],
)
def test_questions_arrive_as_they_were_asked(verb: frames.Verb, question: frames.Question) -> None:
    """The body of an ask decodes to the question it was made from; raw bytes stay raw bytes."""
    ask = frames.Ask(1, 0.0, verb, frames.body_of(question))
    assert frames.question_of(ask) == question


def test_a_body_of_another_verb_is_a_bad_frame() -> None:
    """An ask whose body does not fit its verb is refused."""
    with pytest.raises(frames.BadFrame, match="chat"):
        frames.question_of(frames.Ask(1, 0.0, "chat", frames.body_of(Rows(input=1))))


def _comparable(frame: frames.Frame) -> bytes:
    return msgspec.msgpack.encode(frame)
