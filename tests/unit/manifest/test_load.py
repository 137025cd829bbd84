"""Loading: what a manifest needs from around it, and that nothing but `ManifestError` escapes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lockgate.core.errors import ManifestError
from lockgate.manifest.editor import json_schema
from lockgate.manifest.load import examine, load
from lockgate.manifest.schema import EnvSecret, FileSecret
from lockgate.manifest.written import resolved
from tests.unit.manifest.conftest import APP, Desk

FULL = """\
version: 1
project: order-desk
store: sqlite:///.lockgate/x.db
serve: {host: 0.0.0.0, port: 80, workers: 4}
models:
  app: &app
    kind: function
    call: app:answer
    price: {per_call: 0.02 USD, per_hour: 1 USD}
    timeouts: {connect: 250ms, first_token: 3s, total: 1.5}
  again: {<<: *app, replicas: 2}
  far:
    kind: openai
    url: https://llm.example.com/v1
    model: big
    key: {env: LLM_KEY}
    price: {input: 0.15 USD/1M, output: 0.001 USD/token}
services:
  desk:
    kind: chat
    purpose: Answer
    prompt: app.py
    targets: [far]
    ladder:
      - {target: app, on: [error, timeout]}
      - {cache: stale, up_to: 36h}
      - {uncertain: I do not know.}
    confidence: {signal: logprob, at_least: 80%}
    guards: {in: [pii, {secrets: refuse}], out: []}
    limits: {concurrent: 3, queue: 0, body: 512KB}
    cache: {fresh: 10m}
    deadline: 8s
  sort:
    kind: predict
    targets: [app, again]
    ladder: [{uncertain: {label: null, reasons: [1, 2.5, true]}}]
environments:
  prod: {store: {env: DATABASE_URL}, services: {desk: {deadline: 3s}}}
"""


def test_a_full_manifest(desk: Desk) -> None:
    """Every way of writing a value is understood, and nothing is found in it."""
    assert desk.findings(FULL) == []
    manifest = desk.load(FULL).manifest
    assert manifest.models["app"].timeouts.connect == 0.25
    assert manifest.services["desk"].limits.body == 512_000
    assert manifest.services["desk"].deadline == 8
    assert manifest.models["again"].price.per_call == manifest.models["app"].price.per_call


def test_an_overlay(desk: Desk) -> None:
    """An overlay is merged key by key; what it does not name stays."""
    loaded = desk.load(FULL, env="prod", environ={"DATABASE_URL": "postgresql://h/d"})
    assert loaded.environment == "prod"
    assert loaded.store_url() == "postgresql://h/d"
    assert loaded.manifest.services["desk"].deadline == 3
    assert loaded.manifest.services["desk"].prompt == "app.py"


def test_what_is_resolved_is_the_same_manifest(desk: Desk) -> None:
    """The resolved manifest, written out, loads to the same again."""
    loaded = desk.load(FULL, env="prod")
    with desk.manifest.open("w", encoding="utf-8") as stream:
        YAML().dump(resolved(loaded.manifest), stream)
    again = load(desk.manifest, environ={})
    assert again.manifest == loaded.manifest.model_copy(update={"environments": {}})


def test_the_editors_schema_agrees(desk: Desk) -> None:
    """What editors check by accepts what the loader accepts, and refuses unknown keys."""
    validator = jsonschema_rs.validator_for(json_schema())
    yaml: Any = YAML(typ="safe", pure=True)
    whole = yaml.load(FULL)
    assert [error.message for error in validator.iter_errors(whole)] == []
    assert validator.is_valid(resolved(desk.load(FULL).manifest))
    for section in (whole, whole["services"]["desk"], whole["services"]["desk"]["limits"]):
        section["bogus"] = 1
        assert not validator.is_valid(whole)
        del section["bogus"]
    whole["services"]["desk"]["deadline"] = "8 parsecs"
    assert not validator.is_valid(whole)


def test_defaults_in_the_editors_schema_are_as_people_write_them() -> None:
    """Defaults are shown as `30s` and `10MB`, not as numbers."""
    defined = json_schema()["$defs"]
    assert defined["Service"]["properties"]["deadline"]["default"] == "30s"
    assert defined["Limits"]["properties"]["body"]["default"] == "10MB"


STORE = "version: 1\nstore: URL\n" + FULL.partition("workers: 4}\n")[2]


@pytest.mark.parametrize(
    ("url", "given", "resolves"),
    [
        ("sqlite:///x/y.db", {}, "sqlite:///{root}/x/y.db"),
        ("sqlite:///x.db?mode=ro", {}, "sqlite:///{root}/x.db?mode=ro"),
        ("sqlite:////var/x.db", {}, "sqlite:////var/x.db"),
        ("'sqlite:///:memory:'", {}, "sqlite:///:memory:"),
        ("postgresql://h/d", {}, "postgresql://h/d"),
        ("{env: DB}", {"DB": "sqlite:///y.db"}, "sqlite:///{root}/y.db"),
        ("{file: db.url}", {}, "postgresql://joe:secret@h/d"),
    ],
    ids=range(7),
)
def test_store_urls(desk: Desk, url: str, given: dict[str, str], resolves: str) -> None:
    """Relative SQLite paths start from the manifest's folder; references are followed."""
    desk.put("db.url", "postgresql://joe:secret@h/d\n")
    loaded = desk.load(STORE.replace("URL", url, 1), environ=given)
    assert loaded.store_url() == resolves.format(root=desk.folder)


def test_secrets(desk: Desk) -> None:
    """A secret comes from the environment as it was at loading, or from a file."""
    environ = {"A": "first-value"}
    loaded = desk.load(FULL, environ=environ)
    environ["A"] = "two"
    desk.put("key", "three\n")
    desk.put("empty", "\n")
    assert loaded.secret(EnvSecret(env="A")) == "first-value"
    assert loaded.secret(FileSecret(file="key")) == "three"
    assert "first-value" not in repr(loaded)
    for missing, says in (
        (EnvSecret(env="B"), "LG1203.*`B`.*\n.*export B="),
        (FileSecret(file="gone"), "LG1204.*`gone`"),
        (FileSecret(file="empty"), "LG1204.*empty"),
    ):
        with pytest.raises(ManifestError, match=says):
            loaded.secret(missing)


def test_files(desk: Desk) -> None:
    """Files are found from the manifest's folder or in a package; a missing one is named."""
    loaded = desk.load(FULL)
    assert loaded.file("app.py") == desk.folder / "app.py"
    assert loaded.file("package:json/decoder.py").name == "decoder.py"
    with pytest.raises(ManifestError, match=r"LG1102.*`gone\.gguf`"):
        loaded.file("gone.gguf")


def test_everything_is_in_the_error(desk: Desk) -> None:
    """Loading a wrong manifest raises once, with every error and no warning."""
    text = FULL.replace("8s", "8x").replace("kind: predict", "kind: predikt")
    with pytest.raises(ManifestError) as caught:
        desk.load(text)
    assert [finding.partition("error")[2][:8] for finding in caught.value.findings] == [
        "[LG1015]",
        "[LG1013]",
    ]


LINES = FULL.splitlines(keepends=True)
_BITS = st.sampled_from(
    ["\t", ": ", "- ", "[", "]", "{", "}", "*app", "&app ", "!!int ", "'", '"', "#", "|\n", "? ",
     "null", ".nan", "1e999", "\x00", "\ud800", "\u202e", "<<: ", "---\n", "%YAML 1.1\n", "\r", "é"]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Take lines of a good manifest out, double them, swap them, and put noise into them."""
    lines: list[str] = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(lines) - 1))
        change = draw(st.sampled_from(["drop", "double", "swap", "noise", "value", "indent"]))
        line = lines[place]
        if change == "drop":
            lines[place] = ""
        elif change == "double":
            lines[place] = line + line
        elif change == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[place], lines[other] = lines[other], line
        elif change == "noise":
            at = draw(st.integers(0, len(line)))
            lines[place] = line[:at] + draw(_BITS) + line[at:]
        elif change == "value":
            key = line.partition(":")[0]
            lines[place] = f"{key}: {draw(st.text(max_size=12) | _BITS)}\n"
        else:
            lines[place] = draw(st.sampled_from(["  ", "    ", ""])) + line.lstrip()
    return "".join(lines)


def _survives(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lockgate.yaml"
        (Path(folder) / "app.py").write_text(APP)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        examination = examine(path, environ={})
        for finding in examination.findings:
            assert 1 <= finding.at.line <= text.count("\n") + text.count("\r") + 2
        try:
            load(path, environ={})
        except ManifestError as error:
            "\n".join(error.findings).encode("utf-8")  # can be printed


@given(mutated())
@settings(max_examples=150, deadline=None)
def test_nothing_else_escapes_from_damaged_manifests(text: str) -> None:
    """Whatever is done to a good manifest, it loads or says why not."""
    _survives(text)


@given(st.text(max_size=60) | st.lists(_BITS | st.sampled_from(LINES)).map("".join))
@settings(max_examples=150, deadline=None)
def test_nothing_else_escapes_from_any_text(text: str) -> None:
    """Whatever is in the file, loading it raises nothing but ManifestError."""
    _survives(text)


@given(st.binary(max_size=60))
@settings(max_examples=60, deadline=None)
def test_nothing_else_escapes_from_any_bytes(content: bytes) -> None:
    """Not even bytes that are no text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lockgate.yaml"
        path.write_bytes(content)
        with pytest.raises(ManifestError):
            load(path, environ={})
