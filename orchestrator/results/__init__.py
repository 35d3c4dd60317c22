"""Answers from the journal or the tables."""
