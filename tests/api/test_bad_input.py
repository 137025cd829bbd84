"""Whatever is thrown at the door, there is a documented answer, and nothing is lost."""

from __future__ import annotations

import resource
import socket
from typing import Any

import pytest

from lockgate.testing.fakes import FakeRecorder
from tests.api.conftest import Open
from tests.api.door import KEY, LIMIT, USER, Door, Plan, says, upstream_reply

CHAT = "/v1/chat/completions"
DEEP = b"[" * 10_000 + b"]" * 10_000


def well(**more: Any) -> dict[str, Any]:
    """Make a chat request, right but for *more*."""
    return {"model": "assistant", "messages": USER, **more}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "could not parse"),
        (b"{", "could not parse"),
        (b'{"model":', "could not parse"),
        (b'{"model":"assistant",}', "trailing comma"),
        (b"[]", "an array, not an object"),
        (b'"x"', "a string, not an object"),
        (b"null", "null, not an object"),
        (b'{"model":"assistant","messages":[{"role":"user","content":"\xff"}]}', "not valid UTF-8"),
        (b'{"model":"assistant","messages":[{"role":"user","content":"x"}],"u":"\xc3("}', "UTF-8"),
        (b'{"model":"assistant","temperature":NaN,"messages":[]}', "could not parse"),
        (b'{"model":"assistant","x":Infinity,"messages":[]}', "could not parse"),
        (b'{"model":"assistant","x":-Infinity,"messages":[]}', "could not parse"),
        (b'{"model":"assistant","temperature":1e999,"messages":[]}', "could not parse"),
        (b'{"model":"assistant","messages":' + DEEP + b"}", "nested too deeply"),
        (b'{"model":"assistant","x":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, "too deeply"),
        (b"[" * 400_000, "nested too deeply"),
    ],
)
def test_what_is_not_json_is_400(door: Door, body: bytes, says: str) -> None:
    """A body that cannot be read is told so, with what is wrong with it, and reaches no model."""
    got = door.send("POST", CHAT, body)
    assert got.status == 400
    assert says in got.error["message"]
    assert got.error["message"].startswith("We could not parse the JSON body of your request.")
    assert (got.error["type"], got.error["code"]) == ("invalid_request_error", None)
    assert got.headers["x-lockgate-outcome"] == "rejected"
    assert got.headers["x-should-retry"] == "false"
    assert got.headers["x-request-id"]
    assert door.entries == []


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"messages": USER}, None, None),
        ({"model": "assistant"}, "messages", "missing_required_parameter"),
        (well(messages=[]), "messages", "empty_array"),
        (well(messages=None), "messages", "invalid_type"),
        (well(messages="hi"), "messages", "invalid_type"),
        (well(messages=["hi"]), "messages[0]", "invalid_type"),
        (well(messages=[{"content": "x"}]), "messages[0].role", "missing_required_parameter"),
        (well(messages=[{"role": "boss", "content": "x"}]), "messages[0].role", "invalid_value"),
        (well(messages=[{"role": 1, "content": "x"}]), "messages[0].role", "invalid_type"),
        (well(messages=[*USER, {"role": "user"}]), "messages[1].content", "invalid_type"),
        (well(messages=[{"role": "user", "content": 5}]), "messages[0].content", "invalid_type"),
        (
            well(messages=[{"role": "user", "content": ["a"]}]),
            "messages[0].content[0]",
            "invalid_type",
        ),
        (
            well(messages=[{"role": "user", "content": [{"text": "a"}]}]),
            "messages[0].content[0].type",
            "missing_required_parameter",
        ),
        (
            well(messages=[{"role": "user", "content": [{"type": "text", "text": 1}]}]),
            "messages[0].content[0].text",
            "invalid_type",
        ),
        (well(model=5), "model", "invalid_type"),
        (well(stream="yes"), "stream", "invalid_type"),
        (well(stream_options=3), "stream_options", "invalid_type"),
        (well(stream_options={"include_usage": 1}), "stream_options.include_usage", "invalid_type"),
        (well(n=2), "n", "unsupported_value"),
        (well(n=0), "n", "integer_below_min_value"),
        (well(max_tokens=-1), "max_tokens", "integer_below_min_value"),
        (well(max_tokens=1.5), "max_tokens", "invalid_type"),
        (well(max_tokens=True), "max_tokens", "invalid_type"),
        (well(max_tokens=10**30), "max_tokens", "integer_above_max_value"),
        (well(max_completion_tokens=0), "max_completion_tokens", "integer_below_min_value"),
        (well(temperature=2.1), "temperature", "decimal_above_max_value"),
        (well(temperature=-0.1), "temperature", "decimal_below_min_value"),
        (well(temperature="hot"), "temperature", "invalid_type"),
        (well(top_p=1.1), "top_p", "decimal_above_max_value"),
        (well(stop=""), "stop", "empty_string"),
        (well(stop=["a", ""]), "stop[1]", "empty_string"),
        (well(stop=5), "stop", "invalid_type"),
        (well(stop=["a", 5]), "stop[1]", "invalid_type"),
        (well(presence_penalty=3), "presence_penalty", "decimal_above_max_value"),
        (well(logprobs=1), "logprobs", "invalid_type"),
        (well(tools={}), "tools", "invalid_type"),
        (well(response_format="json"), "response_format", "invalid_type"),
    ],
)
def test_a_wrong_field_is_named_as_openai_names_it(
    door: Door, body: dict[str, Any], param: str | None, code: str | None
) -> None:
    """The error says which field is wrong and how, with OpenAI's own code, before any model."""
    got = door.chat(body)
    assert got.status == 400, got.body
    assert (got.error["param"], got.error["code"]) == (param, code)
    assert "malformed" not in got.error["message"]
    assert door.entries == []


def test_fifty_megabytes_are_refused_and_memory_stays_flat(door: Door) -> None:
    """A body over the limit gets a 413 that the client really sees, at no cost in memory."""
    door.chat(well())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    body = memoryview(bytes(1_000_000))
    with door.raw() as line:
        line.sendall(head("POST", CHAT, 50_000_000))
        try:
            for _ in range(50):
                line.sendall(body)
        except OSError:
            pass  # the server hung up before we had sent everything
        answer = until_closed(line)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"request_too_large" in answer
    assert b"1000000 bytes" in answer
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 20_000  # kilobytes
    assert door.chat(well()).status == 200


def test_an_endless_chunked_body_is_refused(door: Door) -> None:
    """A body that does not say how long it is gets no further than the limit."""
    with door.raw() as line:
        line.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer "
            + KEY.encode()
            + b"\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        chunk = b"%x\r\n%s\r\n" % (100_000, b"x" * 100_000)
        try:
            for _ in range(LIMIT // 100_000 + 2):
                line.sendall(chunk)
        except OSError:
            pass
        assert b"413 " in line.recv(100)


def test_a_client_that_waits_for_leave_to_send_gets_none(door: Door) -> None:
    """`expect: 100-continue` with too large a body is answered before the body is sent."""
    with door.raw() as line:
        line.sendall(head("POST", CHAT, 50_000_000, "expect: 100-continue"))
        assert line.recv(1000).startswith(b"HTTP/1.1 413")


def test_the_services_own_limit_holds_too(door: Door) -> None:
    """A body below the largest limit, but above its own service's, is refused."""
    body = b'"' + b"x" * (LIMIT // 2) + b'"'
    got = door.send("POST", "/v1/services/router/predict", body)
    assert got.status == 413
    assert got.json()["code"] == "request_too_large"


def test_a_body_without_end_times_out(open_door: Open) -> None:
    """A caller who does not send the body that was announced is told so, and cut off."""
    door = open_door(Plan(body_s=0.1))
    with door.raw() as line:
        line.sendall(head("POST", CHAT, 1000) + b"{")
        answer = until_closed(line)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"request_timeout" in answer
    assert door.away == ["request_timeout"]


def test_a_head_without_end_times_out(open_door: Open) -> None:
    """A slow-loris, who sends a head byte by byte, holds a connection for seconds, not for ever."""
    door = open_door(Plan(head_s=0.2))
    with door.raw() as line:
        line.sendall(b"GET /livez HTTP/1.1\r\nx-a: ")
        assert until_closed(line).startswith(b"HTTP/1.1 408")
    with door.raw() as line:
        assert until_closed(line) == b""


def test_a_refused_body_cannot_be_dripped_for_ever(open_door: Open) -> None:
    """Who is refused before the body was read cannot keep the connection by going on sending."""
    door = open_door(Plan(head_s=0.2))
    with door.raw() as line:
        line.sendall(head("POST", CHAT, 1000, key="wrong") + b"{")
        assert line.recv(1000).startswith(b"HTTP/1.1 401")
        line.sendall(b" ")
        until_closed(line)  # would time out if the server waited for the rest


def test_a_head_of_any_size_is_refused(door: Door) -> None:
    """Headers cannot fill the memory."""
    with door.raw() as line:
        line.sendall(b"GET /livez HTTP/1.1\r\nx-a: " + b"a" * 400_000)
        assert until_closed(line).startswith(b"HTTP/1.1 431")


def test_what_is_not_http_is_told_so(door: Door) -> None:
    """Bytes that are not HTTP get a 400 in the shape of all other errors."""
    with door.raw() as line:
        line.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = until_closed(line)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"code":"bad_http"' in answer


@pytest.mark.parametrize("name", ["x-api-key", "api-key", "x-goog-api-key"])
def test_a_key_in_the_wrong_header_is_told_where_it_belongs(door: Door, name: str) -> None:
    """The answer names the wrong place and the right one, and never repeats the key."""
    got = door.send("POST", CHAT, b"{}", key=None, **{name: KEY})
    assert got.status == 401
    assert f"'{name}'" in got.error["message"]
    assert "Authorization: Bearer" in got.error["message"]
    assert KEY not in str(got)
    assert got.headers["www-authenticate"] == "Bearer"


def test_a_key_in_the_url_is_told_where_it_belongs(door: Door) -> None:
    """A key in a query string is refused, and named as the leak it is."""
    got = door.send("GET", f"/v1/models?api_key={KEY}", key=None)
    assert (got.status, KEY in str(got)) == (401, False)
    assert "the URL" in got.error["message"]


@pytest.mark.parametrize("value", ["Basic abc", "Bearer", "Bearer ", KEY])
def test_other_schemes_are_refused(door: Door, value: str) -> None:
    """Only `Bearer` is taken."""
    got = door.send("POST", CHAT, b"{}", key=None, authorization=value)
    assert got.status == 401
    assert got.error["code"] == "invalid_api_key"


@pytest.mark.parametrize("value", ["0", "-5", "1.5", "soon", "", "9" * 30])
def test_a_deadline_that_is_none_is_400(door: Door, value: str) -> None:
    """A deadline is a positive whole number of milliseconds."""
    got = door.chat(well(), x_lockgate_deadline_ms=value)
    assert got.status == 400
    assert got.error["param"] == "x-lockgate-deadline-ms"


def test_a_caller_may_ask_for_less_time_but_not_for_more(open_door: Open) -> None:
    """The service's deadline is the longest there is."""
    model = says(upstream_reply())
    door = open_door(Plan(chat=model))
    for milliseconds in ("2000", "86400000"):
        assert door.chat(well(), x_lockgate_deadline_ms=milliseconds).status == 200
    short, long = (ask.deadline for ask in model.asked)
    assert short < long


def test_compressed_bodies_are_refused_by_name(door: Door) -> None:
    """A body that would have to be blown up first is told so instead of failing as JSON."""
    got = door.send("POST", CHAT, b"\x1f\x8b", content_encoding="gzip")
    assert got.status == 400
    assert "compressed" in got.error["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "unknown_url"),
        ("POST", "/v1/completions", 404, "unknown_url"),
        ("GET", "/v1/models/a/b", 404, "unknown_url"),
        ("GET", "/v1/models/", 404, "unknown_url"),
        ("POST", "/v1/services//predict", 404, "unknown_url"),
        ("GET", CHAT, 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
    ],
)
def test_wrong_urls_and_methods(door: Door, method: str, path: str, status: int, code: str) -> None:
    """A wrong URL or method is an error in the shape of all others."""
    got = door.send(method, path)
    assert (got.status, got.error["code"]) == (status, code)


def test_methods_are_listed(door: Door) -> None:
    """OPTIONS and 405 tell the methods; HEAD is GET without a body."""
    assert door.send("OPTIONS", CHAT).headers["allow"] == "POST, OPTIONS"
    assert door.send("PUT", "/livez").headers["allow"] == "GET, HEAD, OPTIONS"
    got = door.send("HEAD", "/livez")
    assert (got.status, got.body) == (200, b"")


def test_a_bug_is_a_500_that_tells_nothing(
    open_door: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug is recorded and logged under the request id; the caller learns that and no more."""
    door = open_door(Plan(chat=says(ZeroDivisionError("secret"))))
    got = door.chat(well())
    assert got.status == 500
    assert got.error["code"] == "internal_error"
    assert "secret" not in str(got)
    assert got.headers["x-request-id"] in got.error["message"]
    assert (door.entry().status, door.entry().code) == (500, "internal_error")
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_an_answer_that_cannot_be_recorded_is_not_given(open_door: Open) -> None:
    """A full disk is a 503, for streams too; never is an unrecorded answer given."""
    door = open_door(Plan(bench={"recorder": FakeRecorder(full=True)}))
    for _ in range(2):
        got = door.chat(well())
        assert (got.status, got.error["code"]) == (503, "store_unavailable")
        assert b'"hi"' not in got.body
    stream = door.chat(well(stream=True))
    assert b"[DONE]" not in stream.body
    assert b'"code":"store_unavailable"' in stream.body


def head(method: str, path: str, length: int, *more: str, key: str = KEY) -> bytes:
    """Write the head of a request whose body has *length* bytes."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "host: x",
        f"authorization: Bearer {key}",
        f"content-length: {length}",
        *more,
        "\r\n",
    ]
    return "\r\n".join(lines).encode()


def until_closed(line: socket.socket) -> bytes:
    """Read until the server hangs up."""
    read = bytearray()
    try:
        while piece := line.recv(65536):
            read += piece
    except ConnectionResetError:
        pass
    return bytes(read)
