"""Identifiers are unique and sort by time."""

from __future__ import annotations

import re

from lockgate.core.clock import SystemIds


def test_identifiers_are_unique_well_formed_and_carry_their_time() -> None:
    """26 characters of Crockford's alphabet; the first ten are milliseconds and never go back."""
    ids = [SystemIds().new() for _ in range(2000)]

    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[0-9a-hjkmnp-tv-z]{26}", name) for name in ids)
    assert [name[:10] for name in ids] == sorted(name[:10] for name in ids)
