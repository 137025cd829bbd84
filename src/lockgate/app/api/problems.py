"""Says what went wrong in the words of the protocol the caller speaks.

OpenAI's clients read `{"error": {message, type, param, code}}`, Open Inference clients
`{"error": message}`, plain HTTP clients problem details (RFC 9457). Status, code and retry
advice are the same in all three; `docs/errors.md` lists them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec

from lockgate.app.api.arrival import Response, header_line
from lockgate.app.api.facts import OUTCOMES
from lockgate.core.errors import (
    BackendBroken,
    BackendBusy,
    BackendError,
    BackendGone,
    BackendRejected,
    BackendTimeout,
    CallError,
    ContractBroken,
    InputRejected,
    InvalidCall,
    LockgateError,
    MethodNotAllowed,
    NotSure,
    StoreError,
    Unauthenticated,
)
from lockgate.core.exchange import Exchange, Outcome


class Problem(NamedTuple):
    """What the caller is told about an error, before it is put in a protocol's words.

    Attributes:
        openai_code: The code OpenAI's own API gives, where its clients know one.
    """

    status: int
    code: str
    openai_code: str | None
    message: str
    param: str | None
    request_id: str
    headers: bytes


_log = logging.getLogger("lockgate.api")

Dialect = Callable[[Problem], Response]
"""Writes a problem in one protocol's words."""


class InvalidChat(InvalidCall):
    """A chat request breaks OpenAI's protocol; carries the code that OpenAI gives for it."""

    def __init__(
        self, message: str, *, param: str | None = None, openai_code: str | None = None
    ) -> None:
        super().__init__(message, param=param)
        self.openai_code = openai_code


class NoSuchMethod(MethodNotAllowed):
    """The URL exists, but not for this method; carries the methods it has."""

    def __init__(self, message: str, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


_WHAT_A_MODEL_DID: Final[tuple[tuple[type[BackendError], str], ...]] = (
    (BackendTimeout, "did not answer in time"),
    (BackendGone, "could not be reached, or cut the line"),
    (BackendBusy, "has too much to do"),
    (InputRejected, "does not accept this input"),
    (BackendRejected, "does not accept what it was sent"),
    (BackendBroken, "answered, but not in its protocol, or failed inside"),
    (NotSure, "was not sure enough of its answer"),
    (ContractBroken, "gave an answer that breaks the service's contract"),
)


def problem_of(error: LockgateError, request_id: str, outcome: Outcome) -> Problem:
    """Turn *error* into what the caller may know of it.

    A backend's own words stay inside, for they may tell hosts and settings; only what it says
    about a request that it does not accept goes on, for the caller can mend that.
    """
    openai_code = error.openai_code if isinstance(error, InvalidChat) else error.code
    return Problem(
        status=error.status,
        code=error.code,
        openai_code=openai_code,
        message=_message(error, request_id),
        param=error.param if isinstance(error, CallError) else None,
        request_id=request_id,
        headers=OUTCOMES[outcome] + _advice(error),
    )


def wrapped(bug: Exception) -> LockgateError:
    """Make a bug something that can be told: an internal error that keeps its cause."""
    error = LockgateError(f"internal error ({type(bug).__name__})")
    error.__cause__ = bug
    return error


def log_bug(error: LockgateError, request_id: str) -> None:
    """Log the operator's share of *error*: a bug with its traceback, a store that fails."""
    if type(error) is LockgateError:
        _log.error("request %s: internal error", request_id, exc_info=error.__cause__ or error)
    elif isinstance(error, StoreError):
        _log.error("request %s could not be recorded: %s", request_id, error)


def told(error: LockgateError, exchange: Exchange) -> Problem:
    """Turn the failure of *exchange* into what the caller may know of it."""
    return problem_of(error, exchange.call.id, exchange.outcome or Outcome.FAILED)


def _message(error: LockgateError, request_id: str) -> str:
    if isinstance(error, CallError):
        return error.message
    if isinstance(error, BackendError):
        did = next((did for kind, did in _WHAT_A_MODEL_DID if isinstance(error, kind)), "failed")
        who = f"model '{error.target}'" if error.target else "the model"
        rejected = isinstance(error, BackendRejected)
        why = f" ({error.said or error.message})" if rejected else ""
        return f"{who} {did}{why}; `lockgate explain {request_id}` shows every attempt"
    if isinstance(error, StoreError):
        return "the call could not be recorded, so it is not answered; try again"
    return f"internal error; the operator finds it in the log under request {request_id}"


def _advice(error: LockgateError) -> bytes:
    """Say whether and when to try again, and what else HTTP asks of a status."""
    lines = b""
    if not error.retryable:
        lines += b"x-should-retry: false\r\n"
    if isinstance(error, CallError | BackendError) and error.retry_after_s is not None:
        lines += b"retry-after: %d\r\n" % math.ceil(error.retry_after_s)
        lines += b"retry-after-ms: %d\r\n" % math.ceil(error.retry_after_s * 1000)
    if isinstance(error, Unauthenticated):
        lines += b"www-authenticate: Bearer\r\n"
    if isinstance(error, NoSuchMethod):
        lines += header_line(b"allow", ", ".join(error.allowed).encode())
    return lines


def openai_error(problem: Problem) -> dict[str, object]:
    """Write the object that OpenAI's clients look for, in bodies and in streams."""
    server = problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return {
        "message": problem.message,
        "type": "server_error" if server else "invalid_request_error",
        "param": problem.param,
        "code": problem.openai_code,
    }


def openai(problem: Problem) -> Response:
    """Write *problem* for OpenAI's clients."""
    body = msgspec.json.encode({"error": openai_error(problem)})
    return Response(problem.status, body, headers=problem.headers)


def inference(problem: Problem) -> Response:
    """Write *problem* for Open Inference clients."""
    body = msgspec.json.encode({"error": problem.message})
    return Response(problem.status, body, headers=problem.headers)


def plain(problem: Problem) -> Response:
    """Write *problem* as problem details (RFC 9457)."""
    details: dict[str, object] = {
        "type": f"urn:lockgate:error:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.message,
        "code": problem.code,
        "request_id": problem.request_id,
    }
    if problem.param is not None:
        details["param"] = problem.param
    body = msgspec.json.encode(details)
    return Response(problem.status, body, b"application/problem+json", problem.headers)
