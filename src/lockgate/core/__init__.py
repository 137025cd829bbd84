"""What every part of Lockgate speaks of: nouns, seams, errors, time and money."""
