"""FLOW 1: a call becomes an answer. Read `path.py` first."""
