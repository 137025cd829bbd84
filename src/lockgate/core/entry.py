"""The ledger line of a call: the flat row that an exchange becomes once it is over.

No field holds what was said: prompts, answers and keys never reach the journal or the ledger.
"""

from __future__ import annotations

from typing import Final

import msgspec

from lockgate.core.exchange import STAGES, Attempt, Note, Verdict

IN_NOTES: Final = frozenset({"marks", "laps"})
"""Fields of an entry that the ledger has no columns for: `Entry.notes` tells the same."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One finished call. Fields are only ever added at the end: old journals must stay readable.

    Attributes:
        id: Request id, as told to the caller.
        received_at: Nanoseconds since 1970 UTC.
        seconds: From the call's arrival to the end of its answer.
        first_output: Seconds to the first output of a stream; None otherwise.
        outcome: One of `Outcome`.
        status: HTTP status sent.
        code: The error's code, empty if there was none.
        ended: How a stream ended (see `Tally`); empty if there was none.
        rung: The ladder's rung that gave the answer; empty if it was not needed.
        target: What gave the answer; empty if nothing did.
        confidence: Probability that the answer is right, if known.
        cost: Pico-dollars, failed attempts included.
        trail, marks, laps: As on the exchange; in the ledger, the trail is the whole of `notes`.
    """

    id: str
    service: str
    surface: str
    release: str
    key_id: str
    tenant: str
    received_at: int
    seconds: float
    first_output: float | None
    outcome: str
    status: int
    code: str
    ended: str
    rung: str
    target: str
    confidence: float | None
    cost: int
    input_tokens: int
    output_tokens: int
    attempts: tuple[Attempt, ...]
    verdicts: tuple[Verdict, ...]
    trail: tuple[Note, ...]
    marks: tuple[int, ...] = ()
    laps: tuple[float, ...] = ()

    def notes(self) -> tuple[Note, ...]:
        """Give the whole trail: each stage that ran, after what was said while it did."""
        if not self.laps:
            return self.trail
        notes: list[Note] = []
        said = list(zip(self.marks, self.trail, strict=False))
        for place, seconds in enumerate(self.laps):
            notes += [note for mark, note in said if mark == place]
            if seconds >= 0:
                notes.append(Note(STAGES[place], "ran", "", seconds))
        notes += [note for mark, note in said if mark >= len(self.laps)]
        return (*notes, *self.trail[len(said) :])
