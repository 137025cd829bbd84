"""A backend that speaks OpenAI's protocol: any compatible URL, and our own llama.cpp runners."""

from __future__ import annotations

import time

import msgspec

from lockgate.ai.models.openai_ask import Dialect, chat_body, rows_body
from lockgate.ai.models.openai_failure import failure
from lockgate.ai.models.openai_gather import gather
from lockgate.ai.models.openai_reply import Whole, read_whole
from lockgate.ai.models.openai_stream import CompletionStream, Reading
from lockgate.ai.models.wire import Response, Wire
from lockgate.core.errors import BackendBroken, BackendError, BackendRejected
from lockgate.core.exchange import Answer, Evidenced
from lockgate.core.payload import Chat, ChatStream, Json, Reply, Rows, RowsReply
from lockgate.core.ports import Ask

_COMPLETIONS: dict[Dialect, bytes] = {
    "openai": b"/chat/completions",
    "llama": b"/v1/chat/completions",
}
_READY_SECONDS = 1.0


class OpenAIBackend:
    """A language model at the other end of a wire.

    Args:
        name: The model's name in the manifest; becomes the answers' `target`.
        wire: Belongs to this backend from now on. Its origin's base path ends where
            `/chat/completions` goes, for llama.cpp where `/v1` and `/health` go.
        model: What the model is called there.
    """

    def __init__(self, name: str, wire: Wire, *, model: str, dialect: Dialect = "openai") -> None:
        self.name = name
        self._wire = wire
        self._model = model
        self._dialect: Dialect = dialect
        self._path = _COMPLETIONS[dialect]

    async def answer(self, ask: Ask) -> Answer:
        """Answer *ask*; a stream is returned once it has begun to say something.

        `first_output` counts wherever the upstream streams: of an answer that arrives whole,
        nothing can be seen to begin.
        """
        request = ask.request
        try:
            if isinstance(request, Chat):
                return await (self._stream if request.stream else self._chat)(ask, request)
            if isinstance(request, Rows):
                return await self._predict(ask, request)
            raise BackendRejected("a language model takes texts and JSON, not tensors")
        except BackendError as error:
            self._blame(error)
            raise

    async def ready(self) -> bool:
        """Say whether the upstream can be reached; llama.cpp also says whether it has loaded."""
        deadline = time.monotonic() + _READY_SECONDS
        if self._dialect == "openai":
            return await self._wire.reachable(deadline)
        try:
            return (await self._wire.get(b"/health", deadline=deadline)).status == 200
        except BackendError:
            return False

    async def close(self) -> None:
        """Cut all connections."""
        await self._wire.close()

    def _blame(self, error: BackendError) -> None:
        error.target = self.name
        secrets = self._wire.secrets
        error.message, error.said = secrets.scrub(error.message), secrets.scrub(error.said)
        error.args = (error.message,)

    async def _chat(self, ask: Ask, chat: Chat) -> Answer:
        body = chat_body(ask, chat, self._model, self._dialect)
        whole = await self._whole(ask, body, keep_logprobs=chat.wants_logprobs)
        return self._answer(whole.reply, whole)

    async def _predict(self, ask: Ask, rows: Rows) -> Answer:
        body = rows_body(ask, rows, self._model, self._dialect)
        whole = await self._whole(ask, body, keep_logprobs=False)
        output = _output(whole, parse=ask.output_schema is not None)
        return self._answer(RowsReply(output=output), whole)

    async def _stream(self, ask: Ask, chat: Chat) -> Answer:
        body = chat_body(ask, chat, self._model, self._dialect)
        stream = await self._open(ask, body, keep_logprobs=chat.wants_logprobs)
        return Answer(reply=ChatStream(stream), target=self.name)

    def _answer(self, reply: Reply, whole: Whole) -> Answer:
        raw = Evidenced(logprobs=whole.logprobs)
        return Answer(reply=reply, target=self.name, usage=whole.usage, raw=raw)

    async def _whole(self, ask: Ask, body: bytes, *, keep_logprobs: bool) -> Whole:
        if self._dialect == "llama":
            return await gather(await self._open(ask, body, keep_logprobs=keep_logprobs))
        response = await self._wire.post(self._path, body, deadline=ask.deadline)
        _require_json(response)
        body = self._wire.secrets.scrub_body(response.body)
        return read_whole(body, self._dialect, keep_logprobs=keep_logprobs)

    async def _open(self, ask: Ask, body: bytes, *, keep_logprobs: bool) -> CompletionStream:
        streamed = await self._wire.stream(
            self._path, body, deadline=ask.deadline, first_byte=ask.first_output
        )
        clean = self._wire.secrets.scrub_body if self._dialect == "openai" else None
        reading = Reading(self._dialect, keep_logprobs=keep_logprobs, clean=clean)
        stream = CompletionStream(streamed, reading, self._blame)
        await stream.open(ask.deadline, ask.first_output)
        return stream


def _require_json(response: Response) -> None:
    if not 200 <= response.status < 300:
        raise failure(response.status, response.headers, response.body)
    kind = response.headers.get(b"content-type", b"application/json")
    if b"json" not in kind.lower():
        raise BackendBroken(
            "the upstream answered with something other than JSON; is the `url:` right?"
        )


def _output(whole: Whole, *, parse: bool) -> Json:
    """Turn what the model wrote into a prediction: JSON under a schema, else its text."""
    text = whole.reply.text
    if not parse:
        return {"text": text}
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        why = "it was cut off" if whole.reply.finish_reason == "length" else str(error)
        raise BackendBroken(f"the model did not write JSON: {why}") from error
