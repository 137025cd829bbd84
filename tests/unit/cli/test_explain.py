"""`lockgate explain`: one call, whole."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from lockgate.core.exchange import Attempt, Decision, Note, Verdict
from lockgate.core.payload import Usage
from lockgate.testing.conformance.store import an_entry
from tests.unit.cli.project import Project, a_project

CALL = an_entry(
    1,
    outcome="fallback",
    rung="rule",
    target="rule",
    attempts=(
        Attempt(target="small", result="upstream_gone", seconds=0.0123),
        Attempt(
            target="rule",
            result="accepted",
            seconds=0.2,
            cost=37_500,
            usage=Usage(input_tokens=3, output_tokens=4),
            confidence=0.875,
        ),
    ),
    verdicts=(Verdict(by="pii", decision=Decision.MEND, reason="an e-mail", side="in"),),
    trail=(Note("admit", "ok", "key k1", 0.00005), Note("degrade", "fallback", "rule", 0.2)),
)


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Project:
    """Give a project with one call in its ledger."""
    project = a_project(tmp_path, capsys)
    project.fill(CALL)
    return project


def test_everything_about_a_call_is_shown(project: Project) -> None:
    """Every stage, verdict and attempt, with time and price."""
    ran = project.run("explain", CALL.id)
    assert ran.code == 0
    text = " ".join(ran.out.split())
    for part in (
        "call-000001 assistant fallback",
        "2023-11-14T22:13:20.000000001Z (UTC), by chat",
        "250 ms, first output 125 ms",
        "rule (rung rule)",
        "0.7500",
        "0.0000000375 USD",
        "tenant acme, key k1",
        "admit 0.05 ms ok key k1",
        "degrade 200 ms fallback rule",
        "pii in mend an e-mail",
        "1. small upstream_gone 12.3 ms 0 USD",
        "2. rule accepted 200 ms 0.0000000375 USD 3 in, 4 out confidence 0.8750",
    ):
        assert part in text


def test_a_chat_is_found_by_the_id_its_answer_has(project: Project) -> None:
    """Whoever copies the `id` of a completion finds the call, as with its request id."""
    ran = project.run("explain", f"chatcmpl-{CALL.id}")
    assert (ran.code, CALL.id in ran.out) == (0, True)


def test_json_is_one_object(project: Project) -> None:
    """With the ledger's own names."""
    call = json.loads(project.run("explain", CALL.id, "--json").out)
    assert (call["id"], call["rung"], len(call["attempts"])) == (CALL.id, "rule", 2)


def test_what_a_call_did_not_have_is_said(project: Project) -> None:
    """A call that no guard and no model saw is explained too."""
    project.fill(an_entry(2, attempts=(), verdicts=(), trail=(), confidence=None))
    ran = project.run("explain", "call-000002")
    assert ran.code == 0
    for part in ("no attempts", "no verdicts", "no trail", "not known"):
        assert part in ran.out


def test_an_unknown_call_is_said(project: Project) -> None:
    """With the code for a check that said no, and where to look."""
    ran = project.run("explain", "nobody")
    assert (ran.code, ran.out) == (3, "")
    assert "lockgate calls" in ran.err


def test_a_call_that_has_just_ended_is_waited_for(project: Project) -> None:
    """The steward needs a moment; the command gives it one."""
    late = threading.Timer(0.3, lambda: project.fill(an_entry(3)))
    late.start()
    ran = project.run("explain", "call-000003")
    late.join()
    assert (ran.code, "call-000003" in ran.out) == (0, True)
