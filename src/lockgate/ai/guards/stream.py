"""Screen a stream: send what is safe as early as possible, and nothing of a finding ever.

Guarantee, for the guards built by `lockgate.ai.guards.screen.build`, any text and any way of
cutting it into pieces: what `feed` and `flush` give, put together, is what `inspect` gives for the
whole text; a refusal comes in both or in neither, and no character of a finding, and no placeholder
in part, is given before it is decided. Exception: a candidate that stays open for more than
`LONGEST` characters is refused (`guard.overlong`) although the whole text might only be mended.

For any other `Guard` the guarantee is as good as its `hold`.
"""

from __future__ import annotations

from typing import Final

from lockgate.ai.guards.invisible import REACH
from lockgate.ai.guards.rule import CONTEXT
from lockgate.ai.guards.screen import Screen, failed
from lockgate.core.exchange import Decision, Verdict
from lockgate.core.ports import Guard, Screened

LONGEST: Final = 8192
"""Characters that are held back at most; enough for a 4096-bit RSA key in PEM."""

_OVERLONG: Final = Verdict(
    by="guard.overlong",
    decision=Decision.REFUSE,
    reason=f"a possible finding was still open after {LONGEST} characters",
)


class StreamScreen:
    """Screens one stream piece by piece; make one for every stream."""

    __slots__ = ("_guard", "_hidden", "_over", "_rules")

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._hidden = _Held()
        self._rules = _Held()
        self._over = False

    def feed(self, text: str) -> Screened:
        """Take the next piece; give what is safe to send now. After a refusal, nothing more."""
        return self._take(text, final=False)

    def flush(self) -> Screened:
        """Give what was still held back: the stream is over."""
        return self._take("", final=True)

    def _take(self, text: str, *, final: bool) -> Screened:
        if self._over:
            return Screened("")
        try:
            screened = self._screened(text, final=final)
        except Exception as error:  # noqa: BLE001 — a guard that cannot look must not let pass
            screened = failed(error)
        refused = any(v.decision is Decision.REFUSE for v in screened.verdicts)
        self._over = final or refused
        return Screened("", screened.verdicts) if refused else screened

    def _screened(self, text: str, *, final: bool) -> Screened:
        if not isinstance(self._guard, Screen):
            return self._generic(self._guard, text, final=final)
        raw = self._hidden.add(text)
        seen = self._guard.stripped(raw, self._hidden.start, final=final)
        self._hidden.sent(raw, seen.cut, REACH)
        clean = self._rules.add(seen.text)
        start = self._rules.start
        done = self._guard.settled(clean, start, final=final)
        self._rules.sent(done.text, done.cut, CONTEXT)
        return self._bounded(Screened(done.text[start : done.cut], seen.verdicts + done.verdicts))

    def _generic(self, guard: Guard, text: str, *, final: bool) -> Screened:
        held = self._rules.add(text)
        cut = len(held) - (0 if final else guard.hold(held))
        screened = guard.inspect(held[:cut]) if cut else Screened("")
        self._rules.sent(held, cut, 0)
        return self._bounded(screened)

    def _bounded(self, screened: Screened) -> Screened:
        if self._rules.waiting <= LONGEST:
            return screened
        return Screened("", (*screened.verdicts, _OVERLONG))


class _Held:
    """Text that waits, after some that has gone on and is kept for context."""

    __slots__ = ("_text", "start")

    def __init__(self) -> None:
        self._text = ""
        self.start = 0

    @property
    def waiting(self) -> int:
        """Characters that have not gone on."""
        return len(self._text) - self.start

    def add(self, text: str) -> str:
        """Put *text* at the end; give all of it, context first."""
        self._text += text
        return self._text

    def sent(self, text: str, cut: int, context: int) -> None:
        """Note that *text* has gone on up to *cut*; keep *context* characters of that."""
        kept = max(0, cut - context)
        self._text = text[kept:]
        self.start = cut - kept
