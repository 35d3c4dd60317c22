"""The study's only memory: its records, their checks and their fold."""
