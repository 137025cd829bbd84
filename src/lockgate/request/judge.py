"""Say how likely an answer is to be right, and whether that is enough.

Place   inside cascade and degrade, after every attempt
Reads   the answer's raw signal
Writes  answer.confidence
Leaves  the answer itself
"""

from __future__ import annotations

from typing import Final

from lockgate.core.errors import NotSure
from lockgate.core.exchange import Answer
from lockgate.core.ports import Judge

NAME: Final = "judge"


class Bar:
    """A judge and the confidence that answers must reach."""

    __slots__ = ("_floor", "_judge")

    def __init__(self, judge: Judge | None, floor: float) -> None:
        self._judge = judge
        self._floor = floor

    def confidence(self, answer: Answer) -> float | None:
        """Give the confidence of *answer*, None if it has no signal to judge by."""
        return None if self._judge is None else self._judge.confidence(answer)

    def require(self, answer: Answer, *, unjudged_passes: bool) -> None:
        """Let *answer* through if it is good enough.

        An answer that cannot be judged counts as bad, but for a rung: that one was put on the
        ladder by a person who knows it gives no signal.

        Raises:
            NotSure: Its confidence is below the floor, or unknown.
        """
        if self._floor == 0.0:
            return
        if answer.confidence is None:
            if not unjudged_passes:
                raise NotSure("the model gave no signal to judge by", target=answer.target)
        elif answer.confidence < self._floor:
            raise NotSure(
                f"confidence {answer.confidence:.3f} is below {self._floor:.3f}",
                target=answer.target,
            )
