"""Commands that use finished models."""
