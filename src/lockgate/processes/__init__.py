"""The supervisor and what it starts: workers, the steward, runners."""
