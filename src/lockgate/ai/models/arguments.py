"""How a caller's input becomes the arguments of a Python function."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import Parameter, Signature

import msgspec

from lockgate.core.errors import BackendRejected, InputRejected
from lockgate.core.payload import Json, Message

_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


class Arguments(msgspec.Struct, frozen=True):
    """What a function is called with."""

    positional: tuple[Json, ...] = ()
    keywords: dict[str, Json] = {}


def row_arguments(signature: Signature, value: Json) -> Arguments:
    """Spread an object over the parameters it names, or hand *value* over whole.

    Raises:
        InputRejected: The function cannot be called with it; says what is missing or unknown.
    """
    if isinstance(value, dict) and _is_meant(signature, value):
        arguments = Arguments(keywords=value)
    else:
        arguments = Arguments((value,))
    try:
        signature.bind(*arguments.positional, **arguments.keywords)
    except TypeError as error:
        said = f"the function's signature is {signature}: {error}"
        raise InputRejected("the input does not fit the function's signature", said=said) from error
    return arguments


def chat_arguments(signature: Signature, messages: Sequence[Message]) -> Arguments:
    """Give the messages to a first parameter called `messages`, else the caller's last text.

    Raises:
        BackendRejected: The function does not take one argument.
        InputRejected: The caller said nothing.
    """
    first = next(iter(signature.parameters), "")
    if first == "messages":
        value: Json = [{"role": said.role, "content": said.content} for said in messages]
    else:
        value = _last_text(messages)
    try:
        signature.bind(value)
    except TypeError as error:
        message = f"a chat function takes one argument, this one {signature}: {error}"
        raise BackendRejected(message) from error
    return Arguments((value,))


def _is_meant(signature: Signature, value: dict[str, Json]) -> bool:
    """Decide whether the keys of *value* are meant to be parameters."""
    if not _takes_positional(signature):
        return True
    named = {p.name: p for p in signature.parameters.values() if p.kind in _BY_NAME}
    required = {name for name, p in named.items() if p.default is Parameter.empty}
    if required:
        return required <= value.keys()
    return not named.keys().isdisjoint(value)


def _takes_positional(signature: Signature) -> bool:
    by_keyword = (Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD)
    return any(p.kind not in by_keyword for p in signature.parameters.values())


def _last_text(messages: Sequence[Message]) -> str:
    for said in reversed(messages):
        if said.role == "user":
            return _text_of(said)
    raise InputRejected("the chat holds no message of the user")


def _text_of(said: Message) -> str:
    if isinstance(said.content, list):
        return "".join(str(p.get("text", "")) for p in said.content if p.get("type") == "text")
    return said.content or ""
