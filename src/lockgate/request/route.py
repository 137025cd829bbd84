"""Decide which release answers, and which of its targets are asked, in which order.

Place   after recall
Reads   exchange.call.service
Writes  exchange.release, exchange.plan
Leaves  the targets' health: an attempt finds that out within the deadline
"""

from __future__ import annotations

from typing import Final

import msgspec

from lockgate.core.exchange import Exchange

NAME: Final = "route"


class Route:
    """Send every call to the live release, its targets in the manifest's order."""

    name = NAME

    def __init__(self, release: str, plan: tuple[str, ...]) -> None:
        self._release = release
        self._plan = plan

    def __call__(self, exchange: Exchange) -> Exchange:
        """Name the release and the targets."""
        return msgspec.structs.replace(exchange, release=self._release, plan=self._plan)
