"""What the demo says of its table."""

from __future__ import annotations

from typing import Any

from lockgate.demo.table import failures
from lockgate.demo.traffic import Told


def told(**facts: Any) -> Told:
    """Make what a caller was told."""
    whole: dict[str, Any] = {"service": "assistant", "at": 1.0, "seconds": 0.1, "status": 200}
    return Told(**(whole | facts))


def test_why_calls_failed() -> None:
    """Failed calls get a line with the reason; others get none."""
    cut = told(outcome="failed", answer={"code": "backend_gone"})
    late = told(outcome="failed", status=504, answer={"error": {"code": "deadline_exceeded"}})
    first, second = failures([told(outcome="answered"), cut, cut, late])
    assert first.startswith("failed 2: streams that had begun")
    assert "(backend_gone), never with [DONE]" in first
    assert second.startswith("failed 1: ")
    assert "(deadline_exceeded)" in second
    assert not list(failures([told(outcome="uncertain")]))
