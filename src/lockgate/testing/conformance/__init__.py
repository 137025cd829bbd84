"""What any part of a kind must promise, whoever wrote it: one suite per seam."""
