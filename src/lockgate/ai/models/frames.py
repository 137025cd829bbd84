"""The line between a worker and a runner: length-prefixed msgpack frames, many calls at once.

A frame is four bytes of length, big-endian, and a msgpack array whose first element says what it
is. The worker sends `Ask` and `Cancel`; the runner sends, for every `Ask`, any number of `Chunk`
and then exactly one of `Reply`, `End` and `Fault`, also after a `Cancel`: the last frame says that
the work has really ended, so counting asks without one measures a runner's load. Deadlines are
monotonic seconds; both ends of a unix socket share that clock.

Nothing here does I/O.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from lockgate.core.payload import Message, Rows, Tensors

MAX_FRAME: Final = 64_000_000
"""Bytes of the largest frame either side accepts."""
PREFIX: Final = 4

Verb = Literal["rows", "tensors", "chat", "describe"]
"""What an `Ask` asks for, and so what is in its body."""


class Turns(msgspec.Struct, frozen=True, kw_only=True):
    """A chat as a runner gets it: who said what, and whether the answer may come in pieces."""

    messages: tuple[Message, ...]
    stream: bool = False


class TensorForm(msgspec.Struct, frozen=True, kw_only=True):
    """Name, datatype and shape of a tensor a model takes or gives; -1 stands for any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What a model takes and gives; empty if it does not speak tensors."""

    inputs: tuple[TensorForm, ...] = ()
    outputs: tuple[TensorForm, ...] = ()


Question = Rows | Tensors | Turns
"""What a model is asked: the decoded body of an `Ask`."""


class _Frame(msgspec.Struct, frozen=True, array_like=True):
    """Base of all frames; `id` is the worker's number of the ask on this connection."""

    id: int


class Ask(_Frame, frozen=True, array_like=True, tag=1):
    """Answer this before *deadline*."""

    deadline: float
    verb: Verb
    body: msgspec.Raw


class Cancel(_Frame, frozen=True, array_like=True, tag=2):
    """Nobody waits for this any more."""


class Reply(_Frame, frozen=True, array_like=True, tag=3):
    """The whole answer, and the largest class probability of each row where there is one."""

    body: msgspec.Raw
    probabilities: tuple[float, ...] = ()


class Chunk(_Frame, frozen=True, array_like=True, tag=4):
    """A piece of text of a streamed answer."""

    text: str


class End(_Frame, frozen=True, array_like=True, tag=5):
    """The streamed answer is complete."""


class Fault(_Frame, frozen=True, array_like=True, tag=6):
    """There is no answer, or no rest of it; *code* is that of a `BackendError`.

    Its *message* cannot quote the caller, what the model *said* may.
    """

    code: str
    message: str
    said: str = ""


Frame = Ask | Cancel | Reply | Chunk | End | Fault


class FrameTooLarge(Exception):
    """A frame is larger than the line carries."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size:,} bytes; the line to a runner carries at most {MAX_FRAME:,}")
        self.size = size


class BadFrame(Exception):
    """What came in is not a frame; nothing after it can be understood."""


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[Frame]] = msgspec.msgpack.Decoder(Frame)
_QUESTIONS: Final = {
    "rows": msgspec.msgpack.Decoder[Question](Rows),
    "tensors": msgspec.msgpack.Decoder[Question](Tensors),
    "chat": msgspec.msgpack.Decoder[Question](Turns),
}


def body_of(value: object) -> msgspec.Raw:
    """Encode what goes into a frame's body.

    Raises:
        ValueError: *value* holds something msgpack cannot carry; the message says what.
    """
    try:
        return msgspec.Raw(_ENCODER.encode(value))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except UnicodeEncodeError as error:
        raise ValueError("a text in it has a lone surrogate") from error
    except (OverflowError, TypeError, NotImplementedError) as error:
        raise ValueError(str(error)) from error


def question_of(ask: Ask) -> Question:
    """Decode what *ask* asks.

    Raises:
        BadFrame: The body does not fit the verb.
    """
    try:
        return _QUESTIONS[ask.verb].decode(ask.body)
    except (msgspec.MsgspecError, RecursionError, KeyError, UnicodeDecodeError) as error:
        raise BadFrame(f"the body of an ask for {ask.verb} is of another form") from error


def pack(frame: Frame) -> bytes:
    """Encode *frame*, length first.

    Raises:
        FrameTooLarge: It would not be accepted at the other end.
    """
    encoded = _ENCODER.encode(frame)
    if len(encoded) > MAX_FRAME:
        raise FrameTooLarge(len(encoded))
    return len(encoded).to_bytes(PREFIX, "big") + encoded


class Unpacker:
    """Turns what comes off a socket, in whatever pieces, back into frames."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, piece: bytes) -> list[Frame]:
        """Take the next bytes; give the frames they complete, in order.

        Raises:
            BadFrame: The bytes are not frames, or announce one that is too large.
        """
        self._pending += piece
        frames: list[Frame] = []
        start = 0
        while (end := self._end_of_frame(start)) is not None:
            frames.append(_decode(bytes(self._pending[start + PREFIX : end])))
            start = end
        if start:
            del self._pending[:start]
        return frames

    def _end_of_frame(self, start: int) -> int | None:
        """Find where the frame at *start* ends, None if it is not complete."""
        if len(self._pending) - start < PREFIX:
            return None
        size = int.from_bytes(self._pending[start : start + PREFIX], "big")
        if size > MAX_FRAME:
            raise BadFrame(f"announces {size:,} bytes; at most {MAX_FRAME:,} are accepted")
        end = start + PREFIX + size
        return end if end <= len(self._pending) else None


def _decode(encoded: bytes) -> Frame:
    try:
        return _DECODER.decode(encoded)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame("what came in is not a frame") from error
