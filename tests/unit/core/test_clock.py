"""Identifiers are unique and sort by time."""

from __future__ import annotations

import re

from lockgate.core.clock import SystemIds


def test_identifiers_are_unique_well_formed_and_carry_their_time() -> None:
    """26 hexadecimal digits; the first eleven are milliseconds and never go back."""
    one, other = SystemIds(), SystemIds()
    ids = [source.new() for _ in range(1000) for source in (one, other)]

    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[0-9a-f]{26}", name) for name in ids)
    assert [name[:11] for name in ids] == sorted(name[:11] for name in ids)
