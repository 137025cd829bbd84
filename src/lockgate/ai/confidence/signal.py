"""Judges that read a confidence off the signal the model itself gives.

Neither is calibrated: they order answers by how sure the model is, and say so in `explain`. A
calibrated judge is fitted on labelled cases and takes their place.
"""

from __future__ import annotations

import math

from lockgate.core.exchange import Answer


class ProbabilityJudge:
    """The largest class probability; of several rows, that of the least certain one."""

    def confidence(self, answer: Answer) -> float | None:
        """Give the smallest of the rows' largest class probabilities."""
        rows = answer.raw.probabilities
        return min(rows) if rows else None


class LogprobJudge:
    """The geometric mean of the token probabilities, that is, the inverse of perplexity."""

    def confidence(self, answer: Answer) -> float | None:
        """Give exp(mean of the natural-log token probabilities)."""
        tokens = answer.raw.logprobs
        return math.exp(min(0.0, math.fsum(tokens) / len(tokens))) if tokens else None
