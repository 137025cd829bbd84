"""The beginnings of a pattern are worked out right: a stream's safety rests on them."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from lockgate.ai.guards.begin import begin
from tests.unit.ai.guards.samples import ALL, Sample
from tests.unit.ai.guards.test_screen import ALL_RULES, COMPILED, label

PATTERNS = (
    r"abc",
    r"a[0-9]{2,4}b?",
    r"(?:ab|cd)+e",
    r"x(?:y|z{2})*w",
    r"(?:a|bc){1,3}d",
    r"\bkey-[a-c]{3,}",
    r"a(b|c)?d",
    r"[^a]\.a{2}",
    r"a.{0,2}?b",
    r"[]a]b|[\]c]d",
)
ALPHABET = "abcdexyzw0123.]key-"


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=st.text(ALPHABET, max_size=8))
def test_every_beginning_of_a_match_is_known(pattern: str, text: str) -> None:
    """If a text matches, each of its beginnings matches the pattern of beginnings."""
    if re2.fullmatch(pattern, text):
        for end in range(len(text) + 1):
            assert re2.fullmatch(begin(pattern), text[:end])


@pytest.mark.parametrize(("pattern", "text"), [("abc", "b"), ("a[0-9]{2}", "a1b"), ("ab|cd", "ad")])
def test_other_texts_are_not_beginnings(pattern: str, text: str) -> None:
    """A text that cannot be continued to a match is not held."""
    assert not re2.fullmatch(begin(pattern), text)


@pytest.mark.parametrize("pattern", ["(a", "a)", "a)b"])
def test_what_is_not_understood_is_an_error(pattern: str) -> None:
    """Syntax that cannot be followed is told, not guessed."""
    with pytest.raises(ValueError, match=r"beginnings|group"):
        begin(pattern)


@pytest.mark.parametrize("sample", ALL, ids=label)
def test_every_beginning_of_every_finding_is_held(sample: Sample) -> None:
    """For each rule and sample: no end of text within a match is sent."""
    for rule in ALL_RULES:
        for match in COMPILED.matches(rule, sample.text, 0):
            for end in range(match.start() + 1, match.end() + 1, max(1, len(sample.text) // 100)):
                assert COMPILED.unfinished(sample.text[:end]) >= end - match.start()
