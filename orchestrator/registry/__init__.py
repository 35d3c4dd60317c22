"""Finished models by name: their versions, the aliases that point to them, and loading them."""
