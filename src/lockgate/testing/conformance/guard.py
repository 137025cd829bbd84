"""What every `Guard` must do, whatever it looks for.

Derive a test class from `GuardPromises` and give it a fixture `harness`:

    class TestMyGuard(GuardPromises):
        @pytest.fixture
        def harness(self):
            return GuardHarness(guard=MyGuard(), harmless=("Good morning.",), harmful=("…",))
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lockgate.core.exchange import Decision, Verdict
from lockgate.core.ports import Guard, Screened


@dataclass(frozen=True, slots=True)
class GuardHarness:
    """A guard, texts that it must leave alone, and texts in which it must find something.

    Attributes:
        secrets: What must not be left of the harmful texts nor be told by any verdict.
    """

    guard: Guard
    harmless: tuple[str, ...]
    harmful: tuple[str, ...]
    secrets: tuple[str, ...] = ()


def refuses(screened: Screened) -> bool:
    """Say whether a verdict forbids the text to pass."""
    return any(verdict.decision is Decision.REFUSE for verdict in screened.verdicts)


def _told(verdicts: tuple[Verdict, ...]) -> str:
    return " ".join(f"{verdict.by} {verdict.reason} {verdict.side}" for verdict in verdicts)


class GuardPromises:
    """The promises, as tests."""

    def test_harmless_texts_pass(self, harness: GuardHarness) -> None:
        """What holds no finding comes back as it is, without a verdict against it."""
        for text in harness.harmless:
            screened = harness.guard.inspect(text)
            assert screened.text == text
            assert all(verdict.decision is Decision.ALLOW for verdict in screened.verdicts)

    def test_the_empty_text_passes(self, harness: GuardHarness) -> None:
        """Nothing holds nothing."""
        assert harness.guard.inspect("").text == ""
        assert harness.guard.hold("") == 0

    def test_harmful_texts_are_found(self, harness: GuardHarness) -> None:
        """A finding either changes the text or refuses it, and a verdict says so."""
        for text in harness.harmful:
            screened = harness.guard.inspect(text)
            assert refuses(screened) or screened.text != text
            assert any(verdict.decision is not Decision.ALLOW for verdict in screened.verdicts)

    def test_secrets_do_not_pass(self, harness: GuardHarness) -> None:
        """Of what was found nothing is left in a text that may pass."""
        for text in harness.harmful:
            screened = harness.guard.inspect(text)
            left = [secret for secret in harness.secrets if secret in screened.text]
            assert refuses(screened) or not left

    def test_mending_twice_changes_nothing_more(self, harness: GuardHarness) -> None:
        """A mended text holds no finding."""
        for text in harness.harmful:
            once = harness.guard.inspect(text)
            if not refuses(once):
                assert harness.guard.inspect(once.text) == Screened(once.text)

    def test_verdicts_do_not_tell_the_text(self, harness: GuardHarness) -> None:
        """Verdicts are recorded, so they never hold what was found, nor the text around it."""
        for text in harness.harmful:
            told = _told(harness.guard.inspect(text).verdicts)
            assert text not in told
            assert not any(secret in told for secret in harness.secrets)

    def test_verdicts_are_named_and_reasoned(self, harness: GuardHarness) -> None:
        """Each verdict says by which rule and why."""
        for text in harness.harmful:
            for verdict in harness.guard.inspect(text).verdicts:
                assert verdict.by
                assert verdict.reason or verdict.decision is Decision.ALLOW

    def test_hold_is_within_the_text(self, harness: GuardHarness) -> None:
        """A stream is never told to hold back more than there is."""
        for text in harness.harmless + harness.harmful:
            for end in range(0, len(text) + 1, max(1, len(text) // 64)):
                assert 0 <= harness.guard.hold(text[:end]) <= end

    def test_equal_texts_get_equal_answers(self, harness: GuardHarness) -> None:
        """A guard keeps no memory of what it has seen."""
        for text in harness.harmful + harness.harmless:
            assert harness.guard.inspect(text) == harness.guard.inspect(text)
            assert harness.guard.hold(text) == harness.guard.hold(text)

    def test_threads_may_share_it(self, harness: GuardHarness) -> None:
        """Many threads at once get the answers that one gets alone."""
        texts = (harness.harmless + harness.harmful) * 8
        alone = [harness.guard.inspect(text) for text in texts]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(harness.guard.inspect, texts)) == alone
