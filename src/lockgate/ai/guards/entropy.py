"""Tells random values from words, placeholders, digests and code."""

from __future__ import annotations

from collections import Counter
from math import log2
from typing import Final

import re2

PLACEHOLDERS: Final = (
    "example", "xxxx", "your", "placeholder", "changeme", "change-me", "change_me", "dummy",
    "sample", "redacted", "****", "....", "----", "____", "0000000", "1234567", "abcdefg", "insert",
    "replace", "notreal", "not-a-real", "fake", "secret-here", "key-here", "hidden",
)  # fmt: skip
"""What people write instead of a secret."""
_HEX_LENGTHS: Final = frozenset({32, 40, 56, 64, 96, 128})
_FEWEST_CHARACTERS: Final = 6
_RANDOM_BITS: Final = 3.0


def bits(value: str) -> float:
    """Measure Shannon entropy, in bits per character; 0 for an empty text."""
    counts = Counter(value).values()
    return -sum(count / len(value) * log2(count / len(value)) for count in counts)


def is_placeholder(value: str) -> bool:
    """Say whether *value* stands for a secret rather than being one."""
    small = value.lower()
    return len(set(small)) < _FEWEST_CHARACTERS or any(word in small for word in PLACEHOLDERS)


def is_digest(value: str) -> bool:
    """Say whether *value* is a UUID, a hexadecimal digest or a lock file's integrity hash."""
    if re2.fullmatch(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", value):
        return True
    if len(value) in _HEX_LENGTHS and re2.fullmatch(r"(?i)[0-9a-f]+", value):
        return True
    return bool(re2.fullmatch(r"(?i)(?:sha(?:1|256|384|512)|md5|blake2b)[:\-][0-9a-z+/=]+", value))


def is_random(value: str) -> bool:
    """Say whether *value* looks generated: letters and digits, well mixed, no placeholder."""
    has_letter = any(character.isalpha() for character in value)
    has_digit = any(character.isdigit() for character in value)
    return has_letter and has_digit and bits(value) >= _RANDOM_BITS and not is_placeholder(value)
