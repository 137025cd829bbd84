"""The canned model: answers every chat at once with the same completion, or the same stream.

No framework, one socket protocol on uvloop, so that it costs next to nothing. Prints its port.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from typing import cast

import uvloop

TOKENS = (
    "I",
    " am",
    " sorry",
    " for",
    " the",
    " delay",
    ":",
    " it",
    " arrives",
    " on",
    " Friday",
    ".",
)
LOGPROB = -0.105
"""Natural log of 0.9: what every token of the canned answer claims."""


def completion() -> bytes:
    """Make the whole answer: an HTTP response with usage and twelve log-probabilities."""
    body = {
        **_head("chat.completion"),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "".join(TOKENS), "refusal": None},
                "logprobs": {"content": [_token(text) for text in TOKENS], "refusal": None},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 64,
            "completion_tokens": len(TOKENS),
            "total_tokens": 64 + len(TOKENS),
        },
    }
    raw = json.dumps(body, separators=(",", ":")).encode()
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        % len(raw)
    ) + raw


def stream() -> bytes:
    """Make the answer as server-sent events, one chunk per token, in one piece."""
    events = [_event({"delta": {"role": "assistant", "content": ""}, "finish_reason": None})]
    for text in TOKENS:
        logprobs = {"content": [_token(text)], "refusal": None}
        events.append(
            _event({"delta": {"content": text}, "logprobs": logprobs, "finish_reason": None})
        )
    events.append(_event({"delta": {}, "finish_reason": "stop"}))
    events.append(b"data: [DONE]\n\n")
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events)
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        + chunks
        + b"0\r\n\r\n"
    )


def _head(kind: str) -> dict[str, object]:
    return {
        "id": "chatcmpl-canned",
        "object": kind,
        "created": 1700000000,
        "model": "canned",
    }


def _token(text: str) -> dict[str, object]:
    return {"token": text, "logprob": LOGPROB, "bytes": list(text.encode()), "top_logprobs": []}


def _event(choice: dict[str, object]) -> bytes:
    body = {**_head("chat.completion.chunk"), "choices": [{"index": 0, **choice}]}
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


class Canned(asyncio.Protocol):
    """One connection: finds the end of each request and writes the canned answer."""

    __slots__ = ("_buffer", "_stream", "_transport", "_whole")

    def __init__(self, whole: bytes, streamed: bytes) -> None:
        self._whole = whole
        self._stream = streamed
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has no common base class

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete by now."""
        self._buffer = self._buffer + data if self._buffer else data
        while (end := request_end(self._buffer)) > 0:
            request, self._buffer = self._buffer[:end], self._buffer[end:]
            assert self._transport is not None
            wants_stream = b'"stream":true' in request or b'"stream": true' in request
            self._transport.write(self._stream if wants_stream else self._whole)


def request_end(buffer: bytes) -> int:
    """Give the length of the first request in *buffer*, or 0 if it is not complete yet."""
    head = buffer.find(b"\r\n\r\n")
    if head < 0:
        return 0
    lowered = buffer[:head].lower()
    end = head + 4
    if (at := lowered.find(b"content-length:")) >= 0:
        end += int(lowered[at + 15 :].split(b"\r\n", 1)[0])
    elif b"transfer-encoding: chunked" in lowered:
        last = buffer.find(b"0\r\n\r\n", end)
        return 0 if last < 0 else last + 5
    return end if len(buffer) >= end else 0


async def serve(port: int) -> None:
    """Serve on loopback until told to stop; print the port once connections are taken."""
    loop = asyncio.get_running_loop()
    whole, streamed = completion(), stream()
    server = await loop.create_server(
        lambda: Canned(whole, streamed), "127.0.0.1", port, backlog=1024
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    uvloop.run(serve(parser.parse_args().port))
