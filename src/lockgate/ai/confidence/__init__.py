"""How likely an answer is to be right."""
