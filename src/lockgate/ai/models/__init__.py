"""What can answer: one module per kind of model."""
