"""Which variant to try next."""
