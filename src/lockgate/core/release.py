"""A release: everything that changes answers, frozen together and named by its digest."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import msgspec

from lockgate.core.payload import Json


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What answers the calls of one service.

    Attributes:
        digest: 16 hexadecimal characters of the SHA-256 over all parts; equal parts, equal digest.
        parts: Digest or canonical text of every part: models, prompts, contracts, guards, ladder.
    """

    service: str
    digest: str
    parts: Mapping[str, str]


def frozen(service: str, parts: Mapping[str, Json]) -> Release:
    """Freeze *parts* into a release of *service*."""
    encode = msgspec.json.Encoder(order="sorted").encode
    texts = {name: encode(part).decode() for name, part in parts.items()}
    digest = sha256(encode({"service": service, "parts": texts})).hexdigest()[:16]
    return Release(service=service, digest=digest, parts=texts)
