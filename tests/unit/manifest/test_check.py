"""References that lead nowhere, and rules that can never match."""

from __future__ import annotations

import hashlib

import pytest

from tests.unit.manifest.conftest import Desk

MODELS = """\
version: 1
models:
  app: {kind: function, call: app:answer}
  far: {kind: openai, url: https://llm.example.com/v1, model: big}
  too: {kind: openai, url: https://two.example.com/v1, model: big}
services:
  desk:
    kind: chat
    targets: [app]
"""
"""Lines 1 to 9; further lines go into the service, from line 10."""

USED = "  other: {kind: chat, targets: [far, too]}\n"
"""Keeps models that a test leaves aside from being unused."""


def service(*lines: str) -> str:
    """Give a manifest whose service has further lines, and in which every model is used."""
    return MODELS + "".join(f"    {line}\n" for line in lines) + USED


RULES = [
    (["ladder: [{target: far}, {target: far}]"], ["10:38 LG1301"]),
    (["ladder: [{target: app}]"], ["10:23 LG1301"]),
    (["ladder: [{target: fra}]"], ["10:23 LG1101"]),
    (["ladder: [{uncertain: x}, {target: far}]"], ["10:30 LG1302"]),
    (["ladder: [{uncertain: x, on: [error]}, {target: far}]"], []),
    (["ladder: [{uncertain: x, on: [error]}, {target: far, on: [error]}]"], ["10:43 LG1302"]),
    (
        [
            "ladder:",
            "  - {uncertain: x, on: [error]}",
            "  - {target: far, on: [timeout]}",
            "  - {target: too, on: [error]}",
        ],
        [],
    ),
    (["ladder: [{target: far, on: [low_confidence]}]"], ["10:33 LG1303"]),
    (
        ["confidence: {signal: probability}", "ladder: [{target: far, on: [low_confidence]}]"],
        ["11:33 LG1303"],
    ),
    (
        [
            "confidence: {signal: probability, at_least: 60%}",
            "ladder: [{target: far, on: [low_confidence]}]",
        ],
        [],
    ),
    (["ladder: [{target: far, on: [contract, error]}]"], ["10:33 LG1304"]),
    (["ladder: [{target: far, on: []}]"], ["10:32 LG1305"]),
    (["confidence: {signal: logprob}"], ["10:26 LG1306"]),
    (["confidence: {signal: logprob}", "ladder: [{target: far}]"], []),
    (["ladder: [{cache: stale}]"], ["10:22 LG1307"]),
    (["ladder: [{cache: stale}]", "cache: {fresh: 10m}"], []),
    (["ladder: [{uncertain: {label: null}}]"], ["10:15 LG1110"]),
    (["guards: {in: [pii, {pii: mend}]}"], ["10:24 LG1109"]),
    (["guards: {in: [pii], out: [pii]}"], []),
    (["prompt: gone.md"], ["10:13 LG1102"]),
    (["prompt: ."], ["10:13 LG1102"]),
    (["contract: {input: gone.json}"], ["10:23 LG1102"]),
]


@pytest.mark.parametrize(("lines", "found"), RULES, ids=range(len(RULES)))
def test_a_wrong_value_hides_no_rule(desk: Desk, lines: list[str], found: list[str]) -> None:
    """Every rule is also checked in a service with a value that cannot be understood."""
    text = service(*lines, "deadline: soon", "limits: {queue: many, body: 1 stone}")
    wrong = [one for one in desk.findings(text) if "LG1012" not in one and "LG1015" not in one]
    assert wrong == found


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["cache: {fresh: soon}", "ladder: [{cache: stale}]"], "LG1015"),
        (["cach: {fresh: 1m}", "ladder: [{cache: stale}]"], "LG1010"),
        (
            [
                "confidence: {signal: probability, at_least: much}",
                "ladder: [{target: far, on: [low_confidence]}]",
            ],
            "LG1015",
        ),
        (["confidence: {signal: hope}"], "LG1013"),
        (["confidence: {at_least: 50%}"], "LG1011"),
        (["contract: {output: [1]}", "ladder: [{target: far, on: [contract]}]"], "LG1012"),
        (["ladder: [{uncertain: x, on: [eror]}, {target: far}]"], "LG1013"),
        (["ladder: [{uncertain: x, onn: [error]}, {target: far}]"], "LG1010"),
    ],
    ids=range(8),
)
def test_a_wrong_value_has_no_followers(desk: Desk, lines: list[str], code: str) -> None:
    """What could not be understood is said once; no rule is broken by its being left out."""
    assert [one.split()[1] for one in desk.findings(service(*lines))] == [code]


def test_rules_of_a_service_of_no_known_kind(desk: Desk) -> None:
    """Rules hold though the kind, a model, a target and the ports are wrong as well."""
    text = service("ladder: [{target: Far}, {cache: stale}, {uncertain: {a: 1}}, {target: app}]")
    text = text.replace("kind: chat\n    targets: [app]", "kind: chatt\n    targets: [app, 7]")
    found = desk.findings(text.replace("model: big", "mode: big", 1) + "serve: {port: x}\n")
    codes = sorted(one.split()[1] for one in found)
    assert codes.count("LG1307") == 1
    assert codes.count("LG1301") == 1
    assert not {"LG1110", "LG1302", "LG1306"} & set(codes)


@pytest.mark.parametrize(("lines", "found"), RULES, ids=range(len(RULES)))
def test_rules(desk: Desk, lines: list[str], found: list[str]) -> None:
    """Each dead rule or dangling reference is found at its place, and nothing else is."""
    assert desk.findings(service(*lines)) == found


def test_targets(desk: Desk) -> None:
    """Targets that name no model, or one twice, are found; so is a model that nobody uses."""
    text = MODELS.replace("[app]", "[app, app, ap]")
    found = desk.findings(text)
    assert found == ["4:3 LG1107", "5:3 LG1107", "9:20 LG1109", "9:25 LG1101"]
    (lost,) = (one for one in desk.examine(text).findings if one.code == "LG1101")
    assert "did you mean `app`?" in lost.help


def test_an_unused_model_is_only_a_warning(desk: Desk) -> None:
    """A manifest with an unused model can still be served."""
    assert desk.load(MODELS).manifest.services["desk"].targets == ("app",)


PREDICT = """\
version: 1
models:
  m: {kind: sklearn, file: app.py}
services:
  s: {kind: KIND, targets: [m], ladder: [{uncertain: no}]}
"""


def test_what_does_not_go_with_the_kind(desk: Desk) -> None:
    """A classifier cannot chat, and a predict service does not answer in sentences."""
    assert desk.findings(PREDICT.replace("KIND", "predict")) == ["5:57 LG1110"]
    assert desk.findings(PREDICT.replace("KIND", "chat")) == ["5:29 LG1110"]


CALL = """\
version: 1
models:
  f: {kind: function, call: CALL}
services:
  s: {kind: chat, targets: [f]}
"""


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("app:answer", []),
        ("app:anser", ["3:29 LG1106"]),
        ("nowhere_at_all:answer", ["3:29 LG1106"]),
        ("json:loads", []),
        ("broken:f", ["3:29 LG1106"]),
        ("inner.part:f", []),
        ("starred:anything", []),
        ("cased:f", []),
    ],
)
def test_functions(desk: Desk, call: str, found: list[str]) -> None:
    """A function is looked for in its module's text, which is never run."""
    desk.put("broken.py", "def f(:\n")
    desk.put("inner/part.py", "raise SystemExit('was run')\nf = print\n")
    desk.put("starred.py", "from json import *\n")
    desk.put("cased.py", "try:\n    import nothing as f\nexcept ImportError:\n    f = None\n")
    assert desk.findings(CALL.replace("CALL", call)) == found


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ('{"type": "object"}', []),
        ("true", []),
        ("{", ["10:23 LG1103"]),
        ("[" * 5000, ["10:23 LG1103"]),
        ("\x00", ["10:23 LG1103"]),
        ('{"type": "objekt"}', ["10:23 LG1104"]),
        ('{"pattern": "("}', ["10:23 LG1104"]),
        ('{"$ref": "#/nowhere"}', ["10:23 LG1104"]),
        ('{"$ref": "https://schemas.example.com/x"}', ["10:23 LG1104"]),
        ('{"$schema": "https://schemas.example.com/x"}', ["10:23 LG1104"]),
    ],
    ids=range(10),
)
def test_contracts(desk: Desk, schema: str, found: list[str]) -> None:
    """A contract must be a JSON Schema that stands by itself: nothing is fetched."""
    desk.put("in.json", schema)
    assert desk.findings(service("contract: {input: in.json}")) == found


def test_digests_only_when_asked(desk: Desk) -> None:
    """A digest that differs is found by a deep check, which says the one that is there."""
    desk.put("m.gguf", "weights")
    text = """\
version: 1
models:
  m: {kind: llama, file: m.gguf, sha256: DIGEST}
services:
  s: {kind: chat, targets: [m]}
"""
    wrong = text.replace("DIGEST", "a" * 64)
    right = text.replace("DIGEST", hashlib.sha256(b"weights").hexdigest())
    assert desk.findings(wrong) == []
    assert desk.findings(wrong, deep=True) == ["3:42 LG1108"]
    assert desk.findings(right, deep=True) == []


def test_packages(desk: Desk) -> None:
    """`package:NAME/FILE` leads into installed packages, and nowhere else."""
    text = """\
version: 1
models:
  m: {kind: llama, file: "package:REST"}
services:
  s: {kind: chat, targets: [m]}
"""
    assert desk.findings(text.replace("REST", "json/decoder.py")) == []
    for wrong in ("json/nothing.py", "nowhere_at_all/x", "json", "json/../os.py", "a.b/c", "/x"):
        assert desk.findings(text.replace("REST", wrong)) == ["3:26 LG1102"], wrong


def test_an_overlay_of_another_kind_replaces_the_model(desk: Desk) -> None:
    """A model of another kind takes nothing over from the one it replaces."""
    text = service() + "environments:\n  dev: {models: {far: {kind: function, call: app:answer}}}\n"
    assert desk.load(text, env="dev").manifest.models["far"].kind == "function"


def test_a_reference_replaces_a_reference(desk: Desk) -> None:
    """`{file: …}` over `{env: …}` is one reference, not both."""
    text = "store: {env: A}\n" + service() + "environments:\n  dev: {store: {file: app.py}}\n"
    store = desk.load(text, env="dev").manifest.store
    assert getattr(store, "file", None) == "app.py"


def test_null_in_an_overlay_takes_a_section_away(desk: Desk) -> None:
    """An overlay can switch the cache off."""
    text = service("cache: {fresh: 10m}") + "environments:\n  dev: {services: {desk: {cache: }}}\n"
    assert desk.load(text).manifest.services["desk"].cache is not None
    assert desk.load(text, env="dev").manifest.services["desk"].cache is None
