"""What runs in the Argilla server's own environment; its modules import each other by their bare names."""
