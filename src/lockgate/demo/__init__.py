"""The demo: three services, traffic for them, and two accidents. Read `play.py` first."""
