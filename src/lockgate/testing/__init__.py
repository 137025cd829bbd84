"""Fakes, builders and conformance suites, for people who write their own parts."""
