"""What is repeated of a child that may quote callers."""

from __future__ import annotations

import asyncio
import logging

import pytest

from lockgate.processes.discretion import Discreet, hush

GRAMMAR = ["parse: error parsing grammar: expecting ::= at ", "root ::= my account number"]
ASSERT = "/src/ggml/ggml-cpu.c:123: GGML_ASSERT(my account number) failed"


def test_at_work_only_the_kind_of_a_crash_is_repeated() -> None:
    """Quotes are left out with one line that says so; where it broke is repeated."""
    said: list[str] = []
    discreet = Discreet(said.append)
    for line in (*GRAMMAR, ASSERT, *GRAMMAR):
        discreet.hear(line, ready=True)
    discreet.ended(ready=True)
    assert len(said) == 2
    assert "quote_errors" in said[0]
    assert said[1] == "/src/ggml/ggml-cpu.c:123: GGML_ASSERT"


def test_why_it_could_not_load_is_repeated() -> None:
    """Who dies before it is ready has quoted nobody."""
    said: list[str] = []
    discreet = Discreet(said.append)
    discreet.hear("error loading model: tensor 'x' is missing", ready=False)
    assert said == []
    discreet.ended(ready=False)
    assert said == ["error loading model: tensor 'x' is missing"]


def test_what_came_in_the_moment_before_it_was_ready_is_not() -> None:
    """A caller may be quicker than the word `ready`."""
    said: list[str] = []
    discreet = Discreet(said.append)
    discreet.hear(GRAMMAR[1], ready=False)
    discreet.ended(ready=True)
    assert said == []


@pytest.mark.anyio
async def test_nobody_s_words_come_through_the_log(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither logged exceptions nor those that nobody caught show their messages."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    hush(quote=False)
    loop = asyncio.get_running_loop()
    try:
        raise KeyError("my account number")
    except KeyError as error:
        logging.getLogger("lockgate").exception("request 7: internal error")
        loop.call_exception_handler({"message": "in my account number", "exception": error})
    finally:
        loop.set_exception_handler(None)
    said = capfd.readouterr().err
    assert "request 7: internal error" in said
    assert said.count("in test_nobody_s_words_come_through_the_log") == 2
    assert said.count("KeyError (message left out") == 2
    assert "account" not in said
