"""How people and systems reach in."""
