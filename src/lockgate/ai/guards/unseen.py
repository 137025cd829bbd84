"""Which characters cannot be seen, and which scripts and signs have a right to them."""

from __future__ import annotations

import unicodedata
from typing import Final


def _characters(*ranges: tuple[int, int]) -> frozenset[str]:
    return frozenset(chr(code) for first, last in ranges for code in range(first, last + 1))


_HIDDEN_RANGES: Final = (
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF9, 0xFFFB), (0xE0000, 0xE01EF),
)  # fmt: skip
HIDDEN: Final = _characters(*_HIDDEN_RANGES)
"""Every character that the guard looks at."""
PATTERN: Final = "[" + "".join(rf"\x{{{a:X}}}-\x{{{b:X}}}" for a, b in _HIDDEN_RANGES) + "]"
"""The same for RE2."""
CLASS: Final = "[" + "".join(f"{chr(a)}-{chr(b)}" for a, b in _HIDDEN_RANGES) + "]"
"""The same for Python's `re`, which is slow with many single characters."""

_JOINING: Final = (
    (0x0620, 0x0E00), (0x0F00, 0x1100), (0x1780, 0x18B0), (0x1A20, 0x1C50), (0xA840, 0xA880),
    (0xA980, 0xA9E0), (0xAA00, 0xAB00), (0xFB50, 0xFE00), (0xFE70, 0xFEFF), (0x10A00, 0x12000),
    (0x1E900, 0x1E960),
)  # fmt: skip
_SPACELESS: Final = ((0x0E00, 0x1100), (0x1780, 0x1800), (0x3040, 0xA000))
_EMOJI: Final = (
    (0xA9, 0xAA), (0xAE, 0xAF), (0x203C, 0x203D), (0x2049, 0x204A), (0x2122, 0x2123),
    (0x2139, 0x213A), (0x2190, 0x2C00), (0x3030, 0x3040), (0x3297, 0x329A), (0x1F000, 0x1FB00),
)  # fmt: skip
_IDEOGRAPHS: Final = ((0x3400, 0xA000), (0xF900, 0xFB00), (0x20000, 0x40000))


def _within(character: str, ranges: tuple[tuple[int, int], ...]) -> bool:
    code = ord(character) if character else -1
    return any(first <= code < end for first, end in ranges) and character not in HIDDEN


def joins(character: str) -> bool:
    """Say whether a letter's form depends on joiners beside it (Arabic, Indic, Mongolian …)."""
    return _within(character, _JOINING)


def is_spaceless(character: str) -> bool:
    """Say whether a letter belongs to a script that marks line breaks, not words."""
    return _within(character, _SPACELESS)


def is_emoji(character: str) -> bool:
    """Say whether a character is a pictograph or one of the symbols that sequences use."""
    return _within(character, _EMOJI)


def is_ideograph(character: str) -> bool:
    """Say whether a character may have ideographic variants."""
    return _within(character, _IDEOGRAPHS)


def is_rtl(character: str) -> bool:
    """Say whether a character is a letter written from right to left."""
    return unicodedata.bidirectional(character) in {"R", "AL"} and character not in HIDDEN


def varies(character: str) -> bool:
    """Say whether a standardised variation selector may follow a character."""
    return (
        character not in HIDDEN
        and character > "\x7f"
        and unicodedata.category(character) in {"So", "Sm", "Sk", "Lo", "Po", "Nd", "Mc", "Mn"}
    )
