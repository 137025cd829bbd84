"""Measure Lockgate against its peers: `make bench`. Read `__main__.py` first.

Everything runs on this machine's loopback, is bounded in count and time, and is stopped at the end.
"""
