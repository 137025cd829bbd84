"""Where a wire leads, and what can never be written to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.ai.models.wire_origin import Origin, header_block, request_head


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "base"),
    [
        ("http://a.example", "a.example", 80, "a.example", ""),
        ("https://a.example/v1/", "a.example", 443, "a.example", "/v1"),
        ("http://a.example:8080/x/y", "a.example", 8080, "a.example:8080", "/x/y"),
        ("https://a.example:443", "a.example", 443, "a.example", ""),
        ("http://[::1]:9000/v1", "::1", 9000, "[::1]:9000", "/v1"),
        ("http://[2001:db8::1]", "2001:db8::1", 80, "[2001:db8::1]", ""),
        ("http://bücher.example", "xn--bcher-kva.example", 80, "xn--bcher-kva.example", ""),
    ],
)
def test_parts(url: str, host: str, port: int, authority: str, base: str) -> None:
    """A URL is taken apart as RFC 3986 says; the authority is what `Host` needs."""
    origin = Origin.parse(url)
    assert (origin.host, origin.port, origin.base) == (host, port, base)
    assert origin.authority == authority


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://a.example", "http:// or https://"),
        ("a.example", "http:// or https://"),
        ("http:///v1", "no host"),
        ("http://user:hunter22@a.example", "credentials"),
        ("http://a.example?key=hunter22", "no `\\?`"),
        ("http://a.example/#x", "no `#`"),
        ("http://a.example/ä", "percent-encode"),
        ("http://a.example/a b", "percent-encode"),
        ("http://a.example:99999", "ort"),
    ],
)
def test_refused_urls(url: str, why: str) -> None:
    """A URL that cannot be served says why, without repeating what might be a secret."""
    with pytest.raises(ValueError, match=why) as caught:
        Origin.parse(url)
    assert "hunter22" not in str(caught.value)


def test_head_joins_base_and_path() -> None:
    """The request's path goes behind the base path, with one slash between."""
    head = request_head(Origin.parse("http://a.example/v1/"), b"POST", b"/chat", b"X: y\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /v1/chat HTTP/1.1"
    assert lines[1] == b"Host: a.example"
    assert lines[-2:] == [b"X: y", b"Content-Length: "]


def test_socket_has_a_host() -> None:
    """A unix socket has no name, but HTTP/1.1 demands a `Host`."""
    origin = Origin.at_socket("/run/x.sock")
    assert b"\r\nHost: localhost\r\n" in request_head(origin, b"GET", b"/", b"")
    assert str(origin) == "/run/x.sock"


@pytest.mark.parametrize(
    "path", [b"/a b", b"/a\r\nX: y", b"/a\n", b"/\xc3\xa4", b"chat", b"", b"/a\x00", b"/\x7f"]
)
def test_paths_cannot_break_out(path: bytes) -> None:
    """A path cannot end the request line."""
    with pytest.raises(ValueError, match="path"):
        request_head(Origin.parse("http://a.example"), b"POST", path, b"")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer hunter22\n"),
        ("Authorization", "Bearer hunter22\r\nX-Evil: 1"),
        ("Authorization", "Bearer hunter22\x00"),
        ("Authorization", " hunter22"),
        ("Authorization", "hunter22 é"),
        ("X Evil", "hunter22"),
        ("X:", "hunter22"),
        ("X\r\nY", "hunter22"),
        ("", "hunter22"),
        ("Host", "hunter22"),
        ("content-LENGTH", "hunter22"),
        ("Transfer-Encoding", "hunter22"),
        ("Connection", "hunter22"),
    ],
)
def test_headers_cannot_break_out(name: str, value: str) -> None:
    """A header that could smuggle another is refused, and its value is not repeated."""
    with pytest.raises(ValueError, match="header") as caught:
        header_block({name: value})
    assert "hunter22" not in str(caught.value)


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_header_is_one_line(name: str, value: str) -> None:
    """Whatever name and value: either one well-formed line comes out, or an error."""
    try:
        block = header_block({name: value})
    except ValueError:
        return
    assert block == f"{name}: {value}\r\n".encode()
    assert block.count(b"\r") == block.count(b"\n") == 1
