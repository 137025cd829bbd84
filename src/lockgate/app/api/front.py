"""The front door: what it is given, and the application made of it."""

from __future__ import annotations

from lockgate.app.api.offer import Check, Front, Metadata, Offer, Path, TensorSpec
from lockgate.app.api.server import build_app

__all__ = ["Check", "Front", "Metadata", "Offer", "Path", "TensorSpec", "build_app"]
