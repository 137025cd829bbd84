"""Server-sent events from bytes in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.ai.models.sse import MAX_EVENT, Event, EventParser
from lockgate.core.errors import BackendBroken


def parse(*pieces: bytes) -> list[Event]:
    """Parse *pieces* as one stream."""
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [Event(b"a")]),
        (b"data:a\n\n", [Event(b"a")]),
        (b"data:  a\n\n", [Event(b" a")]),
        (b"data: a\r\n\r\n", [Event(b"a")]),
        (b"data: a\r\rdata: b\r\r", [Event(b"a"), Event(b"b")]),
        (b"data: a\r\n\ndata: b\n\r\n", [Event(b"a"), Event(b"b")]),
        (b"data: a\ndata: b\n\n", [Event(b"a\nb")]),
        (b"data\n\n", [Event(b"")]),
        (b"data\ndata\n\n", [Event(b"\n")]),
        (b"data:\n\n", [Event(b"")]),
        (b": comment\n\n:\n\ndata: a\n: in between\n\n", [Event(b"a")]),
        (b"event: ping\ndata: {}\n\ndata: a\n\n", [Event(b"{}", b"ping"), Event(b"a")]),
        (b"event: ping\n\ndata: a\n\n", [Event(b"a")]),
        (b"id: 1\nretry: 5\nfoo: bar\ndatax: z\ndata: a\n\n", [Event(b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event(b"a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
        (b"data: a\n\n\n\n\ndata: b\n\n", [Event(b"a"), Event(b"b")]),
        (b"data: a: b\n\n", [Event(b"a: b")]),
        (
            "data: ä\x0b\x0c\x1c\x85\u2028b\n\n".encode(),
            [Event("ä\x0b\x0c\x1c\x85\u2028b".encode())],
        ),
        (b" data: a\n\n", []),
        (b"data: a\n", []),
        (b"data: a", []),
        (b"", []),
    ],
)
def test_standard(stream: bytes, events: list[Event]) -> None:
    """Events are what the standard says, at once and byte by byte."""
    assert parse(stream) == events
    assert parse(*(stream[at : at + 1] for at in range(len(stream)))) == events


def test_event_is_given_with_its_blank_line() -> None:
    """An event does not wait for the next one, not even after a lone CR that LF could follow."""
    parser = EventParser()
    assert parser.feed(b"data: a\r\n\r") == [Event(b"a")]
    assert parser.feed(b"\ndata: b\r\n\r") == [Event(b"b")]


def test_size_is_bounded() -> None:
    """An event that never ends is refused, whether as one line or as many."""
    with pytest.raises(BackendBroken, match="more than"):
        parse(b"data: " + b"a" * MAX_EVENT)
    with pytest.raises(BackendBroken, match="more than"):
        parse(*[b"data: " + b"a" * 1000 + b"\n"] * (MAX_EVENT // 1000))
    with pytest.raises(BackendBroken, match="more than"):
        parse(*[b"x" * 4096] * 300)


def test_size_counts_for_one_event() -> None:
    """A long stream of small events is no large event."""
    assert len(parse(*[b"data: " + b"a" * 10_000 + b"\n\n"] * 300)) == 300


LINES = st.lists(
    st.sampled_from(
        [b"data: a", b"data:", b'data: {"x":1}', b": c", b"event: e", b"", b"", b"id: 1", b"zzz"]
    )
    | st.binary(max_size=12),
    max_size=12,
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@settings(max_examples=500)
@given(LINES, ENDS, st.lists(st.integers(1, 9), max_size=60), st.booleans())
def test_any_pieces_give_the_same_events(
    lines: list[bytes], end: bytes, sizes: list[int], bom: bool
) -> None:
    """How the network cuts a stream makes no difference."""
    stream = (b"\xef\xbb\xbf" if bom else b"") + b"".join(line + end for line in lines)
    pieces: list[bytes] = []
    at = 0
    for size in sizes:
        pieces.append(stream[at : at + size])
        at += size
    assert parse(*pieces, stream[at:]) == parse(stream)


PAYLOAD = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=30)


@given(st.lists(st.lists(PAYLOAD, min_size=1, max_size=3), max_size=5), ENDS)
def test_round_trip(events: list[list[str]], end: bytes) -> None:
    """What a correct server writes is what is read."""
    stream = b"".join(
        b"".join(b"data: " + line.encode() + end for line in event) + end for event in events
    )
    assert [event.data.decode().split("\n") for event in parse(stream)] == events
