"""What a case says: a service, its models, calls in, and what comes out of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import UNSET
from ruamel.yaml import YAML

from lockgate.core.payload import Json

FOLDER = Path(__file__).parent

Trouble = Literal["gone", "timeout", "busy", "broken", "input", "too long", "bug"]


class Does(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model does when it is asked: exactly one of the first five.

    Attributes:
        says: Gives this answer.
        numbers: Gives this tensor.
        streams: Gives these pieces, one after the other.
        fails: Fails in this way.
        waits: Never answers.
        breaks: The line is cut behind the pieces.
        sure: How sure it is; without it the answer has no signal.
    """

    says: Json = UNSET
    numbers: tuple[float, ...] = ()
    streams: tuple[str, ...] = ()
    fails: Trouble | None = None
    waits: bool = False
    breaks: bool = False
    sure: float | None = None


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call in, and what is expected of it: exactly one of the first four.

    Attributes:
        chat: What the user says to `assistant`.
        predict: The input of `router`.
        infer: The numbers given to `router` as a tensor.
        http: The bytes of a request, `{key}` standing for a good key.
        stream: The chat is wanted as a stream.
        key: `other` is good, but for another service.
        headers: Sent along.
        later: Seconds that have gone by since the call before.
        goes_on: Its answer is not waited for.
        leaves: The caller hangs up once a model is at work.
        answer: What the caller gets, as far as it is of interest.
        record: What is recorded, as far as it is of interest; nothing is if it is left out.
    """

    chat: str | None = None
    predict: Json = UNSET
    infer: tuple[float, ...] = ()
    http: str = ""
    stream: bool = False
    key: Literal["good", "other", "wrong", "none"] = "good"
    headers: dict[str, str] = {}
    later: float = 0.0
    goes_on: bool = False
    leaves: bool = False
    answer: dict[str, Any] = {}
    record: dict[str, Any] = {}


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One case.

    Attributes:
        case: What it shows, in a sentence.
        ending: The row of the table in docs/life-of-a-call.md that it shows, if it does.
        service: As in `lockgate.yaml`; contracts are written out. A chat unless it says otherwise.
        models: What each does, call after call, the last for ever; each call costs 0.01 USD.
        disk: `full`: nothing can be recorded.
    """

    case: str
    calls: tuple[Call, ...]
    ending: str = ""
    service: dict[str, Any] = {}
    models: dict[str, tuple[Does, ...]] = {}
    disk: Literal["well", "full"] = "well"


def cases() -> Iterator[Case]:
    """Read every case of this folder."""
    for file in sorted(FOLDER.glob("*.yaml")):
        yield from msgspec.convert(YAML(typ="safe").load(file), list[Case])
