"""What a request's head must say, and what it may say only once.

llhttp looks at how a head is written and how its body is framed. It leaves to us: the one `Host`
(RFC 9112, 3.2), transfer codings that are not done here (6.1), and headers of which a second line
would quietly take the place of the first.
"""

from __future__ import annotations

import re
from typing import Final

from lockgate.processes.refusal import CODING, Refused, malformed

_ONCE: Final = frozenset(
    {
        b"host",
        b"authorization",
        b"content-type",
        b"inference-header-content-length",
        b"x-lockgate-deadline-ms",
    }
)
"""Headers that are no lists, as far as anything hangs on them (RFC 9110, 5.3)."""
_HOST: Final = re.compile(rb"(?:\[[\w.:%~-]+\]|[\w.~!$&'()*+,;=%-]*)(?::[0-9]*)?")
"""uri-host and port (RFC 3986, 3.2.2); nothing at all is allowed."""


def check_fields(fields: list[tuple[bytes, bytes]], *, host_required: bool) -> None:
    """Look at the headers *fields*, by lower-case name.

    Raises:
        Refused: They are not those of one clear request.
    """
    seen: set[bytes] = set()
    codings: list[bytes] = []
    for name, value in fields:
        if name in _ONCE and name in seen:
            raise Refused(malformed(f"there is more than one '{name.decode()}' header"))
        seen.add(name)
        if name == b"transfer-encoding":
            codings += (coding.strip() for coding in value.split(b","))
        elif name == b"host" and not _HOST.fullmatch(value.rstrip(b" \t")):
            raise Refused(malformed("the 'host' header is not a host"))
    if host_required and b"host" not in seen:
        raise Refused(malformed("the 'host' header is missing"))
    if len(codings) > 1 and codings[-1].lower() == b"chunked":  # llhttp refuses any other last one
        raise Refused(CODING)
