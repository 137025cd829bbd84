"""Everything Lockgate raises on purpose.

LockgateError
├── ManifestError               the operator must edit the manifest; only before serving starts
├── StoreError                  the database or the journal cannot be used
├── CallError                   what the caller is told
│   ├── Unauthenticated             401   no key, or not one of ours
│   ├── NotAllowed                  403   the key may not use this service
│   ├── UnknownModel                404   no service of this name
│   ├── UnknownPath                 404   no such URL
│   ├── MethodNotAllowed            405   the URL exists, the method does not
│   ├── InvalidCall                 400   the body breaks the protocol or the contract
│   ├── CallTooLarge                413   the body is larger than the service takes
│   ├── CallTooSlow                 408   the body did not arrive in time
│   ├── CallRefused                 400   a guard said no
│   ├── Overloaded                  503   retryable; no place in the queue
│   └── DeadlineExceeded            504   the caller's deadline passed
└── BackendError                whatever should have answered did not; turned into the
    │                           ladder's next rung, or into the caller's 502
    ├── BackendTimeout              504   retryable
    ├── BackendGone                 502   retryable; nobody is listening, or the line was cut
    ├── BackendBusy                 503   retryable; it said it has too much to do
    ├── BackendRejected             502   it does not accept what we sent
    │   └── InputRejected               400   … because of what the caller said
    │       └── InputTooLong                400   … which another model may have room for
    ├── BackendBroken               502   it answered, but not in its protocol, or failed inside
    ├── NotSure                     502   its answer's confidence is below the service's floor
    └── ContractBroken              502   its answer does not have the form the service promises

Anything else that escapes is a bug, answered with 500 and the request id.
"""

from __future__ import annotations

from typing import ClassVar


class LockgateError(Exception):
    """Base of every deliberate error."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False


class ManifestError(LockgateError):
    """The manifest cannot be served; ``findings`` holds everything that is wrong with it."""

    code = "manifest_invalid"

    def __init__(self, findings: tuple[str, ...]) -> None:
        super().__init__("\n\n".join(findings))
        self.findings = findings


class StoreError(LockgateError):
    """The database or the journal cannot be used."""

    code = "store_unavailable"
    status = 503
    retryable = True


class CallError(LockgateError):
    """What the caller is told.

    Attributes:
        param: The field of the request that is at fault, where there is one.
        retry_after_s: Seconds after which a repeat makes sense, where that is known.
    """

    status = 400

    def __init__(
        self, message: str, *, param: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s


class Unauthenticated(CallError):
    """No key was presented, or not one that is valid here."""

    code = "invalid_api_key"
    status = 401


class NotAllowed(CallError):
    """The key is good but may not use this service."""

    code = "permission_denied"
    status = 403


class UnknownModel(CallError):
    """No service of this name, or not one for this surface."""

    code = "model_not_found"
    status = 404


class UnknownPath(CallError):
    """There is nothing at this URL."""

    code = "unknown_url"
    status = 404


class MethodNotAllowed(CallError):
    """The URL exists, but not for this method."""

    code = "method_not_allowed"
    status = 405


class InvalidCall(CallError):
    """The request breaks the protocol or the service's contract."""

    code = "invalid_request"


class CallTooLarge(CallError):
    """The request is larger than the service takes."""

    code = "request_too_large"
    status = 413


class CallTooSlow(CallError):
    """The request's body did not arrive in time."""

    code = "request_timeout"
    status = 408
    retryable = True


class CallRefused(CallError):
    """A guard refused the request or the answer."""

    code = "content_refused"


class Overloaded(CallError):
    """All places of the service are taken and its queue is full."""

    code = "overloaded"
    status = 503
    retryable = True


class DeadlineExceeded(CallError):
    """The caller's deadline passed before there was an answer."""

    code = "deadline_exceeded"
    status = 504


class BackendError(LockgateError):
    """Whatever should have answered did not.

    Attributes:
        message: What happened, in words that cannot quote the caller: it is recorded.
        said: The model's own words on it. They may quote the caller, so they are never recorded:
            at most the caller is told.
        target: The model that failed.
        after_output: Some of the answer had already been given away (streams).
        retry_after_s: Seconds after which a repeat makes sense, if the model said so.
    """

    code = "upstream_error"
    status = 502
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        said: str = "",
        target: str = "",
        after_output: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.said = said
        self.target = target
        self.after_output = after_output
        self.retry_after_s = retry_after_s


class BackendTimeout(BackendError):
    """No answer within the time it was given."""

    code = "upstream_timeout"
    status = 504


class BackendGone(BackendError):
    """Nobody is listening, or the line was cut."""

    code = "upstream_gone"


class BackendBusy(BackendError):
    """It answered that it has too much to do (429, 503, 529)."""

    code = "upstream_busy"
    status = 503


class BackendRejected(BackendError):
    """It does not accept what we sent (4xx): a repeat cannot help."""

    code = "upstream_rejected"
    retryable = False


class InputRejected(BackendRejected):
    """It does not accept what the caller said: too long, of another form, an image.

    The fault is the caller's, so no other rung may answer instead: it would hide it.
    """

    code = "input_rejected"
    status = 400


class InputTooLong(InputRejected):
    """What the caller said does not fit its context; another model's may be larger.

    The code is the one that OpenAI's clients know.
    """

    code = "context_length_exceeded"


class BackendBroken(BackendError):
    """It answered, but not in its protocol, or it failed inside."""

    code = "upstream_broken"


class NotSure(BackendError):
    """Its answer's confidence is below the service's floor."""

    code = "low_confidence"
    retryable = False


class ContractBroken(BackendError):
    """Its answer does not have the form the service promises."""

    code = "contract_broken"
