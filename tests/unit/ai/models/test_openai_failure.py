"""What the failures of an upstream become."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.ai.models.openai_failure import failure, failure_inside, retry_after
from lockgate.core.errors import (
    BackendBroken,
    BackendBusy,
    BackendError,
    BackendRejected,
    BackendTimeout,
    InputRejected,
    InputTooLong,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOO_LONG = (
    b'{"error":{"code":400,"type":"exceed_context_size_error","message":'
    b'"the request exceeds the available context size"}}'
)


VLLM = (
    b'{"object":"error","message":"This model\'s maximum context length is 8192 tokens. However, '
    b'you requested 9000 tokens","type":"BadRequestError","param":null,"code":400}'
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, BackendRejected),
        (400, InputRejected),
        (401, BackendRejected),
        (403, BackendRejected),
        (404, BackendRejected),
        (408, BackendTimeout),
        (413, InputRejected),
        (422, InputRejected),
        (429, BackendBusy),
        (500, BackendError),
        (502, BackendError),
        (503, BackendBusy),
        (504, BackendTimeout),
        (529, BackendBusy),
    ],
)
def test_statuses(status: int, kind: type[BackendError]) -> None:
    """Each status is the failure that decides rightly about the next step."""
    error = failure(status, {}, b"")
    assert type(error) is kind
    assert str(status) in error.message
    assert not error.said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error":{"message":"too long","type":"X"}}', "too long"),
        (b'{"error":"too long"}', "too long"),
        (b'{"message":"too long"}', "too long"),
        (b'{"detail":"too long"}', "too long"),
        (b'{"error":{"message":"a\\nb\\u001b[31m"}}', "a b [31m"),
        (b"<html>", ""),
        (b"[]", ""),
        (b'{"error":{"message":{"deep":1}}}', ""),
        (b'{"error":{"message":"' + b"x" * 400 + b'"}}', "x" * 300 + "…"),
    ],
)
def test_upstreams_own_words(body: bytes, said: str) -> None:
    """The upstream's explanation is kept apart: short, and without control characters."""
    error = failure(400, {}, body)
    assert error.message == "the upstream answered HTTP 400"
    assert error.said == said


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ({"code": "invalid_value", "type": "invalid_request_error"}, " (invalid_value)"),
        ({"code": None, "type": "server_error"}, " (server_error)"),
        ({"code": "no model 'x'", "type": "server_error"}, " (server_error)"),
        ({"code": 400, "type": ""}, ""),
        ({"code": "a" * 65}, ""),
        ({"code": "a\n"}, ""),
    ],
)
def test_machine_readable_codes(names: dict[str, object], shown: str) -> None:
    """A code is recorded if it is a short identifier, and nothing else is."""
    body = msgspec.json.encode({"error": {"message": "SECRET", **names}})
    for status in (400, 404, 429, 500, 504):
        assert failure(status, {}, body).message == f"the upstream answered HTTP {status}{shown}"


@given(st.sampled_from([400, 404, 413, 422, 429, 500, 503, 504]), st.text(min_size=1))
def test_no_words_are_recorded(status: int, words: str) -> None:
    """Whatever an upstream says in its message, what is recorded does not depend on it."""
    body = msgspec.json.encode({"error": {"message": words, "type": "t"}})
    assert failure(status, {}, body).message == f"the upstream answered HTTP {status} (t)"
    assert failure_inside(body).message == "the upstream reports an error (t)"


@pytest.mark.parametrize("kind", ["image", "audio"])
def test_llama_cpp_blames_the_input_with_http_500(kind: str) -> None:
    """An image for a model that takes none is the caller's fault, whatever the status says."""
    said = f"{kind} input is not supported - hint: you may need to provide the mmproj"
    body = msgspec.json.encode({"error": {"code": 500, "type": "server_error", "message": said}})
    for error in (failure(500, {}, body), failure_inside(body)):
        assert type(error) is InputRejected
        assert error.said == said


def test_input_that_is_too_long() -> None:
    """It is the caller's fault in a status, in an answer and in a stream, in either dialect."""
    openai = b'{"error":{"code":"context_length_exceeded","message":"at most 8192 tokens"}}'
    for body in (TOO_LONG, openai, VLLM):
        for error in (failure(400, {}, body), failure_inside(body)):
            assert type(error) is InputTooLong
            assert error.said
    assert "(exceed_context_size_error)" in failure(400, {}, TOO_LONG).message


def test_other_errors_inside_an_answer_are_the_upstreams() -> None:
    """An error without a sign of the caller's fault is a broken answer."""
    for body in (b'{"error":"no"}', b'{"error":{"code":500,"message":"oops"}}'):
        assert type(failure_inside(body)) is BackendBroken


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"7", 7.0),
        (b" 0.5 ", 0.5),
        (b"0", 0.0),
        (b"-3", 0.0),
        (b"86400", 120.0),
        (b"9" * 400, 120.0),
        (b"Fri, 02 Jan 2026 03:04:35 GMT", 30.0),
        (b"Fri, 02 Jan 2026 03:04:35", 30.0),
        (b"Fri, 02 Jan 2026 03:00:00 GMT", 0.0),
        (b"Sat, 02 Jan 2027 03:00:00 GMT", 120.0),
        (b"", None),
        (b"nan", None),
        (b"soon", None),
        (b"\xff", None),
        (b"Fri, 99 Jan 2026 03:00:00 GMT", None),
    ],
)
def test_when_to_come_back(value: bytes, seconds: float | None) -> None:
    """`Retry-After` is read as seconds or a date, and kept within two minutes."""
    assert retry_after(value, NOW) == seconds


@given(st.binary(max_size=40))
def test_no_date_surprises(value: bytes) -> None:
    """Whatever stands in `Retry-After`, it is a wait within bounds or none."""
    seconds = retry_after(value, NOW)
    assert seconds is None or 0 <= seconds <= 120


@pytest.mark.parametrize("status", [429, 503, 529])
def test_busy_upstream_says_when_to_come_back(status: int) -> None:
    """The wait travels with the error."""
    assert failure(status, {b"retry-after": b"7"}, b"").retry_after_s == 7.0
    assert failure(status, {}, b"").retry_after_s is None


def test_refused_credential_is_ours() -> None:
    """A refused credential is named as Lockgate's, and what the upstream says of it is not told."""
    error = failure(401, {}, b'{"error":{"message":"Incorrect API key provided: sk-abc"}}')
    assert "Lockgate's own credential" in error.message
    assert "sk-abc" not in error.message + error.said
