"""The free room on disk, and what checkpoints may take of it."""
