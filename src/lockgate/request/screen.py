"""Screen texts: the caller's on the way in, the answer's on the way out.

Place   in: after validate, so that nothing unscreened reaches a model or a cache key;
        out: after degrade, so that whatever answered is screened, streams included
Reads   every text of the request or of the answer
Writes  exchange.verdicts; the request or the answer with findings taken out
Leaves  numbers, tool schemas and images; streamed text goes on once no finding can begin in it
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

import msgspec

from lockgate.core.errors import CallRefused
from lockgate.core.exchange import Answer, Decision, Exchange, Tally, Verdict
from lockgate.core.payload import (
    Chat,
    ChatChunk,
    ChatReply,
    ChatStream,
    Json,
    Message,
    Rows,
    RowsReply,
    Tensors,
    TensorsReply,
)
from lockgate.core.ports import Guard, Screened

NAME: Final = "screen"
TRUSTED_ROLES: Final = frozenset({"system", "developer"})
"""Written by the application's author, so they may give instructions."""


class StreamScreener(Protocol):
    """Screens one stream piece by piece, holding back what could begin a finding."""

    def feed(self, text: str) -> Screened:
        """Take the next piece; give what is safe to send now."""
        ...

    def flush(self) -> Screened:
        """Give what was still held back: the stream is over."""
        ...


class ScreenIn:
    """Screen what the caller sends."""

    name = NAME

    def __init__(self, guard: Guard | None, trusted: Guard | None) -> None:
        """Take the guard for callers' texts, and the one for instructions of the application."""
        self._guard = guard
        self._trusted = trusted

    def __call__(self, exchange: Exchange) -> Exchange:
        """Screen the request.

        Raises:
            CallRefused: A guard refused it; the message names the guard, never the text.
        """
        if self._guard is None:
            return exchange
        request = exchange.call.request
        seen: list[Verdict] = []
        if isinstance(request, Chat):
            after: Chat | Rows | Tensors = self._chat(request, seen)
        elif isinstance(request, Rows):
            after = Rows(input=_mended(request.input, self._guard, seen))
        else:
            after = self._tensors(request, seen)
        if not seen:
            return exchange
        _refuse_if_told(seen, "the input", "in", exchange.tally)
        return msgspec.structs.replace(
            exchange,
            call=msgspec.structs.replace(exchange.call, request=after),
            verdicts=(*exchange.verdicts, *_on_side(seen, "in")),
        )

    def _chat(self, chat: Chat, seen: list[Verdict]) -> Chat:
        messages = tuple([self._message(message, seen) for message in chat.messages])
        if not seen:
            return chat
        raw = msgspec.json.decode(chat.fields["messages"], type=list[dict[str, Json]])
        for whole, old, new in zip(raw, chat.messages, messages, strict=True):
            if new is not old:
                whole["content"] = new.content
        fields = {**chat.fields, "messages": msgspec.Raw(msgspec.json.encode(raw))}
        return msgspec.structs.replace(chat, messages=messages, fields=fields, body=b"")

    def _message(self, message: Message, seen: list[Verdict]) -> Message:
        guard = self._trusted if message.role in TRUSTED_ROLES else self._guard
        if guard is None or message.content is None:
            return message
        after = _mended(message.content, guard, seen)
        return message if after is message.content else Message(message.role, after)

    def _tensors(self, request: Tensors, seen: list[Verdict]) -> Tensors:
        """Screen `BYTES` tensors, the only ones that carry text."""
        assert self._guard is not None
        inputs = tuple(
            msgspec.structs.replace(tensor, data=_mended(tensor.data, self._guard, seen))
            if tensor.datatype == "BYTES" and isinstance(tensor.data, list)
            else tensor
            for tensor in request.inputs
        )
        return msgspec.structs.replace(request, inputs=inputs)


class ScreenOut:
    """Screen what goes back."""

    name = NAME

    def __init__(self, guard: Guard | None, streams: Callable[[], StreamScreener]) -> None:
        self._guard = guard
        self._streams = streams

    def __call__(self, exchange: Exchange) -> Exchange:
        """Screen the answer.

        Raises:
            CallRefused: A guard refused it.
        """
        answer = exchange.answer
        if self._guard is None or answer is None:
            return exchange
        if isinstance(answer.reply, ChatStream):
            screened = ScreenedChunks(answer.reply, self._streams(), exchange.tally)
            return _with(exchange, answer, ChatStream(screened), [])
        seen: list[Verdict] = []
        reply = self._reply(answer.reply, self._guard, seen)
        if not seen:
            return exchange
        _refuse_if_told(seen, "the answer", "out", exchange.tally)
        return _with(exchange, answer, reply, seen)

    def _reply(
        self, reply: ChatReply | RowsReply | TensorsReply, guard: Guard, seen: list[Verdict]
    ) -> ChatReply | RowsReply | TensorsReply:
        if isinstance(reply, RowsReply):
            return RowsReply(output=_mended(reply.output, guard, seen))
        if isinstance(reply, TensorsReply):
            return reply
        screened = guard.inspect(reply.text)
        seen.extend(screened.verdicts)
        if screened.text == reply.text:
            return reply
        fields = dict(reply.fields)
        if "choices" in fields:
            fields["choices"] = _retold(fields["choices"], screened.text, "message")
        return msgspec.structs.replace(reply, fields=fields, text=screened.text)


class ScreenedChunks:
    """A stream whose text has been screened: what is held back now comes with a later chunk."""

    __slots__ = ("_over", "_screen", "_stream", "_tally")

    def __init__(self, stream: ChatStream, screen: StreamScreener, tally: Tally) -> None:
        self._stream = stream
        self._screen = screen
        self._tally = tally
        self._over = False

    def __aiter__(self) -> ScreenedChunks:
        return self

    async def __anext__(self) -> ChatChunk:
        """Give the next chunk that has something to say.

        Raises:
            CallRefused: A guard refused the text; nothing of the finding has been sent.
        """
        while True:
            chunk = await anext(self._stream.chunks)
            text = await self._safe(chunk)
            if chunk.finish_reason is not None and not self._over:
                self._over = True
                text += await self._checked(self._screen.flush())
            if text == chunk.text:
                return chunk
            fields = _without_text(chunk, text)
            if text or chunk.finish_reason or chunk.usage or chunk.tool_calls:
                return msgspec.structs.replace(chunk, fields=fields, text=text)

    async def aclose(self) -> None:
        """Stop the stream behind."""
        await self._stream.aclose()

    async def _safe(self, chunk: ChatChunk) -> str:
        return await self._checked(self._screen.feed(chunk.text)) if chunk.text else ""

    async def _checked(self, screened: Screened) -> str:
        if any(verdict.decision is Decision.REFUSE for verdict in screened.verdicts):
            await self.aclose()
            self._tally.ended = "refused"
            _refuse_if_told(list(screened.verdicts), "the answer", "out", self._tally)
        self._tally.verdicts += tuple(_on_side(screened.verdicts, "out"))
        return screened.text


def _with(
    exchange: Exchange,
    answer: Answer,
    reply: ChatReply | ChatStream | RowsReply | TensorsReply,
    seen: list[Verdict],
) -> Exchange:
    return msgspec.structs.replace(
        exchange,
        answer=msgspec.structs.replace(answer, reply=reply),
        verdicts=(*exchange.verdicts, *_on_side(seen, "out")),
    )


def _on_side(seen: Sequence[Verdict], side: str) -> Iterator[Verdict]:
    return (msgspec.structs.replace(verdict, side=side) for verdict in seen)


def _refuse_if_told(seen: list[Verdict], what: str, side: str, tally: Tally) -> None:
    """Stop at the first refusal; the verdicts go to the tally, which outlives the stage."""
    for verdict in seen:
        if verdict.decision is Decision.REFUSE:
            tally.verdicts += tuple(_on_side(seen, side))
            raise CallRefused(f"{what} was refused by guard '{verdict.by}': {verdict.reason}")


def _mended(value: Json, guard: Guard, seen: list[Verdict]) -> Json:
    """Screen every string within *value*; the same object comes back if nothing changed."""
    if isinstance(value, str):
        screened = guard.inspect(value)
        seen.extend(screened.verdicts)
        return value if screened.text == value else screened.text
    if isinstance(value, list):
        items = [_mended(item, guard, seen) for item in value]
        return (
            items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        )
    if isinstance(value, dict):
        parts = {key: _mended(part, guard, seen) for key, part in value.items()}
        if guard.inspect("\n".join(value)).verdicts:
            return {_mended(key, guard, seen): part for key, part in parts.items()}
        return parts if any(parts[key] is not value[key] for key in value) else value
    return value


def _without_text(chunk: ChatChunk, text: str) -> dict[str, msgspec.Raw]:
    """Take the unscreened text out of a chunk's raw fields; tool calls beside it stay."""
    fields = dict(chunk.fields)
    choices = fields.pop("choices", None)
    if choices is not None and chunk.tool_calls:
        fields["choices"] = _retold(choices, text, "delta")
    return fields


def _retold(choices: msgspec.Raw, text: str, part: str) -> msgspec.Raw:
    """Put *text* in place of the first choice's; its log-probabilities would tell the old one."""
    whole = msgspec.json.decode(choices, type=list[dict[str, Json]])
    whole[0][part]["content"] = text
    whole[0].pop("logprobs", None)
    return msgspec.Raw(msgspec.json.encode(whole))
