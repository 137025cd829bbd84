"""No caller is ever given another tenant's, release's or question's answer."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lockgate.core.exchange import Call
from lockgate.core.payload import Chat, Message
from lockgate.request.cache import MAX_BYTES, Answers, key_of
from lockgate.testing.builders import a_call, a_chat, a_reply, rows
from lockgate.testing.fakes import FakeClock

texts = st.text(max_size=12)


def _chat(fields: dict[str, str]) -> Chat:
    raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    return Chat(fields=raw, messages=(Message("user", "x"),))


@given(
    one=st.tuples(texts, texts, st.dictionaries(texts.filter(bool), texts, max_size=3)),
    two=st.tuples(texts, texts, st.dictionaries(texts.filter(bool), texts, max_size=3)),
)
def test_different_calls_have_different_keys_and_equal_calls_equal_ones(
    one: tuple[str, str, dict[str, str]], two: tuple[str, str, dict[str, str]]
) -> None:
    """Tenant, release and every parameter are part of the key, unambiguously."""

    def key(parts: tuple[str, str, dict[str, str]]) -> bytes | None:
        tenant, release, fields = parts
        return key_of(a_call(_chat({**fields, "model": "any"}), tenant=tenant), release)

    def told(parts: tuple[str, str, dict[str, str]]) -> tuple[str, str, dict[str, str]]:
        return (parts[0], parts[1], {**parts[2], "model": "any"})

    assert (key(one) == key(two)) == (told(one) == told(two))


def test_streams_are_not_cached_and_surfaces_do_not_share() -> None:
    """A stream has no key; a predict input never meets a chat's."""
    assert key_of(a_call(a_chat(stream=True)), "r") is None
    call: Call = a_call(rows("hello"))
    assert key_of(call, "r") != key_of(a_call(a_chat("hello")), "r")


@given(st.integers(1, 5), st.lists(st.integers(0, 9), max_size=30))
def test_the_least_recently_used_goes_first(limit: int, used: list[int]) -> None:
    """The bound holds, and what was used last is still there."""
    answers = Answers(limit, FakeClock())
    for number in used:
        answers.put(bytes([number]), a_reply(str(number)))

    kept = [n for n in range(10) if answers.get(bytes([n]), 1e9) is not None]
    recent = list(dict.fromkeys(reversed(used)))[:limit]
    assert sorted(kept) == sorted(recent)


def test_weight_is_bounded_not_only_number() -> None:
    """Big answers cannot fill the memory of a worker."""
    answers = Answers(1_000_000, FakeClock())
    big = "x" * 1_000_000
    for number in range(100):
        answers.put(str(number).encode(), a_reply(big))

    kept = sum(answers.get(str(n).encode(), 1e9) is not None for n in range(100))
    assert 0 < kept <= MAX_BYTES // 1_000_000
    answers.put(b"huge", a_reply("x" * (MAX_BYTES // 8)))
    assert answers.get(b"huge", 1e9) is None
