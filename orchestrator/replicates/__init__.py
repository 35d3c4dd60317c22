"""Trains the best variants again with other seeds, or on other folds, more often where it is in doubt which is best."""
