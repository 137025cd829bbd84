"""The protocols at the door."""
