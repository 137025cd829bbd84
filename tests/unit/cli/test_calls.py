"""`lockgate calls`: the ledger, as a table for people and as JSON for everyone else."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from lockgate.store import ledger
from lockgate.testing.conformance.store import an_entry
from tests.unit.cli.project import Project, a_project


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Project:
    """Give a project with three calls in its ledger, one of them from just now."""
    project = a_project(tmp_path, capsys)
    project.fill(
        an_entry(1),
        an_entry(2, service="router", outcome="failed", code="upstream_gone", target=""),
        an_entry(3, received_at=time.time_ns(), confidence=None),
    )
    return project


def _ids(project: Project, *words: str) -> list[str]:
    ran = project.run("calls", "--json", *words)
    assert ran.code == 0
    return [call["id"] for call in json.loads(ran.out)]


def test_the_newest_comes_first(project: Project) -> None:
    """And a limit leaves out the oldest, and says so."""
    assert _ids(project) == ["call-000003", "call-000002", "call-000001"]
    assert _ids(project, "--limit", "2") == ["call-000003", "call-000002"]
    more = "there are more than --limit 2: --before call-000002\n"
    assert project.run("calls", "--limit", "2").err == more
    assert project.run("calls", "--limit", "3").err == ""


@pytest.mark.parametrize(
    ("before", "ids"),
    [
        ("call-000003", ["call-000002", "call-000001"]),
        ("chatcmpl-call-000002", ["call-000001"]),
        ("call-000001", []),
        ("2026-01-01", ["call-000002", "call-000001"]),
        ("2023-11-14 22:13:20 UTC", []),
        ("2023-11-14T23:13:21+01:00", ["call-000002", "call-000001"]),
    ],
)
def test_a_listing_goes_on_before_a_call_or_a_time(
    project: Project, before: str, ids: list[str]
) -> None:
    """So the ledger can be read to its end, in as many goes as one likes."""
    assert _ids(project, "--before", before) == ids


def test_a_listing_cannot_go_on_from_nowhere(project: Project) -> None:
    """What is neither a call nor a time is said to be so."""
    ran = project.run("calls", "--before", "yesterday")
    assert (ran.code, ran.out) == (3, "")
    assert "'yesterday'" in ran.err


def test_a_listing_has_no_ceiling_and_is_read_in_pages(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many calls are wanted, few are in memory; what is printed is one listing."""
    monkeypatch.setattr(ledger, "PAGE", 2)
    project.fill(*(an_entry(number) for number in range(4, 9)))
    everything = [f"call-{number:06}" for number in (3, 8, 7, 6, 5, 4, 2, 1)]
    assert _ids(project, "--limit", "1000000") == everything
    assert _ids(project, "--limit", "5") == everything[:5]
    assert project.run("calls", "--limit", "5").err.endswith("--before call-000005\n")
    ran = project.run("calls", "--limit", "100")
    assert (ran.out.count("outcome"), ran.err) == (4, "")
    assert all(name in ran.out for name in everything)


def test_calls_can_be_chosen(project: Project) -> None:
    """By service, by outcome and by time."""
    assert _ids(project, "--service", "router") == ["call-000002"]
    assert _ids(project, "--outcome", "answered") == ["call-000003", "call-000001"]
    assert _ids(project, "--since", "1h") == ["call-000003"]
    assert _ids(project, "--since", "1h", "--service", "router") == []


def test_json_has_every_field(project: Project) -> None:
    """Times are exact and in UTC, money is exact and in dollars, details are there."""
    call = json.loads(project.run("calls", "--json", "--since", "3650d").out)[2]
    assert call["received_at"] == "2023-11-14T22:13:20.000000001Z"
    assert (call["cost_usd"], call["cost_pico_usd"]) == ("0.0000000375", 37500)
    assert call["attempts"][0]["cost_usd"] == "0.000000000005"
    assert call["trail"][0] == {"stage": "admit", "event": "ok", "detail": "", "seconds": 0.001}
    assert "cost" not in call


def test_json_has_one_call_on_each_line(project: Project) -> None:
    """So that it can be searched by line as well as parsed as a whole."""
    lines = project.run("calls", "--json").out.splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("[", "]", 5)


def test_the_table_shows_what_matters(project: Project) -> None:
    """One line per call; piped, nothing is cut off."""
    ran = project.run("calls")
    (line,) = [line for line in ran.out.splitlines() if "call-000001" in line]
    cells = [cell.strip() for cell in line.split("│")[1:-1]]
    assert cells == [
        "2023-11-14 22:13:20 UTC",
        "call-000001",
        "assistant",
        "answered",
        "small",
        "0.75",
        "0.0000000375",
        "250",
    ]
    assert "failed upstream_gone" in ran.out


def test_nothing_found_is_said(project: Project) -> None:
    """An empty table would look like a broken one."""
    ran = project.run("calls", "--service", "nobody")
    assert (ran.code, ran.out) == (0, "")
    assert "no such calls" in ran.err
    assert project.run("calls", "--service", "nobody", "--json").out == "[]\n"


@pytest.mark.parametrize("words", [("--outcome", "fine"), ("--since", "1 moon"), ("--limit", "0")])
def test_a_wrong_choice_is_a_usage_error(project: Project, words: tuple[str, ...]) -> None:
    """It is explained, and nothing is listed."""
    ran = project.run("calls", *words)
    assert (ran.code in {1, 2}, words[0] in ran.out + ran.err) == (True, True)


def test_hostile_texts_are_harmless(project: Project) -> None:
    """What callers can choose cannot paint the terminal."""
    project.fill(an_entry(9, service="[red]a\x1b[2Jb", code="\x07", target="c\nd"))
    ran = project.run("calls")
    assert "[red]a�[2Jb" in ran.out
    assert not {"\x1b", "\x07"} & set(ran.out)


def test_without_a_database_the_way_to_one_is_said(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Looking makes no database."""
    project = a_project(tmp_path_factory.mktemp("new"), capsys)
    ran = project.run("calls")
    assert (ran.code, "lockgate serve" in ran.err) == (5, True)
    assert not (project.root / ".lockgate").exists()
