"""Secrets in plain sight are found, and never repeated."""

from __future__ import annotations

import pytest

from tests.unit.manifest.conftest import Desk

MANIFEST = """\
version: 1
store: STORE
models:
  far:
    kind: openai
    url: https://llm.example.com/v1
    model: big
    key: KEY
services:
  desk: {kind: chat, targets: [far], owner: OWNER}
"""
SAFE = {"STORE": "sqlite:///x.db", "KEY": "{env: LLM_KEY}", "OWNER": "me@example.com"}


def manifest(**values: str) -> str:
    """Give the manifest with these values in place of the safe ones."""
    text = MANIFEST
    for name, value in {**SAFE, **values}.items():
        text = text.replace(name, value, 1)
    return text


CASES = [
    ({"KEY": "hunter2"}, "hunter2", "8:10 LG1201"),
    ({"KEY": '"hunter2"'}, "hunter2", "8:10 LG1201"),
    ({"KEY": "12345678"}, "12345678", "8:10 LG1201"),
    ({"KEY": "sk-proj-abcdefghijklmnop1234"}, "abcdefghijklmnop1234", "8:10 LG1201"),
    ({"KEY": "{env: sk-proj-abcdefghijklmnop1234}"}, "abcdefghijklmnop1234", "8:16 LG1201"),
    ({"KEY": "{env: p4ss word}"}, "p4ss word", "8:16 LG1201"),
    ({"OWNER": "ghp_abcdefghijklmnopqrstuvwxyz0123456789"}, "ghp_", "10:45 LG1201"),
    ({"OWNER": "AKIAIOSFODNN7EXAMPLE"}, "AKIAIOSFODNN7EXAMPLE", "10:45 LG1201"),
    ({"OWNER": "xoxb-123456789012-abcdef"}, "xoxb-", "10:45 LG1201"),
    ({"OWNER": "x, api_key: Zm9vYmFyMTIzNDU2Nzg5"}, "Zm9vYmFyMTIz", "10:57 LG1201"),
    ({"STORE": "postgresql://joe:hunter2@h/db"}, "hunter2", "2:8 LG1202"),
    ({"STORE": '"postgresql://joe:hunter2@h/db"'}, "hunter2", "2:8 LG1202"),
    ({"KEY": ">-\n      hunter2\n      hunter3"}, "hunter3", "8:10 LG1201"),
]


@pytest.mark.parametrize(("values", "secret", "found"), CASES, ids=range(len(CASES)))
def test_secrets(desk: Desk, values: dict[str, str], secret: str, found: str) -> None:
    """A literal secret is a finding; neither its message nor the lines around show it."""
    text = manifest(**values)
    assert found in desk.findings(text)
    assert secret not in desk.shown(text)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"KEY": "{file: /run/secrets/llm}"},
        {"STORE": "postgresql://joe@h/db"},
        {"STORE": "{env: DATABASE_URL}"},
        {"OWNER": "tokenizer-team"},
        {"OWNER": "sk-team"},
    ],
    ids=range(6),
)
def test_what_is_no_secret(desk: Desk, values: dict[str, str]) -> None:
    """References, and words that only begin like a key, are fine."""
    assert desk.findings(manifest(**values)) == []


def test_the_right_reference_is_suggested(desk: Desk) -> None:
    """What another tool would write is turned into Lockgate's way of saying it."""
    assert "{env: OPENAI_API_KEY}" in desk.only(manifest(KEY="${OPENAI_API_KEY}")).help
    assert "{env: FAR_KEY}" in desk.only(manifest(KEY="hunter2")).help


@pytest.mark.parametrize(
    "line", ["api_key: hunter2hunter2", "x: sk-proj-abcdefghijklmnop1234", "x: p://a:hunter2@h/d"]
)
def test_broken_yaml_does_not_show_secrets_either(desk: Desk, line: str) -> None:
    """Where the text is no YAML, what looks like a secret is blanked all the same."""
    shown = desk.shown(f"version: 1\n{line}\nproject: [\n")
    assert "LG1003" in shown
    assert "hunter2" not in shown
    assert "abcdefgh" not in shown


def test_a_secret_that_is_wrong_in_another_way_too(desk: Desk) -> None:
    """A finding about something else does not repeat the secret it is about."""
    shown = desk.shown(manifest(OWNER="x, deadline: sk-proj-abcdefghijklmnop1234"))
    assert "LG1015" in shown
    assert "abcdefgh" not in shown


def test_comments_are_blanked(desk: Desk) -> None:
    """A key in a comment near a finding is not shown."""
    text = manifest(OWNER="x, deadlin: 3s").replace("kind: openai", "kind: openai")
    shown = desk.shown(text.replace("services:", "services:  # sk-proj-abcdefghijklmnop1234"))
    assert "LG1010" in shown
    assert "abcdefgh" not in shown
