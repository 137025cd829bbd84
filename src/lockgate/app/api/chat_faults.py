"""Finds what is wrong with a chat request and says it as OpenAI's own API does.

Messages and codes follow what api.openai.com answers, as recorded in public test cassettes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from lockgate.app.api.problems import InvalidChat
from lockgate.core.payload import Json

NOT_JSON: Final = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using"
    " your HTTP library correctly. The API expects a JSON payload, but what was sent was not valid"
    " JSON.)"
)
_ROLES: Final = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'"
_ROLE_NAMES: Final = frozenset({"system", "assistant", "user", "function", "tool", "developer"})
_SHOWN: Final = 60

Rule = Callable[[str, Json], InvalidChat | None]


def fault_of(body: bytes) -> InvalidChat | None:
    """Find the first fault of *body*; None if it has none that is known here."""
    try:
        whole = msgspec.json.decode(body)
    except UnicodeDecodeError as error:
        return InvalidChat(f"{NOT_JSON} Byte {error.start} of a string is not valid UTF-8.")
    except RecursionError:
        return InvalidChat(f"{NOT_JSON} It is nested too deeply.")
    except msgspec.DecodeError as error:
        return InvalidChat(f"{NOT_JSON} {error}.")
    if not isinstance(whole, dict):
        return InvalidChat(f"{NOT_JSON} It is {_kind(whole)}, not an object.")
    return _field_fault(whole)


def _field_fault(whole: dict[str, Json]) -> InvalidChat | None:
    if "model" not in whole:
        return InvalidChat("you must provide a model parameter")
    if "messages" not in whole:
        return _missing("messages")
    for name, rule in _RULES:
        value = whole.get(name)
        fault = None if value is None and name not in _REQUIRED else rule(name, value)
        if fault is not None:
            return fault
    return None


def _messages(name: str, value: Json) -> InvalidChat | None:
    if not isinstance(value, list):
        return _wrong_type(name, "an array of objects", value)
    if not value:
        return InvalidChat(
            f"Invalid '{name}': empty array. Expected an array with minimum length 1, but got an"
            " empty array instead.",
            param=name,
            openai_code="empty_array",
        )
    faults = (_message(f"{name}[{place}]", message) for place, message in enumerate(value))
    return next((fault for fault in faults if fault is not None), None)


def _message(name: str, message: Json) -> InvalidChat | None:
    if not isinstance(message, dict):
        return _wrong_type(name, "an object", message)
    if "role" not in message:
        return _missing(f"{name}.role")
    role = message["role"]
    if not isinstance(role, str):
        return _wrong_type(f"{name}.role", "a string", role)
    if role not in _ROLE_NAMES:
        return InvalidChat(
            f"Invalid value: '{_short(role)}'. Supported values are: {_ROLES}.",
            param=f"{name}.role",
            openai_code="invalid_value",
        )
    return _content(f"{name}.content", role, message.get("content"))


def _content(name: str, role: str, content: Json) -> InvalidChat | None:
    if isinstance(content, str) or (content is None and role in ("assistant", "function")):
        return None
    if not isinstance(content, list):
        return _wrong_type(name, "one of a string or array of objects", content)
    faults = (_part(f"{name}[{place}]", part) for place, part in enumerate(content))
    return next((fault for fault in faults if fault is not None), None)


def _part(name: str, part: Json) -> InvalidChat | None:
    if not isinstance(part, dict):
        return _wrong_type(name, "an object", part)
    if "type" not in part:
        return _missing(f"{name}.type")
    if not isinstance(part["type"], str):
        return _wrong_type(f"{name}.type", "a string", part["type"])
    if part["type"] == "text" and not isinstance(part.get("text"), str):
        return _wrong_type(f"{name}.text", "a string", part.get("text"))
    return None


def _of_type(kind: type, expected: str) -> Rule:
    def rule(name: str, value: Json) -> InvalidChat | None:
        return None if isinstance(value, kind) else _wrong_type(name, expected, value)

    return rule


def _between(low: float, high: float) -> Rule:
    def rule(name: str, value: Json) -> InvalidChat | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return _wrong_type(name, "a decimal", value)
        if value < low:
            return _out_of_range(name, "decimal", "below", "minimum", f">= {low:g}", value)
        if value > high:
            return _out_of_range(name, "decimal", "above", "maximum", f"<= {high:g}", value)
        return None

    return rule


def _at_least_one(name: str, value: Json) -> InvalidChat | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return _wrong_type(name, "an integer", value)
    if value < 1:
        return _out_of_range(name, "integer", "below", "minimum", ">= 1", value)
    if value >= 2**63:
        return _out_of_range(name, "integer", "above", "maximum", "<= 9223372036854775807", value)
    return None


def _one_choice(name: str, value: Json) -> InvalidChat | None:
    fault = _at_least_one(name, value)
    if fault is not None or value == 1:
        return fault
    return InvalidChat(
        "n>1 is not supported yet: one answer is judged and given; ask again for another.",
        param=name,
        openai_code="unsupported_value",
    )


def _stop(name: str, value: Json) -> InvalidChat | None:
    if not isinstance(value, list):
        return _stop_words(name, value, "one of a string or array of strings")
    faults = (
        _stop_words(f"{name}[{place}]", words, "a string") for place, words in enumerate(value)
    )
    return next((fault for fault in faults if fault is not None), None)


def _stop_words(name: str, value: Json, expected: str) -> InvalidChat | None:
    if not isinstance(value, str):
        return _wrong_type(name, expected, value)
    if value:
        return None
    return InvalidChat(
        f"Invalid '{name}': empty string. Expected a string with minimum length 1, but got an"
        " empty string instead.",
        param=name,
        openai_code="empty_string",
    )


def _stream_options(name: str, value: Json) -> InvalidChat | None:
    if not isinstance(value, dict):
        return _wrong_type(name, "an object", value)
    wanted = value.get("include_usage")
    if wanted is None or isinstance(wanted, bool):
        return None
    return _wrong_type(f"{name}.include_usage", "a boolean", wanted)


_BOOLEAN: Final = _of_type(bool, "a boolean")
_REQUIRED: Final = ("model", "messages")
_RULES: Final[tuple[tuple[str, Rule], ...]] = (
    ("model", _of_type(str, "a string")),
    ("messages", _messages),
    ("stream", _BOOLEAN),
    ("stream_options", _stream_options),
    ("logprobs", _BOOLEAN),
    ("n", _one_choice),
    ("max_tokens", _at_least_one),
    ("max_completion_tokens", _at_least_one),
    ("temperature", _between(0, 2)),
    ("top_p", _between(0, 1)),
    ("stop", _stop),
    ("presence_penalty", _between(-2, 2)),
    ("frequency_penalty", _between(-2, 2)),
    ("tools", _of_type(list, "an array of objects")),
    ("response_format", _of_type(dict, "an object")),
)


def _missing(name: str) -> InvalidChat:
    return InvalidChat(
        f"Missing required parameter: '{name}'.",
        param=name,
        openai_code="missing_required_parameter",
    )


def _wrong_type(name: str, expected: str, value: Json) -> InvalidChat:
    return InvalidChat(
        f"Invalid type for '{name}': expected {expected}, but got {_kind(value)} instead.",
        param=name,
        openai_code="invalid_type",
    )


def _out_of_range(
    name: str, kind: str, side: str, bound: str, expected: str, value: float
) -> InvalidChat:
    return InvalidChat(
        f"Invalid '{name}': {kind} {side} {bound} value. Expected a value {expected}, but got"
        f" {_short(str(value))} instead.",
        param=name,
        openai_code=f"{kind}_{side}_{bound[:3]}_value",
    )


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    names = {
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    return names[type(value)]
