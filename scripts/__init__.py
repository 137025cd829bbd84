"""Small programs around the tree: sizes, and the docs that are made from the code."""
