"""Case files: a call in, and the answer, the record and the trail that come out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lockgate.core.exchange import Outcome
from scripts.tree import ROOT
from tests.paths.case import Call, Case, cases
from tests.paths.play import House

CASES = list(cases())
_ROW = re.compile(r"^\| ([^|]+?) \| [^|]+ \| [^|]+ \|$", re.MULTILINE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.case)
def test_what_goes_in_comes_out_as_the_case_says(case: Case, tmp_path: Path) -> None:
    """The caller is told what the case says, and what was recorded agrees with it."""
    house = House(case, tmp_path)
    with house.opened():
        for call in case.calls:
            got, kept = house.play(call)
            assert _of(got, call.answer) == call.answer
            assert _of(kept, call.record) == call.record
            _check_agreement(call, got, kept)


def _of(found: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """Take what is expected; of what is not there at all, nothing is expected."""
    return {name: found.get(name, "nothing of that name") for name in expected}


def _check_agreement(call: Call, got: dict[str, Any], kept: dict[str, Any]) -> None:
    """See that nothing is recorded unexpectedly, and that caller and record are told the same."""
    assert bool(kept) == bool(call.record)
    if got and kept:
        assert got["status"] == kept["status"]
        assert got["code"] == kept["code"] or kept["outcome"] not in ("rejected", "failed")
        assert got["outcome"] == kept["outcome"] or kept["ended"] in ("broken", "refused")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.case)
def test_a_case_says_what_becomes_of_each_call(case: Case) -> None:
    """No call goes unchecked: an answer or its absence, and the whole trail of what is recorded."""
    for call in case.calls:
        assert call.goes_on or call.leaves or "status" in call.answer or "outcome" in call.answer
        assert not call.record or {"outcome", "trail"} <= call.record.keys()


def test_every_outcome_has_a_case() -> None:
    """What a caller can be told is shown by an example."""
    told = {call.record.get("outcome") for case in CASES for call in case.calls}
    assert told - {None} == set(Outcome)


def test_every_early_ending_has_a_case() -> None:
    """Each row of the table in docs/life-of-a-call.md is shown by an example, and no other."""
    page = (ROOT / "docs" / "life-of-a-call.md").read_text("utf-8")
    table = page.partition("## Every way a call can end early")[2].partition("\n## ")[0]
    rows = set(_ROW.findall(table)) - {"where", "---"}
    assert len(rows) > 10
    assert {case.ending for case in CASES} - {""} == rows
