"""Rules that find attempts to override, extract or escape a model's instructions.

The phrasings are in `phrases`. A phrase that is talked about is not one that is used: quoted beside
a word such as "attack", "detect" or "what does … mean", or forbidden ("never reveal …"), it passes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

import re2

from lockgate.ai.guards.phrases import TOKENS, Phrase, phrases
from lockgate.ai.guards.rule import Match, Rule, Span

_BETWEEN: Final = r"(?:[\s,\"'*_:\-]+)"
_AROUND: Final = 120
_QUOTES: Final = "\"'`“”„‘’‚«»「」『』《》"
_MENTION: Final = (
    r"(?i)\b(?:mean(?:s|ing)?|phrases?|sentences?|wording|examples?|attacks?|injections?|"
    r"jailbreaks?|detect\w*|defend\w*|prevent\w*|block\w*|filter\w*|mitigat\w*|explain\w*|why|"
    r"translate|classif\w*|regex|pattern|guard\w*|stop people|when users|if (?:a|the) user|someone|"
    r"says?|said|wrote|typed|bedeutet|bedeutung|beispiel|angriff\w*|erkenn\w*|signifie|phrase|attaque|"
    r"exemple|significa|ejemplo|ataque|detectar|attacco|esempio)\b|"
    r"攻击|攻擊|注入|例|意思|意味|攻撃|检测|検出|атак|означа|пример"
)
"""What stands near a quotation that is talked about."""
_ABOUT: Final = (
    r"(?i)(?:(?:prompt )?(?:injections?|attacks?|jailbreaks?)(?: attempts?| prompts?)? "
    r"(?:like|such as|saying|that says?)|"
    r"(?:phrases?|texts?|strings?|messages?|inputs?|sentences?|prompts?|users?) "
    r"(?:like|such as|saying|that says?|which say|telling it to|that tell \w+ to|who says?)|"
    r"(?:defend|protect|guard|detect|prevent|block|filter|mitigate|stop)\w* (?:\w+ ){0,4}"
    r"(?:against|from|users who say|people who say|that says?)|"
    r"(?:how (?:do|can|could|would|should) (?:i|we|you|one|developers?)|how to|"
    r"what happens (?:if|when)|the (?:model|bot|assistant|llm|ai) "
    r"(?:will|would|might|may|could|can|should)(?: never| not)?)(?: \w+){0,6}) [^.\n]{0,24}\z"
)
"""What announces that something is talked about, quoted or not."""
_FORBIDDEN: Final = (
    r"(?i)(?:\b(?:do not|don'?t|never|must not|mustn'?t|should not|shouldn'?t|cannot|can'?t|won'?t|"
    r"will not|not to|refus\w+ to|nicht|niemals|jamais|nunca|jamás|mai|никогда|не) |"
    r"(?:不要|不得|不可|切勿|请勿|绝不))\z"
)
"""What turns a phrase into its contrary."""


def _spoken(text: str, match: Match) -> Iterable[Span]:
    """Keep a phrase that is used, not mentioned."""
    start, end = match.start(), match.end()
    if _goes_on(text, end):
        return
    before = text[max(0, start - _AROUND) : start]
    if re2.search(_FORBIDDEN, before) or re2.search(_ABOUT, before):
        return
    quoted = _is_quoted(before, text[end : end + _AROUND])
    if quoted and re2.search(_MENTION, before + " " + text[end : end + _AROUND]):
        return
    yield Span(start, end)


def _goes_on(text: str, end: int) -> bool:
    """Say whether a word ends after *end*, as "ruleset" does where "rule" was found."""
    return (
        text[end - 1].isalnum()
        and text[end : end + 1].isalnum()
        and text[end - 1 : end + 1].isascii()
    )


def _is_quoted(before: str, after: str) -> bool:
    """Say whether a quotation opens shortly before and closes shortly after."""
    opens = any(mark in _QUOTES for mark in before[-24:])
    return opens and any(mark in _QUOTES for mark in after[:48])


def _token(text: str, match: Match) -> Iterable[Span]:
    """Keep a control token; a closing tag only if nothing opened it shortly before."""
    token = match.group() or ""
    opened = token.startswith("</") and f"<{token[2:-1]}" in text[: match.start()][-_AROUND * 2 :]
    quoted = _is_quoted(text[: match.start()][-2:], text[match.end() : match.end() + 2])
    if not opened and not quoted:
        yield Span(match.start(), match.end())


def _loosened(pattern: str) -> str:
    """Let a space match what separates words, and accented letters also the bare ones.

    Classes (`[…]`) are left as they are.
    """
    parts: list[str] = []
    inside = False
    for letter in pattern:
        inside = letter == "[" or (inside and letter != "]")
        parts.append(letter if inside else _BETWEEN if letter == " " else _with_bare(letter))
    return "".join(parts)


def _with_bare(letter: str) -> str:
    bare = unicodedata.normalize("NFKD", letter)[0]
    return f"(?:{letter}|{bare})" if bare != letter else letter


def _rule(phrase: Phrase) -> Rule:
    return Rule(
        name=f"injection.{phrase.rule}",
        trigger=_loosened(phrase.trigger),
        pattern=_loosened(phrase.pattern),
        placeholder="[instruction]",
        check=_spoken,
        ahead=_AROUND,
        folds_case=True,
        canonical=True,
    )


def rules() -> tuple[Rule, ...]:
    """Make the rules from the phrases."""
    return (*map(_rule, phrases()), _TOKEN)


_TOKEN: Final = Rule(
    name="injection.token",
    trigger=TOKENS,
    pattern=TOKENS,
    placeholder="[token]",
    check=_token,
    ahead=2,
    folds_case=True,
    canonical=True,
)
