"""What it means that an upstream which speaks OpenAI's protocol did not answer.

Its own words may quote the caller, so they go into an error's `said`; the message keeps the HTTP
status and, if it is a short identifier, the machine-readable code.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from lockgate.core.errors import (
    BackendBroken,
    BackendBusy,
    BackendError,
    BackendRejected,
    BackendTimeout,
    InputRejected,
    InputTooLong,
)

_BUSY: Final = frozenset({429, 503, 529})
_LATE: Final = frozenset({408, 504})
_INPUT: Final = frozenset({400, 413, 422})
_TOO_LONG: Final = frozenset({"context_length_exceeded", "exceed_context_size_error"})
"""OpenAI's code and llama.cpp's type for an input that does not fit the context."""
_TOO_LONG_WORDS: Final = ("maximum context length", "context size", "prompt is too long")
"""What servers say of it that have no code for it; vLLM's begins the first way."""
_NOT_TAKEN: Final = "input is not supported"
"""llama.cpp answers HTTP 500 to an image or a sound that its model cannot take."""
_SAID_CHARS: Final = 300
_MOST_WAIT_S: Final = 120.0
_IDENTIFIER: Final = re.compile(r"[a-z0-9_.-]{1,64}", re.ASCII)


class Reported(msgspec.Struct, frozen=True):
    """An error as an upstream reports it.

    Attributes:
        said: Its own words, shortened and without control characters.
        code: Its machine-readable name, empty if it has none.
        number: An HTTP status that it repeats in its body, else 0.
    """

    said: str = ""
    code: str = ""
    number: int = 0

    @property
    def too_long(self) -> bool:
        """Say whether it finds the input longer than the context; for a status that blames it."""
        said = self.said.lower()
        return self.code in _TOO_LONG or any(words in said for words in _TOO_LONG_WORDS)

    @property
    def blames_input(self) -> bool:
        """Say whether it names the input as the cause, whatever the status."""
        return self.code in _TOO_LONG or _NOT_TAKEN in self.said


def failure(status: int, headers: Mapping[bytes, bytes], body: bytes) -> BackendError:
    """Say what an answer with an HTTP status other than success means."""
    if status in (401, 403):
        return BackendRejected(
            f"the upstream refused Lockgate's own credential (HTTP {status}); "
            "check the model's `key:` in the manifest"
        )
    if 300 <= status < 400:
        return BackendRejected(
            f"the upstream redirects (HTTP {status}), which is not followed; correct the `url:`"
        )
    found = reported(body)
    message = _with_code(f"the upstream answered HTTP {status}", found)
    if status in _BUSY:
        wait = retry_after(headers.get(b"retry-after", b""), datetime.now(UTC))
        return BackendBusy(message, said=found.said, retry_after_s=wait)
    return _kind_of(status, found)(message, said=found.said)


def failure_inside(body: bytes) -> BackendError:
    """Say what an error means that is reported where an answer, or a piece of one, should be."""
    found = reported(body)
    at_fault = found.blames_input or found.number in _INPUT
    kind = _fault_of_input(found) if at_fault else BackendBroken
    return kind(_with_code("the upstream reports an error", found), said=found.said)


def reported(body: bytes) -> Reported:
    """Find the error in a body of JSON, in any of the places where servers put it."""
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Reported()
    names: dict[str, Any] = {}
    for _ in range(2):
        if isinstance(found, dict):
            names = found
            found = found.get("error") or found.get("message") or found.get("detail")
    number = names.get("code")
    return Reported(
        said=_words(found),
        code=_identifier(names.get("code")) or _identifier(names.get("type")),
        number=number if isinstance(number, int) else 0,
    )


def retry_after(value: bytes, now: datetime) -> float | None:
    """Read `Retry-After`, seconds or a date (RFC 9110 §10.2.3), as 0 to 120 seconds from *now*."""
    text = value.decode("latin-1").strip()
    try:
        seconds = float(text)
    except ValueError:
        seconds = _until(text, now)
    return None if math.isnan(seconds) else min(max(seconds, 0.0), _MOST_WAIT_S)


def _until(date: str, now: datetime) -> float:
    """Give the seconds from *now* to an HTTP date, NaN if it is none."""
    try:
        then = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return math.nan
    return (then.replace(tzinfo=then.tzinfo or UTC) - now).total_seconds()


def _kind_of(status: int, found: Reported) -> type[BackendError]:
    if status in _LATE:
        return BackendTimeout
    if status in _INPUT or found.blames_input:
        return _fault_of_input(found)
    return BackendRejected if 400 <= status < 500 else BackendError


def _fault_of_input(found: Reported) -> type[InputRejected]:
    return InputTooLong if found.too_long else InputRejected


def _with_code(message: str, found: Reported) -> str:
    return f"{message} ({found.code})" if found.code else message


def _identifier(name: object) -> str:
    return name if isinstance(name, str) and _IDENTIFIER.fullmatch(name) else ""


def _words(found: object) -> str:
    if not isinstance(found, str):
        return ""
    clean = "".join(letter if letter.isprintable() else " " for letter in found[:_SAID_CHARS])
    return clean + ("…" if len(found) > _SAID_CHARS else "")
