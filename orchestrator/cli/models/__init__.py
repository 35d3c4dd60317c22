"""Commands for finished models."""
