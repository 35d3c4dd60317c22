"""Builds, checks and opens the entry of a data set in the cache."""
