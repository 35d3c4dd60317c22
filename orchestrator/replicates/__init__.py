"""Trains the best variants again with other seeds, more often where it is in doubt which is best."""
