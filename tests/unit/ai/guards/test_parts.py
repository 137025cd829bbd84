"""The small parts: check digits, account numbers, entropy, hidden characters, disguises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.ai.guards.canonical import canonical
from lockgate.ai.guards.entropy import bits, is_digest, is_placeholder, is_random
from lockgate.ai.guards.iban import LENGTHS, iban
from lockgate.ai.guards.invisible import REACH, strip
from lockgate.ai.guards.luhn import luhn
from lockgate.ai.guards.phrases import parse, phrases
from tests.unit.ai.guards.benign import BENIGN
from tests.unit.ai.guards.samples import CARDS, IBANS, INVISIBLE, Sample
from tests.unit.ai.guards.test_screen import label

HIDDEN = st.text(
    st.sampled_from(
        "ab \n\u200b\u200c\u200d\u200e\u200f\u2066\u2067\u2069\u202a\u202c\u202eשا😀❤\ufe0f\xad"
    )
)


@pytest.mark.parametrize("card", CARDS)
def test_card_numbers_check(card: str) -> None:
    """Published test numbers pass, and no other last digit does."""
    digits = "".join(filter(str.isdigit, card))
    assert [luhn(digits[:-1] + last) for last in "0123456789"].count(True) == 1
    assert luhn(digits)


@given(st.text("0123456789", min_size=2, max_size=19), st.integers(0, 18), st.integers(1, 9))
def test_one_wrong_digit_never_checks(digits: str, place: int, by: int) -> None:
    """Luhn notices every single wrong digit."""
    place %= len(digits)
    wrong = digits[:place] + str((int(digits[place]) + by) % 10) + digits[place + 1 :]
    assert not (luhn(digits) and luhn(wrong))


@pytest.mark.parametrize("number", IBANS)
def test_account_numbers_check(number: str) -> None:
    """Published examples pass; with two digits swapped or one missing they do not."""
    compact = number.replace(" ", "")
    assert iban(compact)
    assert not iban(compact[:-1])
    assert not iban(compact[:2] + f"{(int(compact[2:4]) + 1) % 100:02d}" + compact[4:])


def test_unknown_countries_have_no_account_numbers() -> None:
    """A country outside the registry never passes."""
    assert "XX" not in LENGTHS
    assert not iban("XX82WEST12345698765432")


def test_entropy_is_measured_in_bits() -> None:
    """Four equally frequent characters are two bits each."""
    assert bits("abcd" * 5) == pytest.approx(2.0)
    assert bits("") == 0
    assert bits("aaaa") == 0


@pytest.mark.parametrize("value", ["aaaaaaaaaaaa", "YOUR_KEY_1", "xxxxxxxx12", "changeme99"])
def test_placeholders_are_not_secrets(value: str) -> None:
    """What stands for a secret is none."""
    assert is_placeholder(value)
    assert not is_random(value)


@pytest.mark.parametrize(
    "value",
    [
        "550e8400-e29b-41d4-a716-446655440000",
        "9fceb02d0ae598e95dc970b74767f19372d61af8",
        "sha512-AbC/+123==",
        "D41D8CD98F00B204E9800998ECF8427E",
    ],
)
def test_digests_are_recognised(value: str) -> None:
    """UUIDs, digests and integrity hashes are known for what they are."""
    assert is_digest(value)


@pytest.mark.parametrize("text", [t for t in BENIGN if not t.isascii()], ids=label)
def test_writing_keeps_its_hidden_characters(text: str) -> None:
    """Emoji families, flags, Arabic, Hebrew, Persian, Hindi and Thai stay as they are."""
    assert strip(text).text == text
    assert strip(text).removed == ()


@pytest.mark.parametrize("sample", INVISIBLE, ids=label)
def test_removed_characters_are_told(sample: Sample) -> None:
    """What is left is the text without the positions that are told."""
    text = sample.text
    result = strip(text)
    assert result.removed
    assert result.text == "".join(c for at, c in enumerate(text) if at not in result.removed)


@given(HIDDEN)
def test_stripping_twice_removes_nothing_more(text: str) -> None:
    """What was kept once is kept again."""
    once = strip(text).text
    assert strip(once).text == once


@given(HIDDEN, HIDDEN)
def test_what_is_settled_stays_so(text: str, more: str) -> None:
    """Decisions that were given as settled hold whatever follows."""
    begun = strip(text, final=False)
    later = strip(text + more)
    assert [at for at in later.removed if at < begun.settled] == list(begun.removed)


def test_an_open_isolate_is_decided_within_reach() -> None:
    """Nothing is left unsettled for longer than the stated reach."""
    assert strip("\u2067" + "ש" * (REACH + 1), final=False).settled > REACH


@pytest.mark.parametrize(
    ("disguised", "plain"),
    [
        ("ｉｇｎｏｒｅ", "ignore"),
        ("𝐢𝐠𝐧𝐨𝐫𝐞", "ignore"),
        ("ignоrе", "ignore"),
        ("i\u200bg\xadnore", "ignore"),
        ("ïgnöre", "ignore"),
        ("ⓘⓖⓝⓞⓡⓔ", "ignore"),
        ("привет", "привет"),
    ],
)
def test_disguises_are_seen_through(disguised: str, plain: str) -> None:
    """Styled, accented, hidden and look-alike letters become plain; honest Cyrillic stays."""
    assert canonical(disguised).text == plain


@given(st.text())
def test_canonical_positions_are_told(text: str) -> None:
    """Every canonical character comes from a position, in order, and the end is the end."""
    form = canonical(text)
    assert len(form.origins) == len(form.text) + 1
    assert list(form.origins) == sorted(form.origins)
    assert form.origins[-1] == len(text)


def test_phrases_are_read_from_text() -> None:
    """Parts are filled in, lines joined, comments dropped."""
    text = (
        "# about\n\nWHO =\n    (?:you|\n    me)\n\n"
        "rule\n  when\n    you|me\n  find\n    tell <WHO>\n    now\n"
    )
    (phrase,) = parse(text)
    assert phrase == ("rule", "you|me", "tell (?:you|me)now")


def test_a_malformed_phrase_is_quoted() -> None:
    """A block of another form is an error that shows it."""
    with pytest.raises(ValueError, match="no such form"):
        list(parse("no such form\n  at all\n"))


def test_every_language_has_its_core() -> None:
    """Each file offers phrases, and each rule name is one of the known ones."""
    rules = {phrase.rule for phrase in phrases()}
    assert rules == {"override", "reveal", "persona", "conceal", "exfiltrate", "wrapper"}
