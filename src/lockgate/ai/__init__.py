"""What answers, and what judges answers."""
