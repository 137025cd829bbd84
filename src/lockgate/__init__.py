"""Lockgate takes an AI prototype to production and keeps it there."""

__version__ = "0.1.0"
