r"""How people try to talk a model out of its instructions, in nine languages.

The phrases are in text files beside, one for each language, for people to read and to add to:

    NAME =
        a part of patterns, used as <NAME>

    rule
      when
        what every match contains; cheap to look for
      find
        the pattern

Lines of a pattern are put together as they are. A space in it stands for whatever may separate
words, and a letter with an accent also for the bare letter. `#` begins a line of comment.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Final, NamedTuple

LANGUAGES: Final = ("en", "de", "fr", "es-pt-it", "ru", "zh", "ja")


class Phrase(NamedTuple):
    """One way of saying it: the rule's name, what every match contains, and the pattern."""

    rule: str
    trigger: str
    pattern: str


def phrases() -> Iterator[Phrase]:
    """Read the phrases of every language."""
    folder = files("lockgate.ai.guards") / "phrases"
    for language in LANGUAGES:
        yield from parse((folder / f"{language}.txt").read_text("utf-8"))


def parse(text: str) -> Iterator[Phrase]:
    """Read phrases in the format described above.

    Raises:
        ValueError: A block has another form; it is quoted.
    """
    parts: dict[str, str] = {}
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line and not line.startswith("#")]
        if not lines:
            continue
        if lines[0].endswith(" ="):
            parts[lines[0].removesuffix(" =")] = _filled(lines[1:], parts)
        elif lines[1:2] == ["  when"] and "  find" in lines:
            middle = lines.index("  find")
            trigger, pattern = _filled(lines[2:middle], parts), _filled(lines[middle + 1 :], parts)
            yield Phrase(lines[0], trigger, pattern)
        else:
            raise ValueError(f"neither a part nor a phrase: {block!r}")


def _filled(lines: list[str], parts: dict[str, str]) -> str:
    pattern = "".join(line.removeprefix("    ") for line in lines)
    for name, part in parts.items():
        pattern = pattern.replace(f"<{name}>", part)
    return pattern


TOKENS: Final = (
    r"<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|start_header_id|end_header_id|"
    r"eot_id|begin_of_text|end_of_text|endofprompt|fim_prefix|tool_call)\|>|"
    r"\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|"
    r"</(?:system|system_prompt|system-prompt|system_message|instructions|untrusted|user_input|developer)>"
)
"""Marks by which chat templates separate who speaks: nobody but the template may write them."""
