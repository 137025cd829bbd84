"""What is wrong with a manifest: the exact place, and words to act on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lockgate.manifest.findings import CODES
from tests.unit.manifest.conftest import Desk

MODELS = """\
version: 1
models:
  app: {kind: function, call: app:answer}
  far: {kind: openai, url: https://llm.example.com/v1, model: big, key: {env: LLM_KEY}}
"""
"""Lines 1 to 4; `far` is unused unless a test uses it."""

SERVICE = (
    MODELS
    + """\
services:
  desk:
    kind: chat
    targets: [app, far]
"""
)
"""Lines 1 to 8; further lines go into the service, from line 9."""

FORM = [
    ("deadlin: 3s", "9:5 LG1010", "did you mean `deadline`?"),
    ("zzz: 3s", "9:5 LG1010", "known here: `kind`, `purpose`"),
    ("deadline: 8x", "9:15 LG1015", "`8s`"),
    ("confidence: {at_least: 80%}", "9:5 LG1011", "`signal`|probability"),
    ("confidence: {signal: logprobs}", "9:26 LG1013", "did you mean `logprob`?"),
    ("limits: {queue: -1}", "9:21 LG1014", "greater than or equal to 0"),
    ("limits: {concurrent: many}", "9:26 LG1012", "whole number"),
    ("limits: [1]", "9:5 LG1012", "mapping"),
    ("purpose: 3", "9:14 LG1012", "quotes"),
    ("prompt: [a]", "9:5 LG1012", "text"),
    ("contract:", "9:5 LG1012", "leave the key out"),
    ("ladder: [{targt: app}]", "9:14 LG1012", "did you mean `target`?"),
    ("ladder: [{target: app, uncertain: x}]", "9:14 LG1012", "only one of them"),
    ("ladder: [no]", "9:14 LG1012", "a rung is"),
    ("ladder: [{cache: fresh}]", "9:22 LG1013", "`stale`"),
    ("ladder: [{uncertain: 3}]", "9:26 LG1012", "text or a mapping"),
    ("ladder: [{uncertain: x, on: [eror]}]", "9:34 LG1013", "did you mean `error`?"),
    ("ladder: {uncertain: x}", "9:5 LG1012", "list"),
    ("guards: {in: [pi]}", "9:19 LG1013", "did you mean `pii`?"),
    ("guards: {in: [{pii: mask}]}", "9:25 LG1013", "`mend` or `refuse`"),
    ("guards: {out: [{pi: mend}]}", "9:21 LG1013", "did you mean `pii`?"),
    ("guards: {in: [4]}", "9:19 LG1012", "write a name like"),
    ("guards: {inn: [pii]}", "9:14 LG1010", "did you mean `in`?"),
    ("cache: {fresh: 0s}", "9:20 LG1015", "more than nothing"),
]


@pytest.mark.parametrize(("line", "found", "says"), FORM)
def test_faults_of_form(desk: Desk, line: str, found: str, says: str) -> None:
    """Every fault of form is one finding, at its place, that says what to do."""
    text = SERVICE + f"    {line}\n"
    assert desk.findings(text) == [found]
    finding = desk.only(text)
    assert re.search(says, finding.message + finding.help)


TOP = [
    ("version: 2\n", "1:10 LG1013"),
    ("vrsion: 1\n", "1:1 LG1010"),
    ("version: 1\nversion: 1\n", "2:1 LG1004"),
    ("version: 1\nserve: {port: 99999}\n", "2:15 LG1014"),
    ("version: 1\nproject: Order Desk\n", "2:10 LG1016"),
    ("version: 1\nstore: {env: A, file: b}\n", "2:1 LG1012"),
    ("version: 1\nstore: mysql://h/d\n", "2:8 LG1016"),
    ("version: 1\nservices: {}\n", "2:11 LG1014"),
    ("version: 1\nmodels: {A: {kind: function, call: app:answer}}\n", "2:10 LG1016"),
    ("version: 1\nmodels: {a: {kind: lama, file: x}}\n", "2:20 LG1013"),
    ("version: 1\nmodels: {a: {file: x}}\n", "2:10 LG1011"),
    ("version: 1\nmodels: {a: {kind: function}}\n", "2:10 LG1011"),
    ("version: 1\nmodels: {a: {kind: function, call: app}}\n", "2:36 LG1016"),
    ("version: 1\nmodels: {a: {kind: openai, url: x, model: y}}\n", "2:33 LG1016"),
    ("version: 1\nmodels: {a: {kind: llama, file: app.py, sha256: abc}}\n", "2:49 LG1016"),
    ("version: 1\nmodels: {a: 3}\n", "2:13 LG1012"),
    (
        "version: 1\nmodels: {a: {kind: llama, file: app.py, price: {input: 1 EUR}}}\n",
        "2:56 LG1015",
    ),
    ("version: 1\nenvironments: {dev: 3}\n", "2:21 LG1012"),
    ("version: 1\nstore: {env: [a]}\n", "2:9 LG1012"),
    ("", "1:1 LG1005"),
    ("# nothing\n", "1:1 LG1005"),
    ("- a\n", "1:1 LG1005"),
    ("version: 1\nmodels: [\n", "3:1 LG1003"),
    ("version: 1\n\tmodels: {}\n", "2:1 LG1003"),
    ("version: 1\nproject: a: b\n", "2:11 LG1003"),
    ("version: 1\nproject: *x\n", "2:10 LG1003"),
    ("version: 1\n---\nversion: 1\n", "2:1 LG1003"),
    ("version: 1\nproject: !!python/object:os.system x\n", "2:10 LG1006"),
    ("version: 1\nproject: !env X\n", "2:10 LG1006"),
    ("version: 1\n? [a]\n: 3\n", "2:3 LG1006"),
    ("version: 1\nservices: &a {x: *a}\n", "2:11 LG1006"),
    ('version: 1\nproject: "\\ud800"\n', "2:10 LG1006"),
    ("version: 1\nserve: {port: .inf}\n", "2:15 LG1006"),
    ("version: " + "1" * 5000 + "\n", "1:10 LG1006"),
    ("[" * 3000, "1:1 LG1006"),
    ("version: 1\nproject: \x07\n", "2:10 LG1003"),
]


@pytest.mark.parametrize(("text", "found"), TOP, ids=range(len(TOP)))
def test_faults_at_the_top(desk: Desk, text: str, found: str) -> None:
    """Faults of the text and of the outer sections are found at their place."""
    assert found in desk.findings(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("services: &a {x: *a}", "an alias that contains itself"),
        (f"a: {'[' * 70}{']' * 70}", "nested more than 60 deep, which is the limit"),
        (f"a: [{'1, ' * 20_001}]", "more than 20000 values, which is the limit"),
    ],
    ids=["circle", "depth", "size"],
)
def test_limits_are_named(desk: Desk, text: str, says: str) -> None:
    """What is too much is told how much is allowed."""
    assert says in desk.shown(f"version: 1\n{text}\n")


def test_all_at_once_and_in_order(desk: Desk) -> None:
    """Everything that is wrong is said in one go, from the top down."""
    found = desk.findings(
        SERVICE
        + """\
    deadlin: 3s
    limits: {queue: -1}
    ladder:
      - {target: lost}
      - {uncertain: {a: 1}}
    prompt: gone.md
"""
    )
    assert found == ["9:5 LG1010", "10:21 LG1014", "12:18 LG1101", "13:10 LG1110", "14:13 LG1102"]


def test_unknown_keys_do_not_hide_dead_rules(desk: Desk) -> None:
    """A typing error in one place does not keep a dead rule in another from being found."""
    found = desk.findings(SERVICE + "    deadlin: 3s\n    ladder: [{cache: stale}]\n")
    assert found == ["9:5 LG1010", "10:22 LG1307"]


def test_how_a_finding_looks(desk: Desk) -> None:
    """A finding shows file, line, column, code, two lines before, a caret, and what to do."""
    assert desk.shown(SERVICE + "    deadlin: 3s\n") == (
        "lockgate.yaml:9:5: error[LG1010]: unknown key `deadlin`\n"
        "    7 |     kind: chat\n"
        "    8 |     targets: [app, far]\n"
        "    9 |     deadlin: 3s\n"
        "      |     ^^^^^^^\n"
        "  help: did you mean `deadline`?"
    )


def test_what_a_terminal_would_act_on_is_not_shown(desk: Desk) -> None:
    """Escapes and bidirectional marks in the manifest do not reach the terminal."""
    shown = desk.shown(SERVICE + '    "evil\u202e\\e[31m": 3s\n')
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "·" in shown


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing manifest is a finding that names `lockgate init`."""
    examination = Desk(tmp_path).examine("")
    (tmp_path / "lockgate.yaml").unlink()
    assert examination.findings
    from lockgate.manifest.load import examine

    (missing,) = examine(tmp_path / "lockgate.yaml", environ={}).errors
    assert "LG1001" in missing
    assert "lockgate init" in missing
    (folder,) = examine(tmp_path, environ={}).errors
    assert "cannot be read" in folder


def test_text_that_is_not_utf8(desk: Desk) -> None:
    """A byte that is not UTF-8 is named, with its line."""
    desk.manifest.write_bytes(b"version: 1\nproject: caf\xe9\n")
    from lockgate.manifest.load import examine

    (finding,) = examine(desk.manifest, environ={}).findings
    assert (finding.code, finding.at.line, finding.at.column) == ("LG1002", 2, 13)
    assert "0xE9" in finding.message


def test_overlays_are_blamed_at_their_own_lines(desk: Desk) -> None:
    """What an overlay gets wrong is shown where the overlay says it."""
    text = SERVICE + "environments:\n  dev: {services: {desk: {deadlin: 1s}}}\n"
    assert desk.findings(text) == []
    assert desk.findings(text, env="dev") == ["10:27 LG1010"]
    assert desk.findings(text, env="prod") == ["9:1 LG1105"]


def test_every_code_is_raised_somewhere() -> None:
    """Every code in the table is in the code that finds it, and the other way round."""
    sources = Path(__file__).parents[3].joinpath("src/lockgate/manifest").glob("*.py")
    used: set[str] = set()
    for path in sources:
        if path.name != "findings.py":
            used |= set(re.findall(r"LG1\d{3}", path.read_text("utf-8")))
    assert used == set(CODES)
