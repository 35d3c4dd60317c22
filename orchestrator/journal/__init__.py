"""Holds the study's state as a file of records, with their checks and their fold."""
