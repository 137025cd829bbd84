"""Takes what Lockgate itself sends as its credential out of what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_LEAST_CHARS: Final = 8  # a shorter word of a header is no secret worth the name
_BLANK: Final = "***"


class Secrets:
    """The words of *headers* that nobody else may see."""

    __slots__ = ("_raw", "_words")

    def __init__(self, headers: Mapping[str, str]) -> None:
        words = (word for value in headers.values() for word in value.split())
        self._words = tuple(word for word in words if len(word) >= _LEAST_CHARS)
        self._raw = tuple(word.encode("latin-1") for word in self._words)

    def scrub(self, text: str) -> str:
        """Blank them out in *text*, e.g. in words that an upstream sent back."""
        for word in self._words:
            text = text.replace(word, _BLANK)
        return text

    def scrub_body(self, body: bytes) -> bytes:
        """Blank them out in *body*, e.g. in an answer that repeats its request's headers."""
        for word in self._raw:
            if word in body:
                body = body.replace(word, _BLANK.encode())
        return body
