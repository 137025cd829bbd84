"""Reads chat requests in OpenAI's format, and refuses broken ones in OpenAI's words.

The fast way proves in two passes of a C parser that the body is right. Only a body that is not
gets the slow way, which finds out what is wrong with it.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from lockgate.app.api.chat_faults import NOT_JSON, fault_of
from lockgate.app.api.problems import InvalidChat
from lockgate.core.payload import Chat, Message

Unit = Annotated[float, Meta(ge=0, le=1)] | None
Penalty = Annotated[float, Meta(ge=-2, le=2)] | None
Words = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=1, le=2**63 - 1)] | None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Known(msgspec.Struct):
    """The fields whose form Lockgate vouches for; everything else passes as it is."""

    model: str
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    logprobs: bool | None = None
    n: Literal[1] | None = None
    max_tokens: Count = None
    max_completion_tokens: Count = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Unit = None
    stop: Words | list[Words] | None = None
    presence_penalty: Penalty = None
    frequency_penalty: Penalty = None
    tools: list[Any] | None = None
    response_format: dict[str, Any] | None = None


class Asked(NamedTuple):
    """A chat request, and which service it is for."""

    model: str
    chat: Chat


ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_SPEECHLESS: Final = frozenset({"assistant", "function"})
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_known = msgspec.json.Decoder(_Known)


def parse_chat(body: bytes) -> Asked:
    """Read a chat request.

    Raises:
        InvalidChat: It breaks OpenAI's protocol; message, param and code are OpenAI's own.
    """
    try:
        body.decode()  # raw fields are passed on without ever being decoded
        fields = _fields.decode(body)
        known = _known.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise fault_of(body) or InvalidChat(f"{NOT_JSON} ({error})") from error
    for message in known.messages:
        if not _well_formed(message):
            raise fault_of(body) or InvalidChat("A message is malformed.", param="messages")
    options = known.stream_options
    return Asked(
        known.model,
        Chat(
            fields=fields,
            messages=tuple(known.messages),
            body=body,
            stream=known.stream is True,
            include_usage=options is not None and options.include_usage is True,
            wants_logprobs=known.logprobs is True,
        ),
    )


def _well_formed(message: Message) -> bool:
    if message.role not in ROLES:
        return False
    content = message.content
    if isinstance(content, str):
        return True
    if content is None:
        return message.role in _SPEECHLESS
    return all(
        isinstance(part.get("type"), str)
        and (part["type"] != "text" or isinstance(part.get("text"), str))
        for part in content
    )
