"""Variants of built-in spaces that are worth trying first: one YAML file for each space, with its provenance."""
