"""What the rca service talks to: the model."""
