"""Where a wire leads to, and the constant part of what is written to it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

_PORTS = {"http": 80, "https": 443}
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_CONSTANT = (
    b"Content-Type: application/json\r\nAccept-Encoding: identity\r\nUser-Agent: lockgate\r\n"
)


class Origin(msgspec.Struct, frozen=True):
    """One place that speaks HTTP/1.1.

    Attributes:
        host: Name or address, without the brackets of an IPv6 literal.
        unix: Path of the unix socket to use instead of host and port.
        base: Path that goes before every request's own, without a slash at its end.
    """

    scheme: str
    host: str
    port: int
    unix: str | None = None
    base: str = ""

    @classmethod
    def parse(cls, url: str) -> Origin:
        """Read an origin from *url*, e.g. `https://llm.example.com/v1`.

        Raises:
            ValueError: It is not a plain http or https URL; the message never holds credentials.
        """
        parts = urlsplit(url)
        if parts.scheme not in _PORTS:
            raise ValueError("the URL must begin with http:// or https://")
        if parts.username is not None or parts.password is not None:
            raise ValueError("the URL must not hold credentials; use `key:` for them")
        if parts.query or parts.fragment:
            raise ValueError("the URL must end with its path: no `?` and no `#`")
        if not parts.hostname:
            raise ValueError("the URL names no host")
        base = parts.path.rstrip("/")
        _require_target(base.encode())
        host = parts.hostname if parts.hostname.isascii() else _idna(parts.hostname)
        return cls(parts.scheme, host, parts.port or _PORTS[parts.scheme], None, base)

    @classmethod
    def at_socket(cls, path: str, base: str = "") -> Origin:
        """Give the origin behind the unix socket at *path*."""
        return cls("http", "localhost", 80, path, base.rstrip("/"))

    @property
    def authority(self) -> str:
        """What goes into `Host`; the port is left out where the scheme implies it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return (
            self.unix if self.unix is not None else f"{self.scheme}://{self.authority}{self.base}"
        )


def request_head(origin: Origin, method: bytes, path: bytes, headers: bytes) -> bytes:
    """Write the head of a request up to and including `Content-Length: `.

    Raises:
        ValueError: *path* does not begin with a slash or holds what could end the request line.
    """
    target = origin.base.encode() + path
    _require_target(target)
    if not path.startswith(b"/"):
        raise ValueError("a request's path must begin with a slash")
    host = origin.authority.encode()
    start = b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (method, target, host)
    return start + _CONSTANT + headers + b"Content-Length: "


def header_block(headers: Mapping[str, str]) -> bytes:
    """Write *headers* as lines.

    Raises:
        ValueError: A name is no token, a value could break out of its line (RFC 9110 §5.5), or
            the header is one that the wire itself sets. The message never holds a value.
    """
    return b"".join(_line(name, value) for name, value in headers.items())


def _line(name: str, value: str) -> bytes:
    if not name or not _TOKEN.issuperset(name):
        raise ValueError(f"{name!r} is not the name of a header")
    if name.lower() in _OURS:
        raise ValueError(f"the header {name!r} is set by Lockgate itself")
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise ValueError(
            f"the value of the header {name!r} must be printable ASCII without spaces around it; "
            "is there a line break at the end of the secret?"
        )
    return f"{name}: {value}\r\n".encode()


def _require_target(target: bytes) -> None:
    if any(byte <= 0x20 or byte >= 0x7F for byte in target):
        raise ValueError("the URL's path must be ASCII without spaces; percent-encode the rest")


def _idna(host: str) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError as error:
        raise ValueError(f"{host!r} is not a host name") from error
