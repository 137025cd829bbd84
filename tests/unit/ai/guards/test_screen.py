"""The combined guard finds what it should, leaves alone what it should, and fails closed."""

from __future__ import annotations

from zlib import crc32

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.ai.guards import injection, pii, secrets
from lockgate.ai.guards.patterns import Patterns
from lockgate.ai.guards.rule import Action, Match, Rule, Span
from lockgate.ai.guards.screen import DEFAULT_ACTION, RULES, GuardSpec, Screen, build
from lockgate.core.exchange import Decision, Verdict
from tests.unit.ai.guards.benign import BENIGN
from tests.unit.ai.guards.samples import ALL, Sample

EVERY = build([GuardSpec(name) for name in DEFAULT_ACTION])
MENDING = build([GuardSpec(name, "mend") for name in DEFAULT_ACTION])
BY_NAME = {name: build([GuardSpec(name)]) for name in DEFAULT_ACTION}
ALL_RULES = (*injection.rules(), *secrets.rules(), *pii.rules())
COMPILED = Patterns(ALL_RULES)


def label(value: Sample | str) -> str:
    """Name a case by its text, in ASCII."""
    text = value if isinstance(value, str) else f"{value.guard} {value.text}"
    return f"{ascii(text)[1:40]} {crc32(text.encode(errors='replace')):08x}"


def texts() -> st.SearchStrategy[str]:
    """Make texts of samples, ordinary sentences, and whatever comes to mind between them."""
    piece = st.sampled_from([s.text for s in ALL if len(s.text) < 300] + BENIGN) | st.text(
        max_size=12
    )
    glue = st.sampled_from(["", " ", "\n", ", ", ": ", '"'])
    return st.lists(st.tuples(piece, glue), min_size=1, max_size=4).map(
        lambda parts: "".join(part + between for part, between in parts)
    )


@pytest.mark.parametrize("sample", ALL, ids=label)
def test_samples_are_found(sample: Sample) -> None:
    """The named guard alone finds every sample, and nothing of the finding stays."""
    screened = BY_NAME[sample.guard].inspect(sample.text)
    assert screened.verdicts
    assert all(verdict.by.startswith(f"{sample.guard}.") for verdict in screened.verdicts)
    assert not sample.finding or sample.finding not in screened.text


@pytest.mark.parametrize("text", BENIGN, ids=label)
def test_ordinary_texts_are_left_alone(text: str) -> None:
    """All guards together find nothing in ordinary texts."""
    screened = EVERY.inspect(text)
    assert not screened.verdicts
    assert screened.text == text


def test_there_are_enough_samples() -> None:
    """The tables are large enough for the rates in the documentation to mean something."""
    assert len({sample.text for sample in ALL}) >= 150
    assert len(set(BENIGN)) >= 200


@pytest.mark.parametrize("sample", ALL, ids=label)
def test_triggers_are_within_every_match(sample: Sample) -> None:
    """The first pass cannot rule out what a pattern finds, also in a piece of the text."""
    for rule in ALL_RULES:
        for match in COMPILED.matches(rule, sample.text, 0):
            assert rule in COMPILED.hits(sample.text[match.start() : match.end()]).rules


@settings(deadline=None, max_examples=400)
@given(texts())
def test_a_mended_text_holds_nothing(text: str) -> None:
    """Screening what was screened finds nothing."""
    once = MENDING.inspect(text)
    assert not any(verdict.decision is Decision.REFUSE for verdict in once.verdicts)
    assert MENDING.inspect(once.text) == type(once)(once.text)


@settings(deadline=None, max_examples=300)
@given(texts())
def test_verdicts_count_what_was_found(text: str) -> None:
    """A verdict's reason is a number of findings, never the text."""
    for verdict in MENDING.inspect(text).verdicts:
        count, _, rest = verdict.reason.partition(" ")
        assert int(count) >= 1
        assert rest == "found"


def test_verdicts_name_rule_and_count() -> None:
    """Two addresses are one verdict of two."""
    screened = BY_NAME["pii"].inspect("a@b.com, c@d.org")
    assert screened.text == "[email], [email]"
    assert screened.verdicts == (Verdict(by="pii.email", decision=Decision.MEND, reason="2 found"),)


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("pay 4111 1111 1111 1111 now", "pay [card] now"),
        ("IBAN DE89 3704 0044 0532 0130 00, thanks", "IBAN [iban], thanks"),
        ("jo@acme.com.Thanks", "[email].Thanks"),
        ("DB_PASSWORD='kR9vTq2LmX'", "DB_PASSWORD='[secret]'"),
        ("postgres://app:kR9vTq2LmX@db/x", "postgres://app:[secret:password-in-url]@db/x"),
        ("Anna\u200b Schmidt", "Anna Schmidt"),
        ("99887766 4111111111111111 12/26", "99887766 [card] 12/26"),
    ],
)
def test_only_the_finding_is_replaced(text: str, mended: str) -> None:
    """What stands around a finding stays as it was."""
    assert MENDING.inspect(text).text == mended


def test_overlapping_findings_leave_no_rest() -> None:
    """Where findings overlap, everything that any of them covers is gone."""
    key = "sk-ant-api03-" + "aB3dE6gH9" * 6
    screened = MENDING.inspect(f"token={key}")
    assert screened.text == "token=[secret:anthropic-key]"


@pytest.mark.parametrize("name", list(DEFAULT_ACTION))
@pytest.mark.parametrize("action", ["mend", "refuse"])
def test_the_action_is_the_operators(name: str, action: Action) -> None:
    """Each guard can mend or refuse, as the manifest says."""
    guard = build([GuardSpec(name, action)])  # pyright: ignore[reportArgumentType] — from a list
    sample = next(s for s in ALL if s.guard == name)
    verdicts = guard.inspect(sample.text).verdicts
    assert {verdict.decision for verdict in verdicts} == {Decision(action)}


def test_guards_that_were_not_named_do_not_look() -> None:
    """A service that asks for one guard gets that one only."""
    assert not BY_NAME["secrets"].inspect("jo@example.com, a\u200bb").verdicts


def test_an_unknown_guard_is_an_error() -> None:
    """A name that does not exist is told, with those that do."""
    with pytest.raises(ValueError, match="secrets"):
        build([GuardSpec("toxicity")])  # pyright: ignore[reportArgumentType] — that is the test


def broken(_text: str, _match: Match) -> tuple[Span, ...]:
    """Fail, as a rule with a bug would."""
    raise RuntimeError("the text was: 4711")


BROKEN = Screen(
    [Rule(name="pii.broken", trigger="4", pattern="4[0-9]*", placeholder="[x]", check=broken)],
    {"pii": Decision.MEND},
)


def test_a_broken_rule_refuses() -> None:
    """A guard that cannot look lets nothing pass, and does not tell the text."""
    screened = BROKEN.inspect("number 4711")
    assert screened.text == ""
    assert [v.decision for v in screened.verdicts] == [Decision.REFUSE]
    assert screened.verdicts[0].by == "guard.failed"
    assert "4711" not in screened.verdicts[0].reason
    assert BROKEN.hold("number 4711") == len("number 4711")


def test_text_that_is_not_unicode_is_refused() -> None:
    """A lone surrogate cannot be screened, so it does not pass."""
    assert EVERY.inspect("\ud800").verdicts[0].by == "guard.failed"


@pytest.mark.parametrize(
    "text",
    [
        "1" * 1_000_000,
        "4111 1111 1111 1111 " * 20_000,
        "-" * 1_000_000,
        "a@" * 300_000,
        "a@a." * 100_000,
        "\"'" * 300_000,
        "ignore " * 100_000,
        "ignore all previous " * 30_000,
        "-----BEGIN PRIVATE KEY-----\n" * 20_000,
        "password=" * 60_000,
        "eyJ" * 200_000,
        "sk-" * 200_000,
        "\u2066" * 50_000,
        "\u200e " * 50_000,
        "иi" * 50_000,
    ],
    ids=label,
)
@pytest.mark.timeout(30)
def test_nasty_long_texts_are_decided(text: str) -> None:
    """No text makes a guard fail or hang; `bench/guards.py` shows that time grows with length."""
    assert all(not v.by.startswith("guard.") for v in MENDING.inspect(text).verdicts)


def test_every_rule_belongs_to_its_guard() -> None:
    """Verdicts are decided by the guard that a rule's name begins with."""
    for name, rules in RULES.items():
        assert all(rule.guard == name for rule in rules())


def test_triggers_compile_alone() -> None:
    """Each trigger and pattern is RE2 syntax by itself, so that an error names its rule."""
    for rule in ALL_RULES:
        assert re2.compile(rule.trigger) is not None
        assert re2.compile(rule.pattern) is not None
