"""See through disguises: give a text the form in which instructions are looked for.

Compatibility forms (full-width, mathematical, circled letters) become plain ones, marks and hidden
characters go, and in words that mix Latin with Cyrillic or Greek letters the look-alikes become
Latin. Every character is treated by itself (look-alikes: by its word), so positions can be told.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

from lockgate.ai.guards.unseen import CLASS, HIDDEN
from lockgate.ai.guards.unseen import PATTERN as HIDDEN_PATTERN

_LOOKS_LIKE: Final = (
    "аa сc ԁd еe һh іi јj ӏl оo рp гr ԛq ѕs тt уy ԝw хx ѵv кk мm АA ВB СC ЕE НH ІI ЈJ КK МM ОO РP "
    "ЅS ТT УY ХX αa εe ιi κk νv οo ρp τt υu χx ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX"
)
_LATIN_OF: Final = {pair[0]: pair[1] for pair in _LOOKS_LIKE.split()}
_GREEK_OR_CYRILLIC: Final = r"[\x{370}-\x{52F}]"
MIXED: Final = rf"[A-Za-z]{_GREEK_OR_CYRILLIC}|{_GREEK_OR_CYRILLIC}[A-Za-z]"
_MIXED: Final = re.compile("[A-Za-z][\u0370-\u052f]|[\u0370-\u052f][A-Za-z]")
_WORD: Final = re.compile("[A-Za-z\u0370-\u052f]+")
DISGUISED: Final = (
    rf"{HIDDEN_PATTERN}|{MIXED}|[\x{{C0}}-\x{{24F}}][a-z]{{0,3}}[\x{{C0}}-\x{{24F}}]|[\x{{300}}-\x{{36F}}\x{{1D2C}}-\x{{1D6A}}\x{{2070}}-\x{{209C}}"
    r"\x{2100}-\x{2121}\x{2123}-\x{214F}\x{2460}-\x{24FF}\x{FB00}-\x{FB06}\x{FF10}-\x{FF19}"
    r"\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{1D400}-\x{1D7FF}\x{1F100}-\x{1F1E5}]"
)
"""What a text must contain for its canonical form to be looked at."""
_FOLDS: Final = re.compile(
    f"[{CLASS[1:-1]}\u00c0-\u024f\u0300-\u036f\u0370-\u052f\u1d2c-\u1d6a\u2070-\u209c\u2100-\u214f"
    "\u2460-\u24ff\ufb00-\ufb06\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\U0001d400-\U0001d7ff\U0001f100-\U0001f1e5]"
)


class Canonical(NamedTuple):
    """A canonical form, and for each of its characters the position it comes from."""

    text: str
    origins: tuple[int, ...]


def canonical(text: str, *, open_end: bool = False) -> Canonical:
    """Give the canonical form of *text*.

    Args:
        text: Any text.
        open_end: More may follow, so the last word may turn out to be a mixed one.
    """
    letters = _unmixed(text, open_end=open_end)
    parts: list[str] = []
    origins: list[int] = []
    for at, character in enumerate(letters):
        plain = character if character < "\x80" else _plain(character)
        parts.append(plain)
        origins.extend([at] * len(plain))
    return Canonical("".join(parts), (*origins, len(text)))


def _plain(character: str) -> str:
    if character in HIDDEN:
        return ""
    return "".join(
        part
        for part in unicodedata.normalize("NFKD", character)
        if unicodedata.category(part) != "Mn"
    )


def is_disguised_word(text: str) -> bool:
    """Say whether the canonical form of *text* may differ from it."""
    return not text.isascii() and _FOLDS.search(text) is not None


def _unmixed(text: str, *, open_end: bool) -> str:
    """Replace look-alikes in words of more than one script."""
    letters = list(text)
    for word in _WORD.finditer(text):
        if _MIXED.search(word.group()) or (open_end and word.end() == len(text)):
            letters[word.start() : word.end()] = map(_latin, word.group())
    return "".join(letters)


def _latin(character: str) -> str:
    return _LATIN_OF.get(character, character)
