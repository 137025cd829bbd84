"""A Python function as a model: called in a runner, answered for by a backend in the worker.

The function gets the caller's JSON input: as keyword arguments if it is an object that has all
the function's required parameters, else as its only argument. For chats it gets the messages if
its first parameter is called `messages`, else the caller's last text. It returns text or a JSON
value; a generator yields text. A result object with a number between 0 and 1 under `confidence`
says how sure it is.

Sync functions run in threads, four at a time; async ones on the runner's event loop, which they
must not block. `None` means that the function has no answer to this, so the ladder goes on.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

from lockgate.ai.models import frames
from lockgate.ai.models.arguments import chat_arguments, row_arguments
from lockgate.ai.models.calling import Callee
from lockgate.ai.models.hosted import Hosted, read
from lockgate.ai.models.hosting import Said
from lockgate.ai.models.jsonable import jsonable
from lockgate.ai.models.threads import Threads
from lockgate.core.errors import BackendBroken, BackendRejected
from lockgate.core.exchange import Answer, Evidenced
from lockgate.core.payload import (
    Chat,
    ChatReply,
    ChatStream,
    Json,
    Message,
    Rows,
    RowsReply,
    Tensors,
)
from lockgate.core.ports import Ask

_NO_TENSORS = "a function takes JSON or messages, not tensors"


class FunctionBackend:
    """Asks a function in a runner."""

    def __init__(self, name: str, hosted: Hosted) -> None:
        self._name = name
        self.hosted = hosted

    async def answer(self, ask: Ask) -> Answer:
        request = ask.request
        if isinstance(request, Rows):
            return await self._rows(request, ask)
        if isinstance(request, Chat):
            return await self._chat(request, ask)
        raise BackendRejected(_NO_TENSORS, target=self._name)

    async def ready(self) -> bool:
        return await self.hosted.ready()

    async def close(self) -> None:
        await self.hosted.close()

    async def _rows(self, rows: Rows, ask: Ask) -> Answer:
        reply = await self.hosted.ask("rows", rows, ask.deadline)
        output = RowsReply(output=read(reply, object, self._name))
        evidence = Evidenced(probabilities=reply.probabilities)
        return Answer(reply=output, target=self._name, raw=evidence)

    async def _chat(self, chat: Chat, ask: Ask) -> Answer:
        turns = frames.Turns(messages=_with_instructions(chat, ask), stream=chat.stream)
        if chat.stream:
            pieces = await self.hosted.stream(turns, ask.deadline, ask.first_output)
            return Answer(reply=ChatStream(pieces), target=self._name)
        reply = await self.hosted.ask("chat", turns, ask.deadline)
        text = read(reply, str, self._name)
        return Answer(reply=ChatReply(text=text), target=self._name)


def _with_instructions(chat: Chat, ask: Ask) -> tuple[Message, ...]:
    if not ask.instructions:
        return chat.messages
    return (Message("system", ask.instructions), *chat.messages)


class FunctionModel:
    """Calls *function* for whoever asks the runner; see the module for how.

    Args:
        quote: Show on stderr what the function's exceptions say.
    """

    def __init__(
        self, function: Callable[..., Any], threads: Threads, *, quote: bool = False
    ) -> None:
        self._signature = inspect.signature(function)
        self._callee = Callee(function, threads, quote=quote)
        self._threads = threads

    async def answer(self, question: frames.Question) -> Said | AsyncGenerator[str, None]:
        if isinstance(question, Tensors):
            raise BackendRejected(_NO_TENSORS)
        if isinstance(question, Rows):
            result = await self._callee.call(row_arguments(self._signature, question.input))
            return _said(await self._whole(result))
        result = await self._callee.call(chat_arguments(self._signature, question.messages))
        if question.stream:
            return self._texts(result)
        return Said(body=_text(await self._whole(result)))

    def describe(self) -> frames.Described:
        self._threads.refuse_if_all_lost()
        return frames.Described()

    async def _whole(self, result: object) -> object:
        """Give the result itself, or all the text a generator yields."""
        if not isinstance(result, Iterator | AsyncIterator):
            return result
        return "".join([text async for text in self._texts(result)])

    async def _texts(self, result: object) -> AsyncGenerator[str, None]:
        async with aclosing(self._callee.pieces(result)) as pieces:
            async for piece in pieces:
                yield _text(piece)


def _text(piece: object) -> str:
    if isinstance(piece, str):
        return piece
    if piece is None:
        raise BackendBroken("the function has no answer (it gave None)")
    message = f"a chat function gives text; this one gave {type(piece).__name__}"
    raise BackendBroken(message)


def _said(result: object) -> Said:
    try:
        output = jsonable(result)
    except ValueError as error:
        message = f"the function's result has no JSON form: {error}"
        raise BackendBroken(message) from error
    return Said(body=output, probabilities=_confidence(output))


def _confidence(output: Json) -> tuple[float, ...]:
    """Take a result's own statement of how sure it is."""
    if not isinstance(output, dict) or len(output) < 2:
        return ()
    stated = output.get("confidence")
    if isinstance(stated, bool) or not isinstance(stated, int | float) or not 0 <= stated <= 1:
        return ()
    return (float(stated),)
